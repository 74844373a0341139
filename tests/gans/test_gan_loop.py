"""The loop of the vanilla GAN and DCGAN: it learns, repeats itself, resumes, and says what goes wrong."""

from dataclasses import replace

import pytest
import torch

from medtl_core.errors import MedtlError
from medtl_core.gans.loops import GANConfig, Watching, sample, train_gan
from medtl_core.gans.loops.training_run import TrainingRun
from medtl_core.gans.networks import (
    ConvolutionalDiscriminator,
    ConvolutionalGenerator,
    MLPDiscriminator,
    MLPGenerator,
)

IMAGES = torch.rand(12, 1, 16, 16, generator=torch.Generator().manual_seed(0))
CONFIG = GANConfig(steps=6, batch_size=4, ema_decay=0.5)


def networks(seed=0):
    return (
        ConvolutionalGenerator(size=16, channels=1, latent_dim=4, width=2, seed=seed),
        ConvolutionalDiscriminator(size=16, channels=1, width=2, seed=seed),
    )


def weights(result):
    return torch.cat([w.flatten() for w in result.generator.state_dict().values()])


def test_the_seed_decides_the_result_and_leaves_the_global_state_alone():
    state = torch.get_rng_state()
    first, again, other = (train_gan(*networks(), IMAGES, CONFIG, seed=s) for s in (0, 0, 1))
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(weights(first), weights(again))
    assert first.history == again.history
    assert [entry["step"] for entry in first.history] == [1, 2, 3, 4, 5, 6]
    assert not torch.equal(weights(first), weights(other))
    made = sample(first.generator, 3, seed=0)
    assert made.shape == (3, 1, 16, 16)
    assert 0 <= made.min() <= made.max() <= 1


def test_the_first_step_is_the_algorithm_written_out():
    generator, discriminator = networks()
    train_gan(generator, discriminator, IMAGES, replace(CONFIG, steps=1), seed=3)
    g, d = networks()
    draw = torch.Generator().manual_seed(3)
    torch.rand(16, 4, generator=draw)
    real = IMAGES[_first_batch()] * 2 - 1
    fake = g(torch.rand(4, 4, generator=draw) * 2 - 1)
    for network, loss in (
        (d, lambda: -(d(real).sigmoid().log().mean() + (1 - d(fake.detach()).sigmoid()).log().mean())),
        (g, lambda: -d(fake).sigmoid().log().mean()),
    ):
        optimiser = torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999))
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()
    for ours, by_hand in ((generator, g), (discriminator, d)):
        for a, b in zip(ours.parameters(), by_hand.parameters(), strict=True):
            assert torch.allclose(a, b, atol=1e-6)


