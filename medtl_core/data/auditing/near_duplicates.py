"""Which images are nearly the same: a perceptual hash and a distance of features must both say so.

The hash is pHash (Zauner 2010, section 3.2.1): the signs of the low frequencies. Images of one organ are all
alike in these. So the features are whitened: what all images of the archive share counts for nothing, and two
different patients are about as far apart as two random directions.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn

from medtl_core.data.auditing.thumbnails import thumbnails
from medtl_core.data.duplicates import content_ids, is_constant

SIDE = 32  # pixels of a thumbnail
SMALLEST = 16  # pixels a side below which nothing can be told
MOST_BITS = 8  # of the 63 of a hash that may differ
LEAST_COSINE = 0.9
_COMPONENTS = 128
_BLOCK = 2048


def perceptual_hashes(images: np.ndarray) -> NDArray[np.bool_]:
    """(N, 63) whether each of the lowest 8 x 8 frequencies but the first is above their median.

    Args:
        images: uint8 (N, H, W) or (N, H, W, 3).
    """
    return _hashes(thumbnails(images, SIDE))


def near_pairs(images: np.ndarray) -> NDArray[np.int64]:
    """(P, 2) indices i < j of images that are nearly the same, and not the same pixel by pixel.

    Two images make a pair if at most `MOST_BITS` bits of their hashes differ and the cosine of their features
    is at least `LEAST_COSINE`. The features are the first 128 principal components (a quarter of the
    number of images, if that is less) of 32 x 32 thumbnails, whitened. Resampling, compression, a little
    noise, a change of brightness and small marks are found; mirrored, turned and strongly cropped copies are
    not. Identical images make no pair, but each makes one with what is near them. Constant images, and sets
    of images under 16 pixels a side, give none.

    Args:
        images: uint8 (N, H, W) or (N, H, W, 3).
    """
    none = np.empty((0, 2), np.int64)
    if min(images.shape[1:3]) < SMALLEST:
        return none
    ids = content_ids(images)
    first = np.unique(ids, return_index=True)[1]
    cases = np.sort(first[~is_constant(images)[first]])
    if len(cases) < 2:
        return none
    small = thumbnails(images[cases], SIDE)
    signs = np.where(_hashes(small), 1, -1).astype(np.float32)
    features = _whitened(small.reshape(len(small), -1))
    found = [none]
    for start in range(0, len(cases), _BLOCK):
        here = slice(start, start + _BLOCK)
        differing = (signs.shape[1] - signs[here] @ signs[start:].T) / 2
        near = (differing <= MOST_BITS) & (features[here] @ features[start:].T >= LEAST_COSINE)
        pairs = np.argwhere(np.triu(near, 1)) + start
        found.append(cases[pairs])
    return _with_copies(np.concatenate(found), ids)


def _with_copies(pairs: NDArray[np.int64], ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """Pairs of images that are different, and those of all their identical copies; sorted."""
    order = np.argsort(ids, kind="stable")
    starts = np.searchsorted(ids[order], np.arange(ids.max() + 2))
    copies = [
        (min(i, j), max(i, j))
        for a, b in ids[pairs].tolist()
        for i in order[starts[a] : starts[a + 1]].tolist()
        for j in order[starts[b] : starts[b + 1]].tolist()
    ]
    return np.array(sorted(copies), np.int64).reshape(-1, 2)


def _hashes(small: NDArray[np.float32]) -> NDArray[np.bool_]:
    low = dctn(small, axes=(1, 2))[:, :8, :8].reshape(len(small), -1)[:, 1:]
    hashes: NDArray[np.bool_] = low > np.median(low, axis=1, keepdims=True)
    return hashes


def _whitened(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Unit vectors (N, C): each image standardised, principal components of equal variance."""
    spread = np.maximum(pixels.std(axis=1, keepdims=True), 1e-3)
    centred = (pixels - pixels.mean(axis=1, keepdims=True)) / spread
    centred -= centred.mean(axis=0)
    variances, directions = np.linalg.eigh(centred.T @ centred / len(centred))
    kept = min(_COMPONENTS, max(1, len(pixels) // 4))
    variances, directions = variances[::-1][:kept], directions[:, ::-1][:, :kept]
    features = centred @ (directions / np.sqrt(np.maximum(variances, 1e-6)))
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.maximum(lengths, 1e-12), np.float32)
