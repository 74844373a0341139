"""Policies: identity at strength 0, seeds, round trips, and one line for whatever is not valid."""

import pickle

import pytest
import torch

from medtl_core.augmentation import AugmentationPolicy, Generator, Transform, transform, transform_names
from medtl_core.augmentation.catalogue import CATALOGUE, KINDS, describe
from medtl_core.errors import MedtlError

NAMES = [name for name in transform_names() if name != "generated"]
VOLUMES = [name for name in NAMES if describe(name).volumes]
ALL = AugmentationPolicy(tuple(transform(name, 0.7, 0.8) for name in NAMES))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def batch(*spatial, n=8):
    drawn = generator(9)
    images = torch.rand(n, 1, *spatial, generator=drawn)
    masks = torch.randint(0, 4, (n, 1, *spatial), generator=drawn, dtype=torch.uint8)
    return images, torch.eye(n)[:, :4].roll(1, 0).clamp_min(0.05).softmax(1), masks


def sample(labels, generator):
    return torch.rand(len(labels), 1, 16, 16, generator=generator)


def single(name, strength):
    source = Generator("random", sample) if name == "generated" else None
    return AugmentationPolicy((Transform(name, strength, source=source),))


@pytest.mark.parametrize("name", transform_names())
def test_strength_0_is_the_identity_bit_for_bit(name):
    images, targets, masks = batch(16, 16)
    found = single(name, 0.0)(images, targets, masks, generator=generator())
    assert torch.equal(found.images, images)
    assert torch.equal(found.targets, targets)
    assert torch.equal(found.masks, masks)


@pytest.mark.parametrize("name", NAMES)
def test_a_trace_of_strength_changes_a_trace(name):
    images, targets, _ = batch(16, 16)
    found = single(name, 1e-6)(images.double(), targets.double(), generator=generator())
    torch.testing.assert_close(found.images, images.double(), atol=3e-3, rtol=0)  # Poisson: 10^6 quanta
    torch.testing.assert_close(found.targets, targets.double(), atol=1e-3, rtol=0)


@pytest.mark.parametrize("name", transform_names())
def test_the_same_seed_gives_the_same_batch_and_images_have_their_own_draws(name):
    image, _, _ = batch(16, 16, n=1)
    images = image.repeat(8, 1, 1, 1)
    if name in ("mixup", "cutmix"):
        images = images * torch.linspace(0.1, 1, 8).view(-1, 1, 1, 1)
    targets = torch.eye(8)
    policy = single(name, 1.0)
    found, again, other = (policy(images, targets, generator=generator(s)) for s in (1, 1, 2))
    assert torch.equal(found.images, again.images)
    assert torch.equal(found.targets, again.targets)
    assert not torch.equal(found.images, other.images)
    assert len({tuple(image.flatten().tolist()) for image in found.images}) >= (2 if name == "flip" else 3)


@pytest.mark.parametrize("name", VOLUMES)
def test_volumes_and_their_masks_are_taken(name):
    volumes, targets, masks = batch(6, 16, 16, n=4)
    masks = None if describe(name).masks == "refused" else masks
    found = single(name, 1.0)(volumes, targets, masks, generator=generator())
    assert found.images.shape == volumes.shape
    assert not torch.equal(found.images, volumes)
    if masks is not None:
        assert torch.equal(found.masks, masks) == (describe(name).masks == "kept")


def test_what_volumes_must_be_able_to_do():
    assert {"flip", "rotation", "scale", "translation", "elastic", "gaussian_noise", "intensity"} <= set(
        VOLUMES
    )


@pytest.mark.parametrize("name", ["flip", "rotation"])
def test_slices_of_a_volume_move_together(name):
    image, targets, _ = batch(16, 16)
    volumes = image[:, :, None].repeat(1, 1, 5, 1, 1)
    found = single(name, 1.0)(volumes, targets, generator=generator()).images
    flat = single(name, 1.0)(image, targets, generator=generator()).images
    torch.testing.assert_close(found, flat[:, :, None].expand_as(found))


@pytest.mark.parametrize("probability", [0.3, 1.0])
def test_images_that_take_no_part_stay_bit_for_bit(probability):
    images, targets, _ = batch(16, 16, n=400)
    policy = AugmentationPolicy((transform("rotation", 1.0, probability), transform("elastic", 1.0, 0.01)))
    found = policy(images, targets, generator=generator()).images
    changed = (found != images).flatten(1).any(1).float().mean()
    assert changed == pytest.approx(probability, abs=0.08)


def test_inputs_stay_as_they_are_and_targets_sum_to_one():
    images, targets, _ = batch(16, 16)
    kept = images.clone(), targets.clone()
    found = ALL(images, targets, generator=generator())
    assert torch.equal(images, kept[0])
    assert torch.equal(targets, kept[1])
    torch.testing.assert_close(found.targets.sum(1), torch.ones(8))
    assert found.images.min() >= 0
    assert found.images.max() <= 1


