"""Encoders that rank rightly or are refused, and distances with their interval and floor."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from medtl_core.backbones.small_network import small_cnn
from medtl_core.errors import MedtlError
from medtl_core.gans.quality import DomainEncoder, backbone_features, distance_to_real, domain_encoder
from medtl_core.gans.quality.encoder import blurred


def blobs(count, seed):
    """Bright discs of random place and size on a noisy ground, (count, 1, 16, 16)."""
    draw = torch.Generator().manual_seed(seed)
    place, size = (
        4 + 8 * torch.rand(count, 2, 1, 1, generator=draw),
        2 + 2 * torch.rand(count, 1, 1, generator=draw),
    )
    rows, columns = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    away = ((rows - place[:, 0]) ** 2 + (columns - place[:, 1]) ** 2).sqrt()
    images = 0.2 + 0.6 * (away < size).float() + 0.03 * torch.randn(count, 16, 16, generator=draw)
    return images.clamp(0, 1).unsqueeze(1)


def edges(images):
    """Coarse brightness and energy of differences: it sees place, sharpness and noise."""
    coarse = functional.avg_pool2d(images, 4).flatten(1)
    steps = images.diff(dim=-1).square().mean((1, 2, 3)).sqrt()
    return torch.cat([coarse, 30 * steps[:, None]], dim=1).numpy()


def brightness(images):
    return images.mean((2, 3)).numpy()


REAL = blobs(200, 0)
ENCODER = domain_encoder("edges", edges, REAL)


def test_a_good_encoder_ranks_real_blurred_mean_and_noise():
    values = list(ENCODER.rankings["kid"].values())
    assert list(ENCODER.rankings["kid"]) == ["real", "blurred", "mean image", "noise"]
    assert values == sorted(values)
    assert set(ENCODER.rankings) == {"kid", "fid"}


def test_an_encoder_that_ranks_wrongly_gives_no_figure():
    with pytest.raises(MedtlError, match="encoder brightness: ranks by kid") as error:
        domain_encoder("brightness", brightness, REAL)
    assert "expected real, blurred, mean image, noise; train it on this domain" in str(error.value)
    assert "\n" not in str(error.value)
    wrong = DomainEncoder(
        "x", edges, {"kid": ENCODER.rankings["kid"], "fid": dict.fromkeys(ENCODER.rankings["kid"], 1.0)}
    )
    distance_to_real(wrong, REAL, REAL, draws=20)
    with pytest.raises(MedtlError, match="ranks by fid"):
        distance_to_real(wrong, REAL, REAL, measure="fid", draws=20)


@pytest.mark.parametrize("measure", ["kid", "fid"])
def test_new_real_images_are_at_the_floor_and_blurred_ones_are_not(measure):
    again = distance_to_real(ENCODER, REAL, blobs(200, 1), measure=measure, draws=40)
    soft = distance_to_real(ENCODER, REAL, blurred(blobs(200, 1)), measure=measure, draws=40)
    assert again.low <= again.value <= again.high
    assert abs(again.share_of_blurred) < 0.2
    assert soft.share_of_blurred == pytest.approx(1, abs=0.3)
    assert soft.low > again.high
    assert again.cases == 100
    assert again == distance_to_real(ENCODER, REAL, blobs(200, 1), measure=measure, draws=40)


def test_groups_of_copies_raise_the_floor():
    """Four copies of each image: halves by image share them, halves by patient do not."""
    copies, patients = REAL[:40].repeat_interleave(4, 0), np.repeat(np.arange(40), 4)
    by_image = distance_to_real(ENCODER, copies, REAL, draws=40)
    by_patient = distance_to_real(ENCODER, copies, REAL, draws=40, groups=patients)
    assert by_patient.floor > by_image.floor


def test_blur_is_a_gaussian_of_1_7_px_of_64():
    point = torch.zeros(1, 1, 64, 64)
    point[..., 32, 32] = 1
    found = blurred(point)[0, 0]
    assert found.sum().item() == pytest.approx(1, abs=1e-4)
    spread = (found.sum(0) * (torch.arange(64.0) - 32) ** 2).sum().sqrt()
    assert spread.item() == pytest.approx(1.7, abs=0.02)


def test_backbone_features_are_those_before_the_head():
    backbone = small_cnn(num_classes=2, seed=0, width=2)
    backbone.network.train()
    found = backbone_features(backbone, batch_size=3)(REAL[:7])
    assert backbone.network.training
    backbone.network.eval()
    x = (REAL[:7].expand(-1, 3, -1, -1) - 0.5) / 0.5
    expected = backbone.network.forward_head(backbone.network.forward_features(x), pre_logits=True)
    assert found == pytest.approx(expected.detach().numpy(), abs=1e-5)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: domain_encoder("e", edges, REAL[:5]), "5 images, expected at least one batch of 8"),
        (lambda: domain_encoder("e", lambda x: np.zeros(3), REAL), r"encoder e: features \(3,\)"),
        (lambda: distance_to_real(ENCODER, REAL, REAL, draws=3), "3 draws"),
        (lambda: distance_to_real(ENCODER, REAL, REAL * 3), "distance, generated: images from"),
        (lambda: distance_to_real(ENCODER, REAL, REAL, measure="is"), "found 'is', expected one of kid, fid"),
    ],
)
def test_what_does_not_fit_is_refused(call, words):
    with pytest.raises(MedtlError, match=words):
        call()
