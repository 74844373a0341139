"""Which images are the same pixel by pixel, and what may therefore not be kept apart."""

import hashlib

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from medtl_core.data.archives.archive import Archive


def content_ids(images: np.ndarray) -> np.ndarray:
    """One integer per image, int64 (N,); equal exactly where all pixels are equal (128-bit hash)."""
    plain = np.ascontiguousarray(images)
    digests = [hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in plain]
    return np.unique(np.array(digests, dtype="V16").view("S16"), return_inverse=True)[1]


def joined_groups(archive: Archive) -> np.ndarray:
    """What must stay together, as one integer per case (N,): cases of one group, and identical images.

    Groups that share an image are joined, and so on along the chain.
    """
    ids = content_ids(archive.images)
    if archive.groups is None:
        return ids
    _, groups = np.unique(archive.groups, return_inverse=True)
    n_groups = int(groups.max()) + 1
    n_nodes = n_groups + int(ids.max()) + 1
    links = coo_array((np.ones(archive.n), (groups, n_groups + ids)), shape=(n_nodes, n_nodes))
    return connected_components(links, directed=False)[1][groups]


def split_leaks(values: np.ndarray, words: np.ndarray) -> list:
    """The values, sorted, that occur under more than one word of `words` (N,)."""
    distinct, value = np.unique(values, return_inverse=True)
    _, word = np.unique(words, return_inverse=True)
    pairs = np.unique(np.stack([value, word]), axis=1)
    return distinct[np.bincount(pairs[0], minlength=len(distinct)) > 1].tolist()
