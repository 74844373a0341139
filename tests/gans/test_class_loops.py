"""ACGAN and per-class DCGAN."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from medtl_core.errors import MedtlError
from medtl_core.gans.loops import (
    ACGANConfig,
    GANConfig,
    Watching,
    sample,
    train_acgan,
    train_gan,
    train_per_class,
)
from medtl_core.gans.networks import (
    ConditionalGenerator,
    ConvolutionalDiscriminator,
    ConvolutionalGenerator,
    TwoHeadDiscriminator,
)

LABELS = torch.arange(16) % 2
DRAW = torch.Generator().manual_seed(0)
IMAGES = (0.2 + 0.6 * LABELS.view(-1, 1, 1, 1) + 0.1 * torch.rand(16, 1, 16, 16, generator=DRAW)).clamp(0, 1)


def acgan(seed=0, width=2):
    settings = {"size": 16, "channels": 1, "classes": 2, "width": width, "seed": seed}
    return ConditionalGenerator(latent_dim=4, **settings), TwoHeadDiscriminator(**settings)


def build(seed):
    return (
        ConvolutionalGenerator(size=16, channels=1, latent_dim=4, width=2, seed=seed),
        ConvolutionalDiscriminator(size=16, channels=1, width=2, seed=seed),
    )


def weights(network):
    return torch.cat([w.flatten().float() for w in network.state_dict().values()])


class StoppedError(Exception):
    pass


def test_acgan_repeats_itself_and_resumes(tmp_path):
    config = ACGANConfig(steps=6, batch_size=4, ema_decay=0.5)
    whole = train_acgan(*acgan(), IMAGES, LABELS, config, seed=0)

    def stop(snapshot):
        assert list(snapshot.images) == ["class 0", "class 1"]
        raise StoppedError

    path = tmp_path / "acgan.pt"
    with pytest.raises(StoppedError):
        train_acgan(*acgan(), IMAGES, LABELS, config, seed=0, checkpoint=path, checkpoint_every=2,
                    watching=Watching(stop, 3))  # fmt: skip
    resumed = train_acgan(*acgan(5), IMAGES, LABELS, config, seed=0, checkpoint=path)
    assert torch.equal(weights(resumed.generator), weights(whole.generator))
    assert resumed.history == whole.history
    assert set(whole.history[0]) == {"step", "discriminator", "generator", "class_real", "class_fake"}


@pytest.mark.parametrize("made_class_weight", [1.0, 0.0, 0.3])
def test_the_first_step_of_an_acgan_is_the_algorithm_written_out(made_class_weight):
    """Odena et al. 2017, equations 2 and 3; the weight is that of L_C on generated images, in D's turn."""
    sizes = {"size": 16, "channels": 1, "classes": 2, "width": 2, "seed": 0}
    (generator, g), (discriminator, d) = (
        [build(**sizes, **more) for _ in range(2)]
        for build, more in ((ConditionalGenerator, {"latent_dim": 4}), (TwoHeadDiscriminator, {"dropout": 0}))
    )
    config = ACGANConfig(steps=1, batch_size=4, class_weight=2.0, made_class_weight=made_class_weight)
    train_acgan(generator, discriminator, IMAGES, LABELS, config, seed=3)
    draw = torch.Generator().manual_seed(3)
    torch.rand(4, 4, generator=draw)  # the vectors of the snapshots
    batch = np.random.default_rng([3, 0, 0]).permutation(16)[:4]
    wanted = torch.randint(2, (4,), generator=draw)
    fake = g(torch.rand(4, 4, generator=draw) * 2 - 1, wanted)
    on_real, class_real = d(IMAGES[batch] * 2 - 1)
    on_fake, class_fake = d(fake.detach())
    named = functional.nll_loss(class_real.log_softmax(1), LABELS[batch])
    named = named + made_class_weight * functional.nll_loss(class_fake.log_softmax(1), wanted)
    d_loss = -(on_real.sigmoid().log() + (1 - on_fake.sigmoid()).log()).mean() + 2 * named
    _adam_step(d, d_loss)
    verdict, class_fake = d(fake)
    g_loss = -verdict.sigmoid().log().mean() + 2 * functional.nll_loss(class_fake.log_softmax(1), wanted)
    _adam_step(g, g_loss)
    for ours, by_hand in ((generator, g), (discriminator, d)):
        for a, b in zip(ours.parameters(), by_hand.parameters(), strict=True):
            assert torch.allclose(a, b, atol=1e-6)


