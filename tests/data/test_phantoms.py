"""What phantoms promise: a known truth, no trivial cue, and dials that do what they say."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage, stats
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from medtl_core.data.archives import archive as archives
from medtl_core.data.phantoms.acquisition import AcquisitionStyle
from medtl_core.data.phantoms.lesions import FAMILIES
from medtl_core.data.phantoms.phantoms import SPECS, Domain, PhantomSpec, draw
from medtl_core.data.splits import split
from medtl_core.errors import MedtlError


@pytest.fixture(scope="module")
def default():
    return draw(SPECS["phantoms"], 0)


@pytest.mark.parametrize("name", SPECS)
def test_every_named_set_is_a_valid_archive(name):
    spec = replace(SPECS[name], n=300)
    drawn = draw(spec, 0)
    archives.validate(drawn, name)
    shape = (300, spec.size, spec.size)
    assert drawn.images.shape == ((*shape, 3) if spec.colour else shape)
    assert (drawn.name, drawn.class_names) == (name, spec.classes)
    assert drawn.masks.shape == shape
    assert np.all(drawn.masks.any(axis=(1, 2)))
    assert set(drawn.domains) == {domain.name for domain in spec.domains}
    assert drawn.images.std(axis=tuple(range(1, drawn.images.ndim))).min() > 10


@pytest.mark.slow
def test_the_default_has_room_for_training_and_a_test_set_of_500(default):
    parts = split(default, seed=0)
    assert len(parts.train) >= 1000
    assert len(parts.val) >= 200
    assert len(parts.test) >= 480


def test_same_seed_same_images():
    spec = PhantomSpec(n=60)
    first, second, other = draw(spec, 3), draw(spec, 3), draw(spec, 4)
    assert first.checksum == second.checksum
    assert first.checksum != other.checksum


def test_a_patient_has_one_lesion_one_site_and_as_many_images_as_said():
    spec = replace(SPECS["phantoms_shift"], n=400, images_per_patient=(2, 3))
    drawn = draw(spec, 0)
    _, first, count = np.unique(drawn.groups, return_index=True, return_counts=True)
    assert set(count[:-1]) == {2, 3}
    for values in (drawn.metadata["true_label"], drawn.domains, drawn.metadata["lesion_contrast"]):
        np.testing.assert_array_equal(values, np.repeat(values[first], count))
    assert len({image.tobytes() for image in drawn.images}) == 400


def test_images_of_a_patient_resemble_each_other(default):
    pixels = default.images[:600].reshape(600, -1).astype(float)
    pixels = (pixels - pixels.mean(0)) / pixels.std(0)
    likeness = np.corrcoef(pixels)
    same = default.groups[:600, None] == default.groups[None, :600]
    np.fill_diagonal(likeness, np.nan)
    assert np.nanmean(likeness[same]) > np.nanmean(likeness[~same]) + 0.15


def cues(images: np.ndarray) -> np.ndarray:
    flat = images.reshape(len(images), -1)
    histogram = np.stack([np.bincount(row // 8, minlength=32) for row in flat])
    return np.column_stack([flat.mean(1), flat.std(1), histogram])


def cross_auroc(features: np.ndarray, archive) -> float:
    """AUROC on patients that the classifier has not seen."""
    parts = split(archive, seed=0, fractions=(0.5, 0.05, 0.45))
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
    model.fit(features[parts.train], archive.labels[parts.train])
    return roc_auc_score(archive.labels[parts.test], model.predict_proba(features[parts.test])[:, 1])


def test_grey_levels_do_not_tell_the_classes_apart_but_the_outline_does(default):
    assert 0.42 < cross_auroc(cues(default.images), default) < 0.6
    on_lesion = np.stack([i[m == 1].mean() for i, m in zip(default.images, default.masks, strict=True)])
    assert 0.42 < cross_auroc(on_lesion[:, None], default) < 0.58
    eroded = ndimage.binary_erosion(default.masks, np.ones((1, 3, 3)))
    rim = (default.masks.sum((1, 2)) - eroded.sum((1, 2))) / np.sqrt(default.masks.sum((1, 2)))
    assert cross_auroc(rim[:, None], default) > 0.95


def test_lesions_of_all_classes_have_the_same_area(default):
    area = default.masks.sum(axis=(1, 2))
    by_class = [area[default.labels == k] for k in (0, 1)]
    assert abs(by_class[0].mean() / by_class[1].mean() - 1) < 0.04
    assert stats.ks_2samp(*by_class).statistic < 0.08


def test_the_mask_marks_the_lesion_and_contrast_is_its_brightness():
    quiet = AcquisitionStyle(blur=0, noise=0, bias_field=0)
    spec = PhantomSpec(n=80, lesion_texture=0, domains=(Domain("quiet", quiet),))
    faint, bright = draw(replace(spec, contrast=0.0), 5), draw(replace(spec, contrast=0.2), 5)
    difference = (bright.images.astype(float) - faint.images) / 255
    inside = ndimage.binary_erosion(bright.masks, np.ones((1, 3, 3)))
    far = ~ndimage.binary_dilation(bright.masks, np.ones((1, 5, 5)))
    np.testing.assert_array_equal(faint.masks, bright.masks)
    # Only spikes and lobes, at most a pixel wide, change anything far from the mask.
    assert np.mean(difference[far] != 0) < 0.01
    measured = np.array([d[m].mean() for d, m in zip(difference, inside, strict=True)])
    ratio = measured / bright.metadata["lesion_contrast"]
    # Gamma is 1, varying by a tenth: its slope changes what a grey level is worth.
    assert 0.85 < np.median(ratio) < 1.1


def test_irregularity_zero_leaves_only_ovals():
    drawn = draw(PhantomSpec(n=600, irregularity=0.0), 1)
    eroded = ndimage.binary_erosion(drawn.masks, np.ones((1, 3, 3)))
    rim = (drawn.masks.sum((1, 2)) - eroded.sum((1, 2))) / np.sqrt(drawn.masks.sum((1, 2)))
    assert 0.4 < roc_auc_score(drawn.labels, rim) < 0.6


@pytest.mark.slow
def test_prevalence_holds_in_every_domain():
    spec = replace(SPECS["phantoms_shift"], n=1500, prevalence=(0.8, 0.2), images_per_patient=(1, 1))
    drawn = draw(spec, 0)
    for domain in spec.domains:
        assert drawn.labels[drawn.domains == domain.name].mean() == pytest.approx(0.2, abs=0.003)


def test_shares_of_domains():
    domains = (Domain("a", share=3.0), Domain("b", share=1.0))
    drawn = draw(PhantomSpec(n=400, images_per_patient=(1, 1), domains=domains), 0)
    assert (drawn.domains == "a").sum() == pytest.approx(300, abs=1)


def test_label_noise_is_known_and_leaves_the_lesion_alone():
    spec = PhantomSpec(n=3000, size=24, classes=("smooth", "lobed", "ring"))
    clean, noisy = draw(spec, 2), draw(replace(spec, label_noise=0.3), 2)
    np.testing.assert_array_equal(clean.labels, clean.metadata["true_label"])
    np.testing.assert_array_equal(noisy.metadata["true_label"], clean.labels)
    np.testing.assert_array_equal(noisy.images, clean.images)
    wrong = noisy.labels != clean.labels
    assert wrong.mean() == pytest.approx(0.3, abs=4 * np.sqrt(0.21 / 3000))
    away = (noisy.labels - clean.labels)[wrong] % 3
    assert (away == 1).mean() == pytest.approx(0.5, abs=0.07)


def test_the_shortcut_is_as_informative_as_said():
    drawn = draw(replace(SPECS["phantoms_shortcut"], n=4000, size=24), 0)
    mark, last = drawn.metadata["mark"], drawn.labels == 1
    for domain, informedness in (("marked", 0.95), ("unbiased", 0.0)):
        here = drawn.domains == domain
        found = mark[here & last].mean() - mark[here & ~last].mean()
        assert found == pytest.approx(informedness, abs=0.1 if informedness == 0 else 0.03)
        assert np.corrcoef(mark[here], last[here])[0, 1] == pytest.approx(informedness, abs=0.1)
        assert mark[here].mean() == pytest.approx(0.5, abs=0.06)


def test_two_sources_differ_in_style_and_in_what_the_mark_says():
    drawn = draw(replace(SPECS["phantoms_sources"], n=4000, size=24), 0)
    mark, last = drawn.metadata["mark"], drawn.labels == 1
    for domain, informedness in (("hospital_a", 0.9), ("hospital_b", 0.0)):
        here = drawn.domains == domain
        found = mark[here & last].mean() - mark[here & ~last].mean()
        assert found == pytest.approx(informedness, abs=0.1 if informedness == 0 else 0.04)
        assert last[here].mean() == pytest.approx(0.5, abs=0.03)
    styles = [domain.style for domain in SPECS["phantoms_sources"].domains]
    assert styles[0] != styles[1]


@pytest.mark.slow
def test_marks_are_seen_in_the_corner_and_nowhere_else(default):
    domain = Domain("site", shortcut=0.0)
    with_marks = draw(replace(SPECS["phantoms"], domains=(domain,)), 0)
    changed = with_marks.images != default.images
    marked = with_marks.metadata["mark"] == 1
    assert not changed[~marked].any()
    assert np.all(changed[marked][:, :12, :12].any(axis=(1, 2)))
    assert not changed[:, 12:].any()
    assert not changed[:, :, 12:].any()
    assert np.all(with_marks.images[changed] == 245)
    assert not default.metadata["mark"].any()


def test_specs_that_differ_in_size_show_the_same_patients():
    small, large = draw(PhantomSpec(n=60, size=32), 7), draw(PhantomSpec(n=60, size=96), 7)
    np.testing.assert_array_equal(small.labels, large.labels)
    np.testing.assert_array_equal(small.groups, large.groups)
    shrunk = large.masks.reshape(60, 32, 3, 32, 3).mean(axis=(2, 4)) > 0.5
    overlap = 2 * (shrunk & (small.masks == 1)).sum() / (shrunk.sum() + small.masks.sum())
    assert overlap > 0.93


@pytest.mark.slow
def test_seven_classes_in_colour_differ_in_more_than_hue():
    drawn = draw(SPECS["phantoms_colour"], 0)
    assert drawn.n_classes == 7 == len(FAMILIES)
    assert np.bincount(drawn.labels).min() > drawn.n / 10
    red, green, blue = (drawn.images[..., c].mean() for c in range(3))
    assert green < blue
    assert green < red
    parts = split(drawn, seed=0, fractions=(0.5, 0.05, 0.45))
    hues = np.column_stack([drawn.images.mean((1, 2)), drawn.images.std((1, 2))])
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
    model.fit(hues[parts.train], drawn.labels[parts.train])
    assert model.score(hues[parts.test], drawn.labels[parts.test]) < 1 / 7 + 0.08


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"n": 3}, "n is 3"),
        ({"size": 10}, "size is 10"),
        ({"classes": ("smooth",)}, "classes"),
        ({"classes": ("smooth", "square")}, "classes"),
        ({"prevalence": (0.5, 0.6)}, "prevalence"),
        ({"images_per_patient": (3, 2)}, "images_per_patient"),
        ({"contrast": 1.5}, "contrast"),
        ({"contrast": float("nan")}, "contrast"),
        ({"irregularity": -0.1}, "irregularity"),
        ({"lesion_texture": 0.6}, "lesion_texture"),
        ({"tissue_texture": -0.1}, "tissue_texture"),
        ({"lesion_radius": (0.3, 0.2)}, "lesion_radius"),
        ({"label_noise": 0.7}, "label_noise"),
        ({"domains": ()}, "domains"),
        ({"domains": (Domain("a"), Domain("a"))}, "domains"),
        ({"domains": (Domain("a", share=0.0),)}, "share"),
        ({"domains": (Domain("a", shortcut=1.5),)}, "shortcut"),
        ({"domains": (Domain("a", AcquisitionStyle(noise=2.0)),)}, "noise is 2.0"),
        ({"n": 8, "prevalence": (0.99, 0.01)}, "class 'spiculated' gets none"),
    ],
)
def test_specs_out_of_range_are_refused_in_one_line(change, field):
    with pytest.raises(MedtlError, match=field) as caught:
        draw(replace(PhantomSpec(), **change), 0)
    assert "\n" not in str(caught.value)
    assert "'phantoms'" in str(caught.value)


def test_laboratories_stain_apart_and_have_the_same_classes():
    """Mean colours of the laboratories lie further apart than those of the two classes within one."""
    stained = draw(replace(SPECS["phantoms_stains"], n=480, size=32), 0)
    assert sorted(set(stained.domains.tolist())) == ["laboratory_a", "laboratory_b", "laboratory_c"]

    def colour(chosen):
        return stained.images[chosen].reshape(-1, 3).mean(axis=0)

    names = sorted(set(stained.domains.tolist()))
    between = [
        np.abs(colour(stained.domains == a) - colour(stained.domains == b)).max()
        for a, b in zip(names, [*names[1:], names[0]], strict=True)
    ]
    within = [
        np.abs(
            colour((stained.domains == a) & (stained.labels == 0))
            - colour((stained.domains == a) & (stained.labels == 1))
        ).max()
        for a in names
    ]
    assert min(between) > max(within)
    shares = [stained.labels[stained.domains == a].mean() for a in names]
    assert max(shares) - min(shares) < 0.15
