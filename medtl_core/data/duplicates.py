"""Which images are the same pixel by pixel, and what may therefore not be kept apart."""

import hashlib

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from medtl_core.data.archives.archive import Archive
from medtl_core.data.groups import group_ids


def content_ids(images: np.ndarray) -> NDArray[np.int64]:
    """One integer per image, int64 (N,); equal exactly where all pixels are equal (128-bit hash)."""
    plain = np.ascontiguousarray(images)
    digests = [hashlib.blake2b(image, digest_size=16).digest() for image in plain]
    return np.unique(np.array(digests, dtype="V16").view("S16"), return_inverse=True)[1]


def is_constant(images: np.ndarray) -> NDArray[np.bool_]:
    """(N,) whether all pixels of an image have one grey value or one colour, as in an empty slice."""
    constant = (images[:, 0] == images[:, 0, :1]).reshape(len(images), -1).all(axis=1)  # its first row is
    for case in np.flatnonzero(constant):
        constant[case] = (images[case] == images[case, 0, 0]).all()
    return constant


def linking_ids(images: np.ndarray) -> NDArray[np.int64]:
    """`content_ids`, but each constant image has an id of its own: it says nothing about whose it is."""
    ids = content_ids(images)
    constant = np.flatnonzero(is_constant(images))
    ids[constant] = ids.max() + 1 + np.arange(len(constant))
    return np.unique(ids, return_inverse=True)[1]


def joined_groups(archive: Archive) -> NDArray[np.int64]:
    """What must stay together, as one integer per case (N,): cases of one group, and identical images.

    Groups that share an image are joined, and so on along the chain. Constant images join nothing, and a
    case of an unknown group is joined to identical images alone.
    """
    ids = linking_ids(archive.images)
    if archive.groups is None:
        return ids
    groups = group_ids(archive.groups)
    n_groups = int(groups.max()) + 1
    n_nodes = n_groups + int(ids.max()) + 1
    links = coo_array((np.ones(archive.n), (groups, n_groups + ids)), shape=(n_nodes, n_nodes))
    return connected_components(links, directed=False)[1][groups]


def split_leaks(values: np.ndarray, words: np.ndarray) -> list:
    """The values, sorted, that occur under more than one word of `words` (N,)."""
    distinct, value = np.unique(values, return_inverse=True)
    known, word = np.unique(words, return_inverse=True)
    pairs = np.unique(value * len(known) + word)
    return distinct[np.bincount(pairs // len(known), minlength=len(distinct)) > 1].tolist()