def _adam_step(network, loss):
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999))
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


@pytest.mark.slow
def test_acgan_learns_what_the_classes_are():
    config = ACGANConfig(steps=120, batch_size=16, learning_rate=5e-3, ema_decay=0.8)
    result = train_acgan(*acgan(width=4), IMAGES, LABELS, config, seed=0)
    dark, bright = (
        sample(result.generator, 32, seed=1, labels=torch.full((32,), k)).mean().item() for k in (0, 1)
    )
    assert bright - dark > 0.3


def test_per_class_generators_are_those_of_the_class_alone():
    config = GANConfig(steps=3, batch_size=4)
    results = train_per_class(build, IMAGES, LABELS, config, seed=0)
    assert len(results) == 2
    seeds = []

    def spy(seed):
        seeds.append(seed)
        return build(seed)

    train_per_class(spy, IMAGES, LABELS, config, seed=0)
    alone = train_gan(*build(seeds[1]), IMAGES[LABELS == 1], config, seed=seeds[1])
    assert torch.equal(weights(alone.generator), weights(results[1].generator))
    assert seeds[0] != seeds[1]


def test_per_class_snapshots_and_checkpoints_name_the_class(tmp_path):
    seen = []
    config = GANConfig(steps=3, batch_size=4)
    first = train_per_class(build, IMAGES, LABELS, config, seed=0, checkpoint=tmp_path / "fold",
                            on_snapshot=lambda k, snapshot: seen.append((k, snapshot.step)))  # fmt: skip
    assert seen == [(0, 3), (1, 3)]
    assert sorted(p.name for p in (tmp_path / "fold").iterdir()) == ["class-0.pt", "class-1.pt"]
    again = train_per_class(build, IMAGES, LABELS, config, seed=0, checkpoint=tmp_path / "fold")
    assert torch.equal(weights(again[1].generator), weights(first[1].generator))


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (torch.zeros(16, dtype=torch.int64), r"one class only \(\[0\]\), expected at least 2"),
        (LABELS * 2, r"classes \[0, 2\], expected 0 to 1"),
        (LABELS[:5], r"labels torch.int64 \(5,\), expected int64 \(16,\)"),
        (LABELS.float(), "labels torch.float32"),
    ],
)
def test_bad_labels_are_one_line(labels, words):
    with pytest.raises(MedtlError, match=words):
        train_acgan(*acgan(), IMAGES, labels, ACGANConfig(batch_size=4), seed=0)
    with pytest.raises(MedtlError, match=words):
        train_per_class(build, IMAGES, labels, GANConfig(batch_size=4), seed=0)


def test_a_class_smaller_than_a_batch_and_other_classes_are_refused():
    rare = (torch.arange(16) == 0).long()
    with pytest.raises(MedtlError, match="1 images, expected at least one batch of 4"):
        train_per_class(build, IMAGES, rare, GANConfig(batch_size=4, steps=1), seed=0)
    with pytest.raises(MedtlError, match="labels of 3, expected the same number"):
        train_acgan(*acgan(), IMAGES, torch.arange(16) % 3, ACGANConfig(batch_size=4), seed=0)
    with pytest.raises(MedtlError, match="class_weight is -1"):
        replace(ACGANConfig(), class_weight=-1)
    with pytest.raises(MedtlError, match="2 images and 1 labels"):
        sample(acgan()[0], 2, seed=0, labels=torch.zeros(1, dtype=torch.int64))
