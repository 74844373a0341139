"""Splits and nested subsets: no group is ever cut, classes keep their shares, errors are told."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency

from medtl_core.data.archives.archive import Archive
from medtl_core.data.duplicates import content_ids, joined_groups
from medtl_core.data.groups import group_ids, is_unknown
from medtl_core.data.splits import nested_subset, split
from medtl_core.errors import MedtlError

PARTS = ("train", "val", "test")


def make(labels, groups=None, images=None, **more) -> Archive:
    labels = np.asarray(labels, dtype=np.int64)
    if images is None:
        images = np.arange(len(labels) * 16, dtype=np.uint32).view(np.uint8).reshape(len(labels), 8, 8)
    names = tuple(f"c{k}" for k in range(max(2, labels.max() + 1)))
    groups = None if groups is None else np.array([f"p{g}" for g in groups])
    return Archive("made", images, labels, names, groups=groups, **more)


def assert_partition(parts, cases):
    joined = np.concatenate([parts.train, parts.val, parts.test])
    assert sorted(joined.tolist()) == sorted(cases)
    for word in PARTS:
        part = getattr(parts, word)
        assert part.dtype == np.int64
        assert (np.diff(part) > 0).all()


def assert_apart(parts, values):
    for one, other in itertools.combinations(PARTS, 2):
        assert not set(values[getattr(parts, one)]) & set(values[getattr(parts, other)])


def look_alikes(looks):
    """One image per entry, equal where the entries are; none is constant."""
    images = np.full((len(looks), 2, 2), 200, np.uint8)
    images[:, 0, 0] = looks
    return images


@st.composite
def archives(draw):
    n = draw(st.integers(12, 60))
    whole = st.integers(0, n)
    labels = draw(st.lists(st.integers(0, draw(st.integers(1, 2))), min_size=n, max_size=n))
    groups = draw(st.none() | st.lists(whole, min_size=n, max_size=n))
    looks = draw(st.lists(whole, min_size=n, max_size=n))
    images = look_alikes(looks)
    domains = np.array(draw(st.lists(st.sampled_from("xy"), min_size=n, max_size=n)))
    return make(labels, groups, images, domains=domains)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(archive=archives(), seed=st.integers(0, 9), domain=st.sampled_from([None, "x"]))
def test_no_group_and_no_identical_image_is_ever_cut(archive, seed, domain):
    try:
        parts = split(archive, seed=seed, domain=domain)
    except MedtlError:
        assume(False)
    cases = range(archive.n) if domain is None else np.flatnonzero(archive.domains == domain).tolist()
    assert_partition(parts, cases)
    if archive.groups is not None:
        assert_apart(parts, archive.groups)
    assert_apart(parts, archive.images[:, 0, 0])
    for word in PARTS:
        assert set(archive.labels[getattr(parts, word)]) == set(range(archive.n_classes))
    again = split(archive, seed=seed, domain=domain)
    assert all(np.array_equal(getattr(parts, word), getattr(again, word)) for word in PARTS)


@pytest.mark.parametrize("patients", [False, True])
def test_shares_of_parts_and_classes(patients):
    rng = np.random.default_rng(1)
    of = np.repeat(np.arange(2000), rng.integers(1, 6, 2000)) if patients else np.arange(6000)
    labels = rng.choice(3, len(of), p=[0.7, 0.25, 0.05])
    archive = make(labels, of if patients else None)
    parts = split(archive, fractions=(0.5, 0.2, 0.3))
    for word, share in zip(PARTS, (0.5, 0.2, 0.3), strict=True):
        counts = np.bincount(labels[getattr(parts, word)])
        np.testing.assert_allclose(counts, share * np.bincount(labels), atol=3)


def test_seeds_give_different_splits_that_do_not_depend_on_the_order_of_cases():
    archive = make(np.arange(300) % 2)
    trains = {tuple(split(archive, seed=seed).train) for seed in range(5)}
    assert len(trains) == 5
    # Neighbours in the file are not neighbours in the split: each half of the file has its share in training.
    halves = np.array([[sum(i < 150 for i in train), sum(i >= 150 for i in train)] for train in trains])
    assert chi2_contingency(halves + 1).pvalue > 1e-6
    assert (halves > 50).all()


def test_one_group_larger_than_its_share_goes_to_training():
    groups = [0] * 80 + list(range(1, 21))
    parts = split(make(np.arange(100) % 2, groups))
    assert set(range(80)) <= set(parts.train.tolist())


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(
    cases=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 2)), min_size=6, max_size=25),
    seed=st.integers(0, 9),
)
def test_every_class_is_in_every_part_wherever_that_is_possible(cases, seed):
    groups, labels = np.array(cases).T
    labels = np.unique(labels, return_inverse=True)[1]
    archive = make(labels, groups)
    held = [sum(1 << int(k) for k in set(labels[groups == g])) for g in np.unique(groups)]
    every = (1 << archive.n_classes) - 1
    possible = any(  # all ways to give whole groups to three parts
        all(
            np.bitwise_or.reduce([0, *(h for h, p in zip(held, way, strict=True) if p == part)]) == every
            for part in range(3)
        )
        for way in itertools.product(range(3), repeat=len(held))
    )
    try:
        parts = split(archive, seed=seed)
    except MedtlError:
        parts = None
    assert (parts is not None) == possible
    if parts is None:
        return
    assert_partition(parts, range(archive.n))
    assert_apart(parts, archive.groups)
    for word in PARTS:
        assert set(labels[getattr(parts, word)]) == set(range(archive.n_classes))


@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(sizes=st.lists(st.integers(1, 40), min_size=3, max_size=30), seed=st.integers(0, 9))
def test_three_groups_of_one_class_each_are_enough(sizes, seed):
    # class 0 in groups of any sizes, class 1 in three patients, class 2 in three images
    labels = np.repeat([0, 1, 2], [sum(sizes), 10, 3])
    groups = np.concatenate(
        [np.repeat(np.arange(len(sizes)), sizes), 100 + np.arange(10) % 3, 200 + np.arange(3)]
    )
    parts = split(make(labels, groups), seed=seed)
    for word in PARTS:
        assert set(labels[getattr(parts, word)]) == {0, 1, 2}


def test_a_rare_class_in_three_patients_is_in_every_part_and_the_shares_are_kept():
    labels = np.r_[np.zeros(300, int), np.ones(290, int), np.full(10, 2)]
    for seed in range(5):
        parts = split(make(labels, np.arange(600) // 4), seed=seed)
        assert [len(getattr(parts, word)) for word in PARTS] == pytest.approx([360, 90, 150], abs=12)
        assert all((labels[getattr(parts, word)] == 2).any() for word in PARTS)


def test_where_both_classes_are_in_every_patient_three_patients_are_enough():
    groups = np.array([0, 1, 2] * 20)
    parts = split(make(np.arange(60) // 3 % 2, groups))
    assert [len(getattr(parts, word)) for word in PARTS] == [20, 20, 20]


def test_two_hundred_classes_of_three_images():
    labels = np.arange(600) % 200
    parts = split(make(labels))
    assert all(len(set(labels[getattr(parts, word)])) == 200 for word in PARTS)


def test_the_patients_of_a_rare_class_differ_from_seed_to_seed():
    labels = np.r_[np.zeros(60, int), np.ones(5, int)]
    tests = {tuple(i for i in split(make(labels), seed=seed).test if labels[i]) for seed in range(20)}
    assert len(tests) >= 3


def test_identical_images_join_groups_along_the_chain():
    images = look_alikes([1, 2, 2, 3, 3, 4])
    archive = make([0, 1] * 3, [0, 0, 1, 1, 2, 3], images)
    joined = joined_groups(archive)
    assert joined.tolist()[:5] == [joined[0]] * 5
    assert joined[5] != joined[0]


def test_constant_images_join_nothing():
    images = np.random.default_rng(0).integers(0, 256, (400, 4, 4, 3), dtype=np.uint8)
    images[::10] = 0  # an empty slice in every patient
    images[5::10] = (200, 100, 50)  # and one of a single colour
    groups = np.repeat(np.arange(40), 10)
    archive = make(np.repeat(np.arange(40) % 2, 10), groups, images)
    assert len(set(joined_groups(archive).tolist())) == 40
    assert_apart(split(archive), archive.groups)
    assert len(set(joined_groups(make(archive.labels, None, images)).tolist())) == 400
    images[::10, 0, 0, 0] = 1  # the same image again, but not constant
    assert len(set(joined_groups(archive).tolist())) == 1
    with pytest.raises(MedtlError, match=r"in 1 group \(20 before groups that share an identical image"):
        split(archive)


def test_cases_of_an_unknown_group_count_each_for_itself():
    groups = np.array(["a", "", "NaN", "a", "None", "nan", " ", "<NA>", "b", "Nancy"])
    assert is_unknown(groups).tolist() == [text in {"", "NaN", "None", "nan", " ", "<NA>"} for text in groups]
    assert np.bincount(group_ids(groups)).tolist() == [1, 2, 1, 1, 1, 1, 1, 1, 1]
    assert group_ids(groups)[0] == group_ids(groups)[3]
    labels = np.arange(300) % 2
    unknown = np.where(labels == 0, "nan", np.array([f"p{i // 4}" for i in range(300)]))
    parts = split(replace(make(labels), groups=unknown))
    assert np.bincount(labels[parts.test]).tolist() == pytest.approx([38, 38], abs=2)
    words = np.array(["train", "val", "test", "train"] * 75)
    published = replace(make(np.arange(300) // 4 % 2), groups=np.full(300, ""), splits=words)
    assert len(split(published).train) == 150  # nobody is known to stand in two parts


def test_content_ids_tell_the_last_pixel_apart():
    images = np.zeros((4, 3, 3, 3), np.uint8)
    images[1, 2, 2, 2] = 1
    images[3] = images[1]
    ids = content_ids(images)
    assert ids[0] == ids[2] != ids[1] == ids[3]


@pytest.mark.parametrize("seed", ["0", -1, 1.0, None, True])
def test_a_seed_that_is_none_is_one_line(seed):
    archive = make(np.arange(30) % 2)
    with pytest.raises(MedtlError, match=f"^seed: found {seed!r}, expected a whole number of at least 0"):
        split(archive, seed=seed)
    with pytest.raises(MedtlError, match=f"^seed: found {seed!r}, expected a whole number of at least 0"):
        nested_subset(archive.labels, np.arange(archive.n), archive.n, seed)
    assert len(split(archive, seed=np.int64(3)).train)


def test_published_split_is_used_whatever_the_seed():
    words = np.array(["test", "train", "val", "train"] * 10)
    archive = make(np.arange(40) // 4 % 2, splits=words)
    for seed in (0, 1):
        parts = split(archive, seed=seed)
        for word in PARTS:
            assert getattr(parts, word).tolist() == np.flatnonzero(words == word).tolist()
    assert split(archive, published=False).train.tolist() != parts.train.tolist()


def test_missing_validation_part_comes_out_of_training_by_groups():
    words = np.array(["train"] * 80 + ["test"] * 20)
    groups = np.arange(100) // 4
    archive = make(np.arange(100) // 4 % 2, groups, splits=words)
    parts = split(archive)
    assert parts.test.tolist() == list(range(80, 100))
    assert len(parts.val) == 16  # .15 of .6 + .15
    assert_partition(parts, range(100))
    assert_apart(parts, archive.groups)


def test_group_in_two_published_parts_is_refused_and_can_be_split_anew():
    words = np.array(["train", "val", "test", "train"] * 10)
    groups = np.arange(40)
    groups[2] = groups[0]
    archive = make(np.arange(40) // 4 % 2, groups, splits=words)
    with pytest.raises(MedtlError, match="'splits': found group 'p0' in two splits"):
        split(archive)
    assert_apart(split(archive, published=False), archive.groups)


def test_a_leak_in_another_domain_does_not_matter():
    words = np.array(["train", "val", "test", "train"] * 10)
    groups = np.arange(40)
    groups[2] = groups[0]
    domains = np.array(["x"] * 4 + ["y"] * 36)
    archive = make(np.arange(40) // 4 % 2, groups, splits=words, domains=domains)
    assert_partition(split(archive, domain="y"), range(4, 40))
    with pytest.raises(MedtlError, match="two splits"):
        split(archive, domain="x")


@pytest.mark.parametrize(
    ("archive", "arguments", "words"),
    [
        (make([0, 1] * 20), {"domain": "x"}, "no domain 'x'"),
        (make([0, 1] * 20, domains=np.array(["x", "y"] * 20)), {"domain": "z"}, "one of x, y"),
        (make([0, 1] * 20, domains=np.array(["x", "y"] * 20)), {"domain": "x"}, "class 'c1'"),
        (make([0, 1] * 20, [0] * 40), {}, "class 'c0' in 1 group, expected at least 3"),
        (make([0] * 40 + [1, 1]), {}, "class 'c1' in 2 images, expected at least 3"),
        (make([0] * 40 + [1] * 4, np.arange(44) // 2), {}, "class 'c1' in 2 groups, expected at least 3"),
        # classes in groups 012, 013, 023: where the first two are in every part, 2 and 3 are in the same one
        (
            make([0, 1, 2, 0, 1, 0, 2, 1, 2] + [0, 1, 2] * 3, [0, 0, 0, 1, 1, 2, 2, 3, 3] + [0] * 9),
            {},
            "in 3 groups, and too few of these have no other class, expected",
        ),
        (make([0, 1] * 20, splits=np.array(["train"] * 40)), {}, "no image in test"),
        (make([0, 1] * 20, splits=np.array(["test"] * 40)), {}, "no image in train"),
        (
            make([0, 1] * 20, splits=np.array(["train", "test"] * 20)),
            {},
            "'c1' in 0 images",
        ),
        (
            make([0, 1] * 20, splits=np.array(["train", "test", "val", "test"] * 10)),
            {},
            "class 'c1' in train",
        ),
        (make([0, 1] * 20, splits=np.array(["train"] * 30 + ["val", "test"] * 5)), {}, "class 'c1' in val"),
        (make([0, 1] * 20), {"fractions": (0.5, 0.5, 0.0)}, "fractions"),
        (make([0, 1] * 20), {"fractions": (0.5, 0.4, 0.2)}, "fractions"),
    ],
)
def test_splits_that_cannot_be(archive, arguments, words):
    with pytest.raises(MedtlError, match=words) as caught:
        split(archive, **arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(
    labels=st.lists(st.integers(0, 3), min_size=8, max_size=120),
    sizes=st.lists(st.integers(1, 100), min_size=2, max_size=5),
    seed=st.integers(0, 20),
)
def test_subsets_are_nested_stratified_and_complete(labels, sizes, seed):
    labels = np.array(labels)
    pool = np.random.default_rng(seed).permutation(len(labels))[: max(4, len(labels) * 3 // 4)]
    classes = np.unique(labels)
    assume(set(labels[pool]) == set(classes))
    sizes = sorted({min(max(size, len(classes)), len(pool)) for size in sizes})
    previous: set = set()
    for n in sizes:
        chosen = nested_subset(labels, pool, n, seed)
        assert len(set(chosen.tolist())) == n
        assert previous <= set(chosen.tolist()) <= set(pool.tolist())
        assert set(labels[chosen]) == set(classes)
        for label in classes:
            share = n * (labels[pool] == label).mean()
            assert abs((labels[chosen] == label).sum() - share) <= len(classes)
        previous = set(chosen.tolist())
    assert previous or sizes == []


def test_subset_follows_the_seed_and_not_the_order_of_the_pool():
    labels = np.arange(200) % 2
    pool = np.arange(0, 200, 1)
    subsets = {tuple(nested_subset(labels, pool, 20, seed)) for seed in range(6)}
    assert len(subsets) == 6
    assert np.array_equal(nested_subset(labels, pool[::-1], 20, 3), nested_subset(labels, pool, 20, 3))


def test_every_case_of_a_class_is_drawn_equally_often():
    labels = np.array([0] * 10 + [1] * 10)
    drawn = np.zeros(20)
    for seed in range(2000):
        drawn[nested_subset(labels, np.arange(20), 6, seed)] += 1
    assert drawn.sum() == 12000
    np.testing.assert_allclose(drawn, 600, atol=5 * np.sqrt(600 * 0.7))


@pytest.mark.parametrize(
    ("n", "pool", "words"),
    [
        (1, range(40), "n=1"),
        (41, range(40), "n=41"),
        (0, range(40), "n=0"),
        (4, range(0, 40, 2), "no case of class 1"),
    ],
)
def test_subsets_that_cannot_be(n, pool, words):
    with pytest.raises(MedtlError, match=words):
        nested_subset(np.arange(40) % 2, np.array(pool), n, 0)
