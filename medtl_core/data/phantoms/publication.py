"""Phantoms as a careless publisher would split them: some test images are copies of training images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from medtl_core.data.archives.archive import Archive
from medtl_core.errors import MedtlError

TEST_SHARE = 0.25  # of the patients of each class


def publish_with_copies(archive: Archive, leaked: float, rng: np.random.Generator) -> Archive:
    """The archive with a published split in train and test, and copies of training images in test.

    A quarter of the patients of each class go to test. Then the share `leaked` (0..1) of the test images of
    each class is overwritten, with all that belongs to them, by training images of that class: a copy has the
    patient of its original, so that its group stands in both parts; several copies may have one original. All
    other test patients stand in test alone. Images keep their number and order.

    Needs groups and the metadata `true_label`. Raises MedtlError if a class has fewer than two patients.
    """
    assert archive.groups is not None
    truth = archive.metadata["true_label"]
    in_test = np.zeros(archive.n, dtype=bool)
    rows = np.arange(archive.n)
    for label, name in enumerate(archive.class_names):
        cases = np.flatnonzero(truth == label)
        patients = rng.permutation(np.unique(archive.groups[cases]))
        if len(patients) < 2:
            raise MedtlError(
                f"phantom spec {archive.name!r}: class {name!r} has {len(patients)} patient, expected at "
                "least two, one in each part of the published split; raise n"
            )
        held_out = patients[: max(1, round(TEST_SHARE * len(patients)))]
        tested = np.isin(archive.groups[cases], held_out)
        test, train = cases[tested], cases[~tested]
        copied = rng.permutation(test)[: round(leaked * len(test))]
        rows[copied] = rng.choice(train, len(copied))
        in_test[test] = True
    return replace(archive.subset(rows), splits=np.where(in_test, "test", "train"))