def _first_batch():
    seen = []

    class Spy(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.w = torch.nn.Parameter(torch.zeros(()))

        def forward(self, x):
            seen.append(x.detach())
            return self.w * x.flatten(1).sum(1)

    train_gan(networks()[0], Spy(), IMAGES, replace(CONFIG, steps=1), seed=3)
    return [int((IMAGES * 2 - 1 - image).flatten(1).abs().sum(1).argmin()) for image in seen[1]]


def test_an_epoch_shows_every_image_once():
    shown = []

    class Spy(MLPDiscriminator):
        def forward(self, x):
            shown.append(x.detach().clone())
            return super().forward(x)

    train_gan(networks()[0], Spy((1, 16, 16), width=2, seed=0), IMAGES, CONFIG, seed=0)
    real = torch.cat([shown[i] for i in (1, 4, 7)])  # the first call is the look at the networks
    assert torch.equal(real.flatten(1).sum(1).sort()[0], (IMAGES * 2 - 1).flatten(1).sum(1).sort()[0])


def test_every_epoch_and_every_set_has_an_order_of_its_own():
    run = TrainingRun("GAN", {}, steps=9, seed=0, device=torch.device("cpu"), identity="", checkpoint=None,
                      checkpoint_every=1)  # fmt: skip
    orders = []
    for run.step in range(6):
        orders.append(run.batch(13, 4).tolist())
    first, second = ([case for batch in orders[k : k + 3] for case in batch] for k in (0, 3))
    assert len(set(first)) == len(set(second)) == 12
    assert first != second
    run.step = 0
    assert run.batch(13, 4).tolist() == orders[0] != run.batch(13, 4, stream=1).tolist()


class StoppedError(Exception):
    pass


def test_a_stopped_run_resumes_to_the_same_weights(tmp_path):
    config = replace(CONFIG, augmented=True)
    whole = train_gan(*networks(), IMAGES, config, seed=0)

    def stop(snapshot):
        raise StoppedError

    path = tmp_path / "run.pt"
    with pytest.raises(StoppedError):
        train_gan(*networks(), IMAGES, config, seed=0, checkpoint=path, checkpoint_every=2,
                  watching=Watching(stop, 5))  # fmt: skip
    resumed = train_gan(*networks(7), IMAGES, config, seed=0, checkpoint=path, checkpoint_every=2)
    assert torch.equal(weights(resumed), weights(whole))
    assert resumed.history == whole.history
    done = train_gan(*networks(9), IMAGES, config, seed=0, checkpoint=path)
    assert torch.equal(weights(done), weights(whole))


def test_a_checkpoint_of_another_run_or_a_damaged_one_is_refused(tmp_path):
    path = tmp_path / "run.pt"
    train_gan(*networks(), IMAGES, CONFIG, seed=0, checkpoint=path)
    for images, config, seed in (
        (IMAGES, CONFIG, 1), (IMAGES.flip(0), CONFIG, 0), (IMAGES, replace(CONFIG, steps=9), 0)
    ):  # fmt: skip
        with pytest.raises(MedtlError, match="checkpoint of another run") as error:
            train_gan(*networks(), images, config, seed=seed, checkpoint=path)
        assert "\n" not in str(error.value)
    wider = ConvolutionalGenerator(size=16, channels=1, latent_dim=4, width=4, seed=0)
    with pytest.raises(MedtlError, match="checkpoint of another generator") as error:
        train_gan(wider, networks()[1], IMAGES, CONFIG, seed=0, checkpoint=path)
    assert "\n" not in str(error.value)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(MedtlError, match="cannot be read") as error:
        train_gan(*networks(), IMAGES, CONFIG, seed=0, checkpoint=path)
    assert "\n" not in str(error.value)


def test_snapshots_show_the_same_vectors_and_change_no_result():
    seen = []
    watched = train_gan(*networks(), IMAGES, CONFIG, seed=0, watching=Watching(seen.append, 4))
    assert torch.equal(weights(watched), weights(train_gan(*networks(), IMAGES, CONFIG, seed=0)))
    assert [snapshot.step for snapshot in seen] == [4, 6]
    assert seen[0].images["generated"].shape == (16, 1, 16, 16)
    assert seen[0].grid().shape == (3, 18, 16 * 17 + 1)


def test_a_collapsed_generator_is_said():
    generator, discriminator = networks()
    torch.nn.init.zeros_(generator.project.weight)
    config = replace(CONFIG, learning_rate=1e-12)
    result = train_gan(generator, discriminator, IMAGES, config, seed=0)
    assert len(result.signs) == 1
    assert result.signs[0].startswith("collapse: generated images vary")


def test_a_loss_that_is_not_finite_names_its_step():
    with pytest.raises(
        MedtlError, match=r"GAN: loss of \w+ is (nan|inf|-inf) at step \d+, expected a finite"
    ):
        train_gan(
            *networks(), IMAGES, replace(CONFIG, steps=40, learning_rate=1e30, loss="least_squares"), seed=0
        )


def test_a_frozen_discriminator_stays_as_it_was():
    generator, discriminator = networks()
    before = [w.clone() for w in discriminator.parameters()]
    train_gan(generator, discriminator, IMAGES, replace(CONFIG, learning=False), seed=0)
    assert all(torch.equal(a, b) for a, b in zip(before, discriminator.parameters(), strict=True))
    assert all(w.requires_grad for w in discriminator.parameters())


@pytest.mark.parametrize("change", [{"loss": "hinge", "penalty": 10.0}, {"bfloat16": True}])
def test_other_settings_train_as_well(change):
    plain = train_gan(*networks(), IMAGES, CONFIG, seed=0)
    other = train_gan(*networks(), IMAGES, replace(CONFIG, **change), seed=0)
    assert not torch.equal(weights(plain), weights(other))


@pytest.mark.slow
def test_a_generator_learns_where_the_images_lie():
    """Grey images of brightness .8 or so: an MLP starts at .5 and gets there."""
    bright = 0.8 + 0.05 * torch.randn(64, 1, 1, 1, generator=torch.Generator().manual_seed(0))
    images = bright.clamp(0, 1).expand(-1, 1, 4, 4).contiguous()
    generator = MLPGenerator((1, 4, 4), latent_dim=4, width=16, seed=0)
    discriminator = MLPDiscriminator((1, 4, 4), width=16, seed=0)
    config = GANConfig(steps=300, batch_size=32, learning_rate=2e-3, ema_decay=0.9)
    result = train_gan(generator, discriminator, images, config, seed=0)
    assert sample(result.generator, 200, seed=1).mean().item() == pytest.approx(0.8, abs=0.05)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (IMAGES[:3], "3 images, expected at least one batch of 4"),
        (IMAGES * 255, "expected 0 to 1; divide uint8 images by 255"),
        ((IMAGES * 255).byte(), "expected a float tensor"),
        (IMAGES[0], "expected a float tensor"),
        (IMAGES / 0, "NaN or infinity"),
    ],
)
def test_bad_images_are_one_line(images, words):
    with pytest.raises(MedtlError, match=words) as error:
        train_gan(*networks(), images, CONFIG, seed=0)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "wrong", [{"steps": 0}, {"batch_size": 0}, {"learning_rate": 0.0}, {"ema_decay": 1.0}, {"penalty": -1.0}]
)
def test_bad_settings_are_one_line(wrong):
    with pytest.raises(MedtlError, match=f"GAN: {next(iter(wrong))} is "):
        GANConfig(**wrong)


def test_images_of_another_size_than_the_generators_are_refused():
    with pytest.raises(MedtlError, match=r"generator: makes \(1, 16, 16\), images are \(1, 20, 20\)"):
        train_gan(*networks(), torch.rand(8, 1, 20, 20), CONFIG, seed=0)
    other = ConvolutionalDiscriminator(size=32, channels=1, width=2, seed=0)
    with pytest.raises(MedtlError, match=r"GAN, discriminator: does not take \(1, 16, 16\)"):
        train_gan(networks()[0], other, IMAGES, CONFIG, seed=0)
