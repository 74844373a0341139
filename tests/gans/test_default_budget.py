"""A DCGAN of 32 px learns within the steps that the default lesson gives it."""

import numpy as np
import pytest
import torch

from medtl_core import backbones, data, training
from medtl_core.data.phantoms import SPECS, draw
from medtl_core.gans.loops import GANConfig, sample, train_gan
from medtl_core.gans.networks import ConvolutionalDiscriminator, ConvolutionalGenerator
from medtl_core.gans.quality import backbone_features, distance_to_real, domain_encoder


@pytest.mark.slow
def test_a_dcgan_is_nearer_to_real_phantoms_than_half_of_the_way_to_blurred_ones():
    archive = draw(SPECS["phantoms"], 0)
    parts = data.split(archive, seed=0, published=False)
    held = np.sort(np.concatenate([parts.val, parts.test]))
    train, rest = (
        data.DeviceDataset.from_archive(archive, index, torch.device("cpu"), size=32)
        for index in (parts.train[:1200], held[:600])
    )
    real, real_held = train.images.float() / 255, rest.images.float() / 255
    model = backbones.small_cnn(num_classes=2, seed=0)
    config = training.FitConfig(epochs=10, batch_size=32, learning_rate=0.003, augment=True)
    training.fit(model.network, training.policies.FULL, train, rest, model.normalisation, config, seed=0)
    encoder = domain_encoder("small CNN", backbone_features(model), real_held, seed=0)

    sizes = {"size": 32, "channels": 1, "width": 16}
    generator = ConvolutionalGenerator(seed=0, latent_dim=32, **sizes)
    untrained = sample(generator.eval(), 600, seed=0)
    steps = GANConfig(steps=500, batch_size=32, learning_rate=0.002)
    done = train_gan(generator, ConvolutionalDiscriminator(seed=1, **sizes), real, steps, seed=0)
    made = sample(done.generator, 600, seed=0)
    share, before = (
        distance_to_real(encoder, real_held, images, draws=20, seed=0).share_of_blurred
        for images in (made, untrained)
    )
    assert share <= 0.5 < before
    assert done.signs == ()
