"""Style translation and k-means of styles: networks, terms, gradients, clusters and translated cases."""

import numpy as np
import pytest
import torch

from medtl_core.errors import MedtlError
from medtl_core.segmentation.cases import SegmentationCases, UnlabelledImages, intensities
from medtl_core.segmentation.multi_style import (
    StyleClusters,
    cluster_styles,
    style_codes,
    translate,
    translate_to_styles,
)
from medtl_core.segmentation.networks import StyleTranslator
from medtl_core.segmentation.networks.style_translator import STYLE
from medtl_core.segmentation.style_translation import (
    Discriminators,
    TranslationConfig,
    slices_of,
    train_translator,
    translation_terms,
    truth_loss,
)

DRAW = torch.Generator().manual_seed(0)


def images(n, *size):
    return torch.randint(0, 256, (n, 1, *size), generator=DRAW, dtype=torch.uint8)


SOURCE, TARGET = UnlabelledImages("a", images(6, 16, 16)), UnlabelledImages("b", images(8, 16, 16))
CASES = SegmentationCases("a", SOURCE.images, SOURCE.images[:, 0] % 2, ("background", "thing"))
CODES = np.random.default_rng(0).normal(size=(20, STYLE)).astype(np.float32)


def networks(seed=0):
    return StyleTranslator(1, width=4, seed=seed), Discriminators(1, width=4, seed=seed)


def test_one_cluster_is_the_mean_style():
    clusters = cluster_styles(CODES, 1, seed=0)
    assert clusters.centres.shape == (1, STYLE)
    assert clusters.draw(0, "centre", np.random.default_rng(0)) == pytest.approx(CODES.mean(0), abs=1e-6)


def test_clusters_find_separate_styles_and_draw_from_their_members():
    far = np.concatenate([CODES + 100 * k for k in range(3)])
    clusters = cluster_styles(far, 3, seed=0)
    for k in range(3):
        group = np.flatnonzero(clusters.assigned == clusters.assigned[20 * k])
        assert group.tolist() == list(range(20 * k, 20 * k + 20))
        drawn = clusters.draw(int(clusters.assigned[20 * k]), "member", np.random.default_rng(k))
        assert any(np.array_equal(drawn, code) for code in far[group])


def test_every_case_is_translated_once_for_each_cluster_and_keeps_its_mask():
    translator, _ = networks()
    clusters = cluster_styles(style_codes(translator, TARGET), 3, seed=0)
    made = translate_to_styles(translator, CASES, clusters, choice="centre", seed=0)
    assert len(made) == 18
    assert torch.equal(made.masks, CASES.masks.repeat(3, 1, 1))
    assert made.name == "a, in 3 styles"
    assert torch.equal(made.images[6 + 2], translate(translator, CASES.images[2], clusters.centres[1]))
    members = [translate_to_styles(translator, CASES, clusters, seed=seed).images for seed in (0, 0, 1)]
    assert torch.equal(members[0], members[1])
    assert not torch.equal(members[0], members[2])


def test_a_volume_is_translated_slice_by_slice_in_one_style():
    translator, _ = networks()
    volume, style = images(1, 6, 8, 8)[0], CODES[0]
    made = translate(translator, volume, style)
    assert made.shape == volume.shape
    for depth in range(6):
        assert torch.equal(made[:, depth], translate(translator, volume[:, depth], style))
    assert not torch.equal(made, translate(translator, volume, CODES[1]))


def test_slices_are_the_inner_two_thirds_of_each_volume():
    volumes = UnlabelledImages("v", images(2, 12, 4, 4))
    inner = slices_of(volumes)
    assert inner.images.shape == (16, 1, 4, 4)
    assert torch.equal(inner.images[9], volumes.images[1, :, 3])
    assert slices_of(SOURCE) is SOURCE