def test_batch_is_the_call_without_masks():
    images, targets, _ = batch(16, 16)
    whole = ALL(images, targets, generator=generator())
    for found, expected in zip(
        ALL.batch(images, targets, generator()), (whole.images, whole.targets), strict=True
    ):
        assert torch.equal(found, expected)


def test_round_trips(tmp_path):
    file = tmp_path / "policy.yaml"
    file.write_text(ALL.to_yaml(), "utf-8")
    assert AugmentationPolicy.from_dict(ALL.to_dict()) == ALL
    assert AugmentationPolicy.from_yaml(ALL.to_yaml()) == ALL
    assert AugmentationPolicy.from_yaml(file) == ALL
    assert pickle.loads(pickle.dumps(ALL)) == ALL
    assert hash(pickle.loads(pickle.dumps(ALL))) == hash(ALL)
    assert AugmentationPolicy.from_yaml("- name: blur").transforms == (transform("blur", 0.5, 1.0),)


def test_repr_is_complete():
    names = {"AugmentationPolicy": AugmentationPolicy, "Transform": Transform}
    assert eval(repr(ALL), names) == ALL
    assert repr(ALL) != repr(ALL.scaled(0.9))
    assert repr(single("generated", 1.0)) == (
        "AugmentationPolicy(transforms=(Transform(name='generated', strength=1.0, probability=1.0, "
        "source=Generator(name='random', soft=False)),))"
    )


def test_scaled_multiplies_all_strengths():
    assert [t.strength for t in ALL.scaled(0.5).transforms] == [0.35] * len(NAMES)
    with pytest.raises(MedtlError, match=r"flip: strength is 1\.4, expected 0 to 1"):
        ALL.scaled(2)


def test_the_catalogue_is_complete():
    assert [name for kind in KINDS for name in transform_names(kind)] == transform_names()
    assert transform_names("deformable") == ["elastic", "bspline"]
    assert transform_names("other") == ["mixup", "cutmix", "cutout", "patch_swap"]
    assert transform_names("deep") == ["generated"]
    assert len(transform_names("basic")) == 12
    for entry in CATALOGUE.values():
        assert entry.masks in ("kept", "warped", "moved", "refused")
        assert transform("flip").assumption == "the class does not depend on left and right"
        assert len(entry.assumption.split()) > 4


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: transform("shear"), "found 'shear', expected one of flip, rotation, .*generated"),
        (lambda: transform("blur", 1.1), r"blur: strength is 1\.1, expected 0 to 1 \(a standard dev"),
        (lambda: transform("blur", float("nan")), "strength is nan, expected 0 to 1"),
        (lambda: transform("blur", "strong"), "strength is 'strong', expected 0 to 1"),
        (lambda: transform("blur", True), "strength is True, expected 0 to 1"),
        (lambda: transform("blur", 0.5, 0.0), r"blur: probability is 0\.0, expected above 0 to 1"),
        (lambda: transform("generated"), "generated: source is None, expected a Generator"),
        (lambda: Transform("blur", source=Generator("a", sample)), "blur: source is .*, expected none"),
        (lambda: transform_names("geometric"), "found class 'geometric', expected one of basic, deformable"),
        (lambda: AugmentationPolicy.from_dict({"name": "flip"}), "found dict, expected a list"),
        (lambda: AugmentationPolicy.from_yaml("flip"), "found str, expected a list"),
        (lambda: AugmentationPolicy.from_yaml("- {name: [}"), "expected a YAML list"),
        (lambda: AugmentationPolicy.from_yaml("- strength: 1"), "entry 1: found .*, expected name"),
        (
            lambda: AugmentationPolicy.from_yaml("- name: flip\n- {name: blur, sigma: 3}"),
            r"entry 2 \(blur\): unknown field sigma, expected name, strength, probability",
        ),
        (
            lambda: AugmentationPolicy.from_yaml("- name: flip\n- {name: blur, strength: 3}"),
            "entry 2: blur: strength is 3, expected 0 to 1",
        ),
        (lambda: AugmentationPolicy.from_yaml("- name: [1]"), r"entry 1: transform: found \[1\]"),
        (lambda: AugmentationPolicy.from_yaml("- name: generated"), "entry 1: generated: source is None"),
    ],
)
def test_what_is_not_valid_is_refused_by_name(make, message):
    with pytest.raises(MedtlError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_batches_of_other_shapes_are_refused():
    images, targets, masks = batch(16, 16)
    for arguments, message in (
        ((images[0], targets), r"images torch.float32 \(1, 16, 16\), expected float"),
        (((images * 255).byte(), targets), "images torch.uint8"),
        ((images, targets.argmax(1)), r"targets torch.int64 \(8,\) for 8 images, expected float \(N, K\)"),
        ((images, targets[:5]), r"targets torch.float32 \(5, 4\) for 8 images"),
        ((images, targets, masks[..., :5]), r"masks \(8, 1, 16, 5\), expected \(8, 1, 16, 16\)"),
    ):
        with pytest.raises(MedtlError, match=message):
            ALL(*arguments, generator=generator())
    with pytest.raises(MedtlError, match="mixup: no mask fits its images"):
        single("mixup", 1.0)(images, targets, masks, generator=generator())