def test_the_gradients_of_translator_and_discriminators_stay_apart():
    translator, judges = networks()
    x, y = intensities(SOURCE.images[:4]), intensities(TARGET.images[:4])
    terms, made, contents = translation_terms(translator, judges, x, y)
    assert list(terms) == ["reconstruction", "cycle", "content", "style", "adversarial"]
    torch.stack(list(terms.values())).sum().backward(retain_graph=True)
    assert all(w.grad is not None for w in translator.parameters())
    assert all(w.grad is None for w in judges.parameters())
    translator.zero_grad(set_to_none=True)
    truth_loss(judges, (x, y), made, contents).backward()
    assert all(w.grad is not None for w in judges.parameters())
    assert all(w.grad is None for w in translator.parameters())


def test_the_terms_are_mean_absolute_differences():
    translator, judges = networks()
    x, y = intensities(SOURCE.images[:2]), intensities(TARGET.images[:2])
    terms, (to_y, to_x), (c_x, c_y) = translation_terms(translator, judges, x, y)
    s_x, s_y = (translator.styles[d](z).flatten(1) for d, z in (("source", x), ("target", y)))
    own = (translator.decode(c_x, s_x) - x).abs().mean() + (translator.decode(c_y, s_y) - y).abs().mean()
    assert torch.allclose(terms["reconstruction"], own)
    assert torch.allclose(to_y, translator.decode(c_x, s_y))
    back = translator.decode(translator.content(to_y), s_x), translator.decode(translator.content(to_x), s_y)
    assert torch.allclose(terms["cycle"], (back[0] - x).abs().mean() + (back[1] - y).abs().mean())
    again = translator.styles["target"](to_y).flatten(1), translator.styles["source"](to_x).flatten(1)
    assert torch.allclose(terms["style"], (again[0] - s_y).abs().mean() + (again[1] - s_x).abs().mean())


@pytest.mark.slow
def test_training_lowers_reconstruction_and_is_the_same_for_the_same_seed():
    weights = []
    for seed in (0, 0, 1):
        translator, judges = networks()
        config = TranslationConfig(steps=12, batch_size=4, learning_rate=2e-3)
        history = train_translator(translator, judges, SOURCE, TARGET, config, seed=seed)
        weights.append(translator.image[2].weight)
    assert history[-1]["reconstruction"] < history[0]["reconstruction"]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def largest_change(network, before):
    return max(
        float((a - b).detach().abs().max())
        for a, b in zip(network.parameters(), before.parameters(), strict=True)
    )


def test_the_discriminators_learn_at_their_own_rate():
    """AdamW's first step moves a weight of 1 or less by its rate, and by a hundredth of that for decay."""
    (translator, judges), (translator_before, judges_before) = networks(), networks()
    config = TranslationConfig(steps=1, batch_size=4, learning_rate=1e-3, discriminator_rate=3)
    train_translator(translator, judges, SOURCE, TARGET, config, seed=0)
    assert largest_change(translator, translator_before) == pytest.approx(1e-3, rel=0.02)
    assert largest_change(judges, judges_before) == pytest.approx(3e-3, rel=0.02)


def test_bad_input_is_refused_in_a_line():
    translator, judges = networks()
    config = TranslationConfig(steps=1)
    with pytest.raises(MedtlError, match="both domains are 'a'"):
        train_translator(translator, judges, SOURCE, SOURCE, config, seed=0)
    with pytest.raises(MedtlError, match="expected even sides"):
        train_translator(translator, judges, SOURCE, UnlabelledImages("c", images(4, 15, 16)), config, seed=0)
    with pytest.raises(MedtlError, match="k is 0, expected 1 to 20"):
        cluster_styles(CODES, 0, seed=0)
    with pytest.raises(MedtlError, match="k is 3, expected 1 to 1"):
        cluster_styles(np.repeat(CODES[:1], 5, axis=0), 3, seed=0)
    with pytest.raises(MedtlError, match="found choice 'mean', expected one of member, centre"):
        StyleClusters(CODES, np.zeros(20, np.int64), CODES[:1]).draw(0, "mean", np.random.default_rng(0))
    with pytest.raises(MedtlError, match="steps 0"):
        TranslationConfig(steps=0)
    with pytest.raises(MedtlError, match="discriminator_rate 0"):
        TranslationConfig(discriminator_rate=0)
