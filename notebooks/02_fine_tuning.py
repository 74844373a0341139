# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Fine-tuning: what pretrained weights buy on a small medical data set
#
# The survey that this project puts to the test rests on one idea: a network that has learnt to tell a thousand kinds of
# photographs apart needs fewer medical images to learn the next task than a network that starts from nothing. This
# notebook takes the idea apart. You will look inside a pretrained network, write a linear probe and a fine-tuning loop
# with your own hands, meet the most common way of doing both wrong, and then measure, over training sizes and random
# seeds, how much the weights are worth.
#
# **Afterwards you will be able to**
#
# 1. say what a linear probe, full fine-tuning and training from scratch share and where they differ;
# 2. freeze a part of a network so that it is truly frozen, batch-norm statistics and dropout included;
# 3. compare training methods fairly: same images, same number of steps, same number of validated candidates;
# 4. read a paired interval over seeds, and say when a difference is too small or too uncertain to be a verdict.
#
# **The statements of the survey that this notebook tests**, in our own words and drawn from the register:

# %%
from medtl_core.evidence.ledger import statements_table

statements_table("02_fine_tuning")

# %% [markdown]
# The rules behind these statements were written down before anything was measured. They live in `claims.yaml`; the
# verdicts at the end of this notebook are made from them and from the records that the study below leaves behind.
#
# ## Parameters
#
# The defaults are the `smoke` profile: digital phantoms, few seeds, about a minute. `medtl run 02_fine_tuning
# -p dataset=breastmnist -p seeds=5` replaces them, after checking each value against the type and range given here.

# %% tags=["parameters"]
dataset: str = "phantoms"  # archive to learn from, a registry name or a file's stem in MEDTL_DATA; any
domain: str = ""  # keep only this domain of the archive, empty for all of it; any
backbone: str = "tf_efficientnet_lite0"  # network, by its timm name; any
image_size: int = 48  # pixels, side that images are brought to; 28 to 224
train_sizes: list[int] = [50, 200]  # training images, one learning curve point each; 8 to 100000
val_size: int = 60  # validation images at most, used to choose the best epoch; 10 to 10000
seeds: int = 3  # random seeds, each with its own training subset and initialisation; 1 to 50
steps: int = 25  # optimiser steps of each training run, the same for every arm and size; 10 to 100000
batch_size: int = 16  # images a step; 4 to 512
learning_rate: float = 0.001  # AdamW's learning rate for whole networks; 0.000001 to 0.1

# %% [markdown]
# ## Set-up

# %% tags=["nbval-ignore-output"]
import copy
import math
import time

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch
from scipy import stats
from torch.nn import functional as F

from medtl_core.backbones import policies, stages, zoo
from medtl_core.backbones.cost import cost
from medtl_core.data import audit, cards, registry
from medtl_core.data.splits import nested_subset, split
from medtl_core.data.tensors import ResidentSet
from medtl_core.evaluation.metrics import all_metrics
from medtl_core.evaluation.statistics import mean_t, paired_t
from medtl_core.evidence.ledger import notebook_verdicts
from medtl_core.evidence.records import record_check
from medtl_core.training.determinism import seed_everything, select_device
from medtl_core.training.features import FeatureSet, pooled_features
from medtl_core.training.fit import FitConfig, fit, predict
from medtl_core.training.study import Study
from medtl_core.training.trial import Predictions

sns.set_theme(style="whitegrid", palette="colorblind")
plt.rcParams["figure.dpi"] = 80
NOTEBOOK = "02_fine_tuning"
ARM_NAMES = {"scratch": "from scratch", "linear_probe": "linear probe", "full": "full fine-tuning"}
ARM_COLOURS = dict(zip(ARM_NAMES, sns.color_palette("colorblind", 3), strict=True))
device = select_device()
seed_everything(0)
runs = seeds * len(train_sizes) * 2
print(f"{runs} training runs of {steps} steps with {backbone} at {image_size} px, on {device}.")

# %% [markdown]
# ## The data
#
# Before any method comes the question of what the images are, how many there are, and whether the same patient or the
# same picture could stand on both sides of a split. The card below is what the registry knows; the audit looks at the
# pixels themselves.

# %%
archive = registry.load(dataset)
parts = split(archive, seed=0, domain=domain or None)
card = cards.describe(archive, registry.card(dataset))
pd.Series(card, name=dataset).to_frame()

# %%
pd.DataFrame(
    {"finding": [finding.text for finding in audit.audit(archive, parts).findings] or ["nothing found"]}
)

# %% [markdown]
# *What do the classes look like to the eye?* The grey range is stated under the sheet, since a stretched contrast can
# make an easy task out of a hard one.

# %% tags=["nbval-ignore-output"]
cards.contact_sheet(archive, per_class=5, seed=0)
plt.show()

# %% [markdown]
# The images are divided once, by patient where patients are known, and the division stays the same for every seed.
# What a seed changes is the *training subset* drawn from the training part, and the initialisation. All methods of one
# seed see the same subset, so that their differences can be paired.

# %%
sizes = {"training pool": len(parts.train), "validation": len(parts.val), "test": len(parts.test)}
pd.DataFrame(
    {
        name: np.bincount(archive.labels[index], minlength=archive.n_classes)
        for name, index in zip(sizes, (parts.train, parts.val, parts.test), strict=True)
    },
    index=pd.Index(archive.class_names, name="images of class"),
)

# %% [markdown]
# ## What a pretrained network is
#
# A network is an architecture and a set of numbers. *Pretrained* says where the numbers come from: here, from a
# classification task on ImageNet photographs. *From scratch* keeps the architecture and draws the numbers at random.
# Everything else in this notebook is held equal. The last layer, the *head*, is new in both cases, because the
# thousand classes of ImageNet are of no use to us.
#
# Why should weights from photographs help at all? The usual argument has two halves. The early layers answer to
# edges, colours and textures, which every image is made of. The later layers combine them into parts of objects, and
# there photographs and radiographs part ways. If that is right, transfer should help most where data are scarce,
# mostly through the early layers, and less and less as the target set grows large enough to learn them from. Keep
# these three predictions in mind; the study at the end speaks to the first and the last.
#
# The line below is honest about one more thing: where the weights were found. If pretrained weights cannot be had,
# medtl stops; it never continues with random ones.

# %%
pretrained = zoo.build(backbone, num_classes=archive.n_classes, pretrained=True, seed=0)
random = zoo.build(backbone, num_classes=archive.n_classes, pretrained=False, seed=0)
size_of = cost(pretrained.network, (1, 3, image_size, image_size))
pd.Series(
    {
        "weights from": pretrained.weights,
        "parameters": f"{size_of.parameters:,}",
        "multiply-accumulates for one image": f"{size_of.macs:,}",
        "input mean": pretrained.normalisation.mean,
        "input standard deviation": pretrained.normalisation.std,
    },
    name=backbone,
).to_frame()

# %% [markdown]
# Mean and standard deviation belong to the weights as much as the numbers themselves: the first layer expects inputs
# on the scale that it was trained with. Feeding it another scale loses accuracy without any error message, which is why
# medtl lets the normalisation travel with the weights.
#
# A backbone is an ordered list of places where one could cut it. Early places see small patches in fine resolution,
# late places see the whole image in a few coarse cells with many channels.

# %%
cuts = stages.cut_points(pretrained.network)
one_image = ResidentSet.from_archive(archive, parts.train[:1], device, size=image_size)
with torch.inference_mode():
    maps = stages.activations(
        pretrained.network.to(device).eval(), one_image.inputs(slice(0, 1), pretrained.normalisation)
    )
pd.DataFrame(
    [
        {"cut point": c.name, "channels": m.shape[1], "cells": f"{m.shape[2]} x {m.shape[3]}"}
        for c, m in zip(cuts, maps, strict=True)
    ]
)

# %% [markdown]
# *What has the first layer learnt?* Each small square is one filter of the first convolution, as it looks at the red,
# green and blue channel. On the left the pretrained filters, on the right those of a random initialisation.


# %%
def first_convolution(network: torch.nn.Module) -> torch.nn.Conv2d:
    return next(m for m in network.modules() if isinstance(m, torch.nn.Conv2d))


def filter_mosaic(network: torch.nn.Module, columns: int = 8, count: int = 32) -> np.ndarray:
    filters = first_convolution(network).weight.detach().cpu().numpy()[:count].transpose(0, 2, 3, 1)
    low, high = filters.min(axis=(1, 2, 3), keepdims=True), filters.max(axis=(1, 2, 3), keepdims=True)
    tiles = np.pad((filters - low) / (high - low), ((0, 0), (0, 1), (0, 1), (0, 0)), constant_values=1)
    rows = [np.concatenate(tiles[i : i + columns], axis=1) for i in range(0, len(tiles), columns)]
    return np.concatenate(rows, axis=0)


figure, axes = plt.subplots(1, 2, figsize=(9, 4))
for axis, network, title in zip(
    axes, (pretrained.network, random.network), ("pretrained", "random"), strict=True
):
    axis.imshow(filter_mosaic(network), interpolation="nearest")
    axis.set_title(f"first convolution, {title}\n(each filter stretched to its own range)")
    axis.axis("off")
plt.show()

# %% [markdown]
# In a network with large first kernels the pretrained filters are plainly edges and blobs. At three by three pixels one
# has to look harder: on the left many filters share a direction or a single colour, on the right nothing repeats.
# Edges and blobs are as useful in an X-ray as in a photograph, which is the intuitive case for transfer. It is only a
# case: what counts is whether features *deep* in the network, built for dogs and teapots, still say something about
# our classes.
#
# *What do the two networks see in the same image?* One image of the data set, and the mean over channels of the
# response at three depths.

# %% tags=["nbval-ignore-output"]
depths = [cuts[i] for i in (1, len(cuts) // 2, len(cuts) - 2)]
x = one_image.inputs(slice(0, 1), pretrained.normalisation)
figure, axes = plt.subplots(2, 4, figsize=(10, 5.2))
for row, (title, network) in enumerate({"pretrained": pretrained.network, "random": random.network}.items()):
    with torch.inference_mode():
        responses = stages.activations(network.to(device).eval(), x)
    axes[row, 0].imshow(archive.images[parts.train[0]], cmap="gray", vmin=0, vmax=255)
    axes[row, 0].set_title(f"{title}: input\n(grey 0 to 255)", fontsize=10)
    for axis, depth in zip(axes[row, 1:], depths, strict=True):
        shown = responses[depth.index][0].float().mean(0).cpu().numpy()
        axis.imshow(shown, cmap="gray")
        axis.set_title(f"{depth.name}\n({shown.min():.2g} to {shown.max():.2g})", fontsize=10)
for axis in axes.flat:
    axis.set_xticks([])
    axis.set_yticks([])
    axis.grid(False)
plt.tight_layout()
plt.show()

# %% [markdown]
# ## A linear probe, by hand
#
# The cheapest way to use a pretrained network is not to train it at all. Send every image through it once, keep the
# *pooled features* (the average of the last feature maps over the image), and fit a linear classifier on them. The
# survey's sources call this off-the-shelf features or a feature extractor; today's usual name is *linear probe*.
#
# The features are the input of the head, so the head applied to them must give the network's own output. That is an
# identity, and identities are worth checking.

# %%
everything = ResidentSet.from_archive(archive, np.arange(archive.n), device, size=image_size)
features = pooled_features(pretrained, everything)
some = torch.arange(8, device=device)
with torch.inference_mode():
    by_hand = zoo.head_of(pretrained.network)(features[some])
    by_network = pretrained.network.eval()(everything.inputs(some, pretrained.normalisation))
deviation = record_check(
    NOTEBOOK, "head_on_features_max_abs_error", (by_hand - by_network).abs().max().item(), dataset=dataset
)
assert deviation < 1e-4
print(f"features of every image: {tuple(features.shape)}; head(features) equals network(image)")

# %% [markdown]
# *Do the features already separate the classes?* A linear discriminant projects the features to one number for each
# image. It is fitted on the training pool and drawn for the test images, which it has not seen.

# %% tags=["nbval-ignore-output"]
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

random_features = pooled_features(random, everything)
projected = []
for title, values in {"pretrained": features, "random": random_features}.items():
    values = values.cpu().numpy()
    lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(
        values[parts.train], archive.labels[parts.train]
    )
    score = lda.decision_function(values[parts.test])
    score = score if score.ndim == 1 else score[:, 0]
    names = np.array(archive.class_names)[archive.labels[parts.test]]
    projected.append(
        pd.DataFrame({"network": title, "score": (score - score.mean()) / score.std(), "class": names})
    )
grid = sns.displot(
    pd.concat(projected),
    x="score",
    hue="class",
    col="network",
    kind="kde",
    fill=True,
    common_norm=False,
    height=3.2,
    aspect=1.3,
)
grid.set_axis_labels("discriminant score (standardised)", "density of test images")
plt.show()

# %% [markdown]
# The less the two curves overlap, the more a linear rule can do with these features. Random features are not empty:
# a random convolutional network keeps some texture statistics. They are the control that every claim about
# "knowledge" in pretrained weights has to beat, because without them one would mistake the merit of the architecture
# for the merit of the weights.
#
# Now the classifier itself. Soft-max regression is a linear map, a cross-entropy and a penalty on the weights; the
# optimum is unique, so a dozen lines with a quasi-Newton solver must find the same classifier as scikit-learn.


# %%
def softmax_regression(x: torch.Tensor, y: torch.Tensor, penalty: float) -> torch.Tensor:
    """Weights and bias (K, D + 1) that minimise mean cross-entropy + penalty / 2 * |W|^2."""
    x1 = torch.cat([x, torch.ones(len(x), 1, dtype=x.dtype)], dim=1)
    weights = torch.zeros(int(y.max()) + 1, x1.shape[1], dtype=x.dtype, requires_grad=True)
    solver = torch.optim.LBFGS(
        [weights], max_iter=2000, tolerance_grad=1e-9, tolerance_change=1e-14, line_search_fn="strong_wolfe"
    )

    def closure():
        solver.zero_grad()
        loss = F.cross_entropy(x1 @ weights.T, y) + penalty / 2 * weights[:, :-1].square().sum()
        loss.backward()
        return loss

    solver.step(closure)
    return weights.detach()


# %%
from sklearn.linear_model import LogisticRegression

n_probe = min(100, len(parts.train))
chosen = nested_subset(archive.labels, parts.train, n_probe, seed=0)
scale = features[chosen].std(0).clamp_min(1e-6)
x_train = ((features[chosen] - features[chosen].mean(0)) / scale).double().cpu()
x_test = ((features[parts.test] - features[chosen].mean(0)) / scale).double().cpu()
y_train = torch.from_numpy(archive.labels[chosen])
penalty = 0.1
ours = softmax_regression(x_train, y_train, penalty)
theirs = LogisticRegression(C=1 / (penalty * n_probe), max_iter=10000, tol=1e-10).fit(x_train, y_train)
p_ours = F.softmax(F.linear(x_test, ours[:, :-1], ours[:, -1]), dim=1).numpy()
if (
    archive.n_classes == 2
):  # scikit-learn's two-class model has one weight vector, penalised once instead of twice
    theirs = LogisticRegression(C=2 / (penalty * n_probe), max_iter=10000, tol=1e-10).fit(x_train, y_train)
probe_gap = record_check(
    NOTEBOOK, "probe_max_abs_error", float(abs(p_ours - theirs.predict_proba(x_test)).max()), dataset=dataset
)
assert probe_gap < 1e-3
print("our soft-max regression and scikit-learn's agree on every test image")

# %% tags=["nbval-ignore-output"]
pd.Series(
    all_metrics(archive.labels[parts.test], p_ours), name=f"linear probe, {n_probe} training images"
).to_frame().round(3)

# %% [markdown]
# Nothing of the network was trained, and the whole thing took one forward pass. Keep these numbers in mind as the
# price-performance baseline: fine-tuning has to earn its cost against them.
#
# ## Frozen means frozen
#
# In many public implementations a "frozen" backbone is one whose parameters have `requires_grad = False`. That is not
# enough. In training mode, batch normalisation normalises with the statistics of the current batch and *moves its
# running averages*, with no gradient involved; dropout keeps dropping. The network that the head was trained on is
# then not the network that is tested. Here is the mistake, made on purpose: five training steps of the head alone.


# %%
def moved_buffers(network: torch.nn.Module, before: dict[str, torch.Tensor]) -> int:
    return sum(
        not torch.equal(value, before[name])
        for name, value in network.state_dict().items()
        if "running" in name
    )


def five_steps(network: torch.nn.Module, head: torch.nn.Module) -> None:
    optimiser = torch.optim.SGD(head.parameters(), lr=0.01)
    for i in range(5):
        batch = torch.arange(8 * i, 8 * (i + 1), device=device)
        loss = F.cross_entropy(
            network(everything.inputs(batch, pretrained.normalisation)), everything.labels[batch]
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


careless = copy.deepcopy(pretrained.network)
for parameter in careless.parameters():
    parameter.requires_grad = False
for parameter in zoo.head_of(careless).parameters():
    parameter.requires_grad = True
careless.train()
before = {name: value.clone() for name, value in careless.state_dict().items()}
five_steps(careless, zoo.head_of(careless))
statistics_of_network = sum("running" in name for name in before)
print(
    f"careless: {moved_buffers(careless, before)} of {statistics_of_network} batch-norm statistics have moved"
)

# %% [markdown]
# `policies.set_mode` puts what trains into training mode and everything frozen into evaluation mode. The same five
# steps, and nothing but the head has changed:

# %%
careful = copy.deepcopy(pretrained.network)
policies.set_mode(careful, policies.LINEAR_PROBE.phases(careful)[0])
before = {name: value.clone() for name, value in careful.state_dict().items()}
five_steps(careful, zoo.head_of(careful))
changed = [name for name, value in careful.state_dict().items() if not torch.equal(value, before[name])]
print(f"careful: {moved_buffers(careful, before)} statistics have moved; changed are only {changed}")
record_check(NOTEBOOK, "frozen_statistics_moved", moved_buffers(careful, before), dataset=dataset)
assert moved_buffers(careful, before) == 0

# %% [markdown]
# *Does the mistake matter?* The careless network answers differently from the one whose features we cached, although
# "nothing but the head" was trained. The figure compares the pooled features of both with the original ones.

# %% tags=["nbval-ignore-output"]
with torch.inference_mode():
    probe_images = everything.inputs(slice(0, 64), pretrained.normalisation)
    reference = zoo.pooled_features(pretrained.network.eval(), probe_images)
    drift = {
        title: (
            (zoo.pooled_features(network.eval(), probe_images) - reference).norm(dim=1)
            / reference.norm(dim=1)
        )
        .cpu()
        .numpy()
        for title, network in {"careless": careless, "careful": careful}.items()
    }
figure, axis = plt.subplots(figsize=(6, 3))
axis.boxplot(list(drift.values()), tick_labels=list(drift), widths=0.5)
axis.set_ylabel("relative change of the\nfeatures of 64 images")
axis.set_title("Five steps of head-only training")
plt.show()

# %% [markdown]
# ## Fine-tuning, by hand
#
# Full fine-tuning is ordinary training that starts somewhere better. The loop has five lines that matter: draw a batch,
# compute the loss, go back, step, and at the end of an epoch look at the validation images and remember the best
# weights. Written out for a few epochs, with plain AdamW and a cosine schedule:


# %%
def fine_tune_by_hand(
    network, train, val, normalisation, *, epochs, batch_size, learning_rate, weight_decay, seed
):
    """Train all of `network`; return it with the weights of the epoch of the lowest validation loss."""
    decayed = [p for p in network.parameters() if p.ndim > 1]
    exempt = [p for p in network.parameters() if p.ndim <= 1]  # biases and batch-norm scales
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": exempt, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=learning_rate, fused=True)  # one kernel for all parameters
    batches = math.ceil(len(train) / batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: 0.5 * (1 + math.cos(math.pi * step / (epochs * batches)))
    )
    order = torch.Generator().manual_seed(seed)
    best_loss, best_weights = math.inf, None
    for _ in range(epochs):
        network.train()
        for index in torch.randperm(len(train), generator=order).to(train.labels.device).split(batch_size):
            optimiser.zero_grad()
            F.cross_entropy(network(train.inputs(index, normalisation)), train.labels[index]).backward()
            optimiser.step()
            schedule.step()
        probabilities = predict(network, val, normalisation)
        val_loss = -np.log(probabilities[np.arange(len(val)), val.labels.cpu()]).mean()
        if val_loss < best_loss:
            best_loss, best_weights = val_loss, copy.deepcopy(network.state_dict())
    network.load_state_dict(best_weights)
    return network


# %% [markdown]
# The package's `fit` does the same and a little more: it checks that the loss stays finite, keeps a history, knows the
# policies of the next section and uses half precision on GPUs. On the same images and the same seed the two must give
# the same network.

# %%
demo_size = min(48, len(parts.train))
demo_train = everything.select(nested_subset(archive.labels, parts.train, demo_size, seed=0))
demo_val = everything.select(parts.val[:val_size])
settings = {"epochs": 2, "batch_size": batch_size, "learning_rate": learning_rate, "weight_decay": 0.01}


def fresh_network() -> torch.nn.Module:
    seed_everything(0)
    return zoo.build(backbone, num_classes=archive.n_classes, pretrained=True, seed=0).network.to(device)


hand_made = fine_tune_by_hand(
    fresh_network(), demo_train, demo_val, pretrained.normalisation, seed=0, **settings
)
packaged = fresh_network()
fit(packaged, policies.FULL, demo_train, demo_val, pretrained.normalisation, FitConfig(**settings), seed=0)
by_hand, by_package = (
    predict(network, demo_val, pretrained.normalisation) for network in (hand_made, packaged)
)
loop_gap = record_check(
    NOTEBOOK, "loop_max_abs_error", float(abs(by_hand - by_package).max()), dataset=dataset
)
assert device.type == "cuda" or loop_gap < 1e-4  # on a GPU fit computes in half precision
print("the loop above and the package's fit give the same predictions")

# %% [markdown]
# ## Policies: what trains, and how fast
#
# Between "only the head" and "everything" lies a family of choices. A *policy* names one: which parts train, in which
# phases, and with which fraction of the learning rate. *Last stages* thaws the top of the network; *probe then full*
# first fits the head and then thaws all, so that a random head does not wreck good features in the first steps;
# *discriminative rates* let early layers move more slowly than late ones.

# %%
POLICIES = {
    "linear probe": policies.LINEAR_PROBE,
    "last stage": policies.last_stages(1),
    "last two stages": policies.last_stages(2),
    "full fine-tuning": policies.FULL,
    "probe then full": policies.PROBE_THEN_FULL,
    "discriminative rates": policies.discriminative(),
}
rows = []
for name, policy in POLICIES.items():
    for i, phase in enumerate(policy.phases(pretrained.network), 1):
        policies.set_mode(pretrained.network, phase)
        trainable = sum(p.numel() for p in pretrained.network.parameters() if p.requires_grad)
        rates = sorted({group["lr_scale"] for group in phase.param_groups})
        rows.append(
            {
                "policy": name,
                "phase": i,
                "share of epochs": phase.share,
                "trainable parameters": f"{trainable:,}",
                "share of network": f"{trainable / size_of.parameters:.1%}",
                "learning rate x": f"{rates[0]:.3g} to {rates[-1]:.3g}"
                if len(rates) > 1
                else f"{rates[0]:.3g}",
            }
        )
pd.DataFrame(rows)

# %% [markdown]
# Two things are easy to overlook in this table. The linear probe trains a vanishing share of the network, which is
# why it cannot overfit badly and cannot adapt much either. And discriminative rates train as many parameters as full
# fine-tuning: what differs is how far each is allowed to go, a soft form of freezing.

# %% [markdown]
# *Where do the parameters sit?* Freezing "most layers" and freezing "most parameters" are different things.

# %%
per_stage = [
    sum(p.numel() for m in modules for p in m.parameters())
    for modules in stages.stage_modules(pretrained.network)
]
names = ["stem", *[f"stage {i}" for i in range(1, len(per_stage))]]
figure, axis = plt.subplots(figsize=(8, 3))
axis.bar(names, np.array(per_stage) / 1e3, color=sns.color_palette("colorblind")[0])
axis.set_ylabel("thousand parameters")
axis.tick_params(axis="x", rotation=45)
plt.show()

# %% [markdown]
# The parameters pile up at the deep end. A policy that thaws one late stage can therefore train a large part of all
# parameters while it touches a small part of the depth.
#
# *How far do the weights travel when everything may move?* The relative change of each stage's weights, after the
# short run above, from the pretrained values they started at.

# %% tags=["nbval-ignore-output"]
start = fresh_network()
travel = []
for name, old, new in zip(names, stages.stage_modules(start), stages.stage_modules(packaged), strict=True):
    a = torch.cat([p.detach().flatten() for m in old for p in m.parameters()])
    b = torch.cat([p.detach().flatten() for m in new for p in m.parameters()])
    travel.append({"stage": name, "relative change": ((b - a).norm() / a.norm()).item()})
figure, axis = plt.subplots(figsize=(8, 3))
sns.barplot(
    pd.DataFrame(travel), x="stage", y="relative change", color=sns.color_palette("colorblind")[1], ax=axis
)
axis.set_ylabel("|change| / |start|")
axis.set_xlabel("")
axis.tick_params(axis="x", rotation=45)
plt.show()

# %% [markdown]
# Where the bars are tallest, the pretrained weights suited the new task least, or the gradient was simply largest;
# this picture alone cannot tell the two apart. Comparing representations before and after training, layer by layer,
# is a subject of the notebook on truncation. What it does show is that fine-tuning for a short time is a small
# correction and not a new beginning.
#
# ## The study: three ways to use a backbone, over training sizes
#
# Everything so far was one run, and one run proves nothing: another seed would draw other training images, start
# another head and end a few hundredths higher or lower. With small training sets this scatter is of the same size as
# the effects that papers report. So the comparison is repeated over seeds, and it is the *spread of the differences*
# that decides.
#
# Now the measurement. Three arms:
#
# - **from scratch**: random weights, everything trains;
# - **linear probe**: pretrained weights, only the head trains, on features computed once;
# - **full fine-tuning**: pretrained weights, everything trains.
#
# Fairness is in the details. Every run takes the same number of optimiser steps, whatever its training size, so that a
# small set is not also a short training. Every arm has exactly one setting and no search, so that none is favoured by
# trying more. The best epoch is chosen on validation images, and the test images are looked at once. The head of the
# linear probe trains on cached features at ten times the learning rate, because a single linear layer at the rate of a
# whole network would simply not have arrived yet.


# %%
DIRECTIONS = {
    "auroc": "higher",
    "auprc": "higher",
    "accuracy": "higher",
    "balanced_accuracy": "higher",
    "brier": "lower",
    "ece": "lower",
    "train_auroc": "higher",
    "train_accuracy": "higher",
    "train_loss": "lower",
    "generalisation_gap": "lower",
    "failed": "lower",
    "epochs_to_best": "lower",
    "steps": "lower",
}
images = everything
probe_data = FeatureSet(features, everything.labels)
WEIGHTS, RANDOM = pretrained.weights, random.weights


def trial(arm: str, seed: int, n: int) -> dict:
    """Train one arm on `n` images drawn with `seed` and measure it on the test images."""
    seed_everything(seed)
    chosen = nested_subset(archive.labels, parts.train, n, seed)
    validation = nested_subset(archive.labels, parts.val, min(val_size, len(parts.val)), seed)
    epochs = math.ceil(steps / math.ceil(n / batch_size))
    model = zoo.build(backbone, num_classes=archive.n_classes, pretrained=arm != "scratch", seed=seed)
    assert model.weights in (WEIGHTS, RANDOM)  # named here so that a trial's key knows its weights
    if arm == "linear_probe":
        network, data, policy, rate = (
            zoo.head_of(model.network),
            probe_data,
            policies.FULL,
            10 * learning_rate,
        )
    else:
        network, data, policy, rate = model.network, images, policies.FULL, learning_rate
    network = network.to(device)
    config = FitConfig(epochs=epochs, batch_size=batch_size, learning_rate=rate)
    train = data.select(chosen)
    result = fit(network, policy, train, data.select(validation), model.normalisation, config, seed=seed)
    train_scores = predict(network, train, model.normalisation)
    scores = predict(network, data.select(parts.test), model.normalisation)
    measured = all_metrics(archive.labels[parts.test], scores)
    on_train = all_metrics(archive.labels[chosen], train_scores)
    return {
        **{name: value for name, value in measured.items() if name in DIRECTIONS},
        "train_auroc": on_train["auroc"],
        "train_accuracy": on_train["accuracy"],
        "train_loss": float(
            -np.log(np.clip(train_scores[np.arange(n), archive.labels[chosen]], 1e-12, 1)).mean()
        ),
        "generalisation_gap": on_train["auroc"] - measured["auroc"],
        "failed": float(measured["auroc"] < 0.6),
        "epochs_to_best": float(result.best_epoch),
        "steps": float(result.steps),
        "predictions": Predictions(cases=parts.test, labels=archive.labels[parts.test], scores=scores),
    }


# %% [markdown]
# A study is a grid of arms, seeds and factors around that one function. A finished trial is kept under a key made of
# the code, the arguments and the data; it is never run twice, and if you interrupt the next cell and run it again, it
# continues where it stopped.

# %% tags=["nbval-ignore-output"]
study = Study(
    "learning_curve",
    notebook=NOTEBOOK,
    trial=trial,
    arms=list(ARM_NAMES),
    seeds=range(seeds),
    factors={"n": train_sizes},
    dataset=dataset,
    data_checksum=registry.checksum(dataset),
    source_domain=domain,
    target_domain=domain,
    directions=DIRECTIONS,
    n_test=len(parts.test),
)
started = time.perf_counter()
records = study.run()
print(f"{records.key.nunique()} trials in {time.perf_counter() - started:.0f} s")

# %% [markdown]
# The tidy table has one row for each measured number. Averages over seeds, for orientation only, since a mean without
# its spread is half a result:

# %% tags=["nbval-ignore-output"]
shown = ["auroc", "auprc", "balanced_accuracy", "ece", "train_accuracy"]
summary = records[records.metric.isin(shown)].pivot_table(
    index=["n", "arm"], columns="metric", values="value", aggfunc="mean"
)
summary[shown].round(3)

# %% [markdown]
# *How does each arm learn as images are added?* Points are means over seeds, bars are 95 % t-intervals, and the small
# dots are the single runs.


# %% tags=["nbval-ignore-output"]
def per_seed(metric: str, arm: str) -> pd.DataFrame:
    """Values of one metric and arm: one row a seed, one column a training size."""
    chosen = records[(records.metric == metric) & (records.arm == arm)]
    return chosen.pivot(index="seed", columns="n", values="value")


def draw_curves(axis, metric: str, label: str) -> None:
    for shift, arm in zip((0.97, 1.0, 1.03), ARM_NAMES, strict=True):
        table = per_seed(metric, arm)
        x = np.array(table.columns, dtype=float) * shift
        axis.plot(np.tile(x, (len(table), 1)), table, ".", color=ARM_COLOURS[arm], alpha=0.4, markersize=5)
        if len(table) > 1:
            bands = [mean_t(table[n]) for n in table]
            centre = np.array([b.estimate for b in bands])
            half = centre - np.array([b.low for b in bands])
        else:
            centre, half = table.iloc[0].to_numpy(), None
        axis.errorbar(
            x, centre, yerr=half, color=ARM_COLOURS[arm], marker="o", capsize=4, label=ARM_NAMES[arm]
        )
    axis.set_xscale("log", base=2)
    axis.set_xticks(train_sizes, [str(n) for n in train_sizes])
    axis.set_xlabel("training images")
    axis.set_ylabel(label)


figure, axis = plt.subplots(figsize=(7, 4))
draw_curves(axis, "auroc", "AUROC on test images")
axis.axhline(0.5, color="grey", linestyle=":", label="chance")
axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
axis.set_title(f"{dataset} {domain}")
plt.show()

# %% [markdown]
# Read the figure from left to right. The distance between the curves at the smallest size is what pretrained weights
# are worth when data are scarce; the slope of the lower curve tells how quickly own data replace them. A curve that
# lies on the dotted line has learnt nothing that generalises, whatever its training accuracy.

# %% [markdown]
# ### Is transfer better than scratch? (C006)
#
# Two intervals that overlap do not settle the matter, and two that do not overlap are not needed to settle it. The
# arms of one seed share their training images, so what counts is the *difference within each seed*. Its interval is
# the paired t-interval: the mean difference, plus or minus a t-quantile times the standard error. By hand, and by the
# package:


# %% tags=["nbval-ignore-output"]
def paired_interval_by_hand(treatment: np.ndarray, control: np.ndarray) -> tuple[float, float, float]:
    difference = np.asarray(treatment) - np.asarray(control)
    n = len(difference)
    half = stats.t.ppf(0.975, df=n - 1) * difference.std(ddof=1) / math.sqrt(n)
    return difference.mean(), difference.mean() - half, difference.mean() + half


def differences(metric: str, treatment: str, control: str) -> pd.DataFrame:
    a, b = per_seed(metric, treatment), per_seed(metric, control)
    rows = []
    for n in train_sizes:
        interval = paired_t(a[n], b[n])
        rows.append(
            {
                "n": n,
                "difference": interval.estimate,
                "low": interval.low,
                "high": interval.high,
                "seeds": interval.n,
            }
        )
    return pd.DataFrame(rows)


if seeds > 1:
    gain = differences("auroc", "full", "scratch")
    largest = train_sizes[-1]
    hand = paired_interval_by_hand(per_seed("auroc", "full")[largest], per_seed("auroc", "scratch")[largest])
    assert np.allclose(hand, gain.loc[gain.n == largest, ["difference", "low", "high"]])
    display(gain.round(3))

# %% [markdown]
# *At which training sizes does fine-tuning beat scratch, and by how much?* The grey band is the smallest effect that
# the register calls interesting; an interval inside it would be a difference without a consequence.


# %% tags=["nbval-ignore-output"]
def draw_differences(pairs: list[tuple[str, str]], metric: str = "auroc", band: float = 0.005) -> None:
    figure, axis = plt.subplots(figsize=(7, 0.5 * len(pairs) * len(train_sizes) + 1.6))
    labels = []
    for treatment, control in pairs:
        for row in differences(metric, treatment, control).itertuples():
            y = len(labels)
            axis.plot([row.low, row.high], [y, y], color=ARM_COLOURS[treatment], linewidth=3)
            axis.plot(row.difference, y, "o", color=ARM_COLOURS[treatment])
            labels.append(f"{ARM_NAMES[treatment]} - {ARM_NAMES[control]}, n = {row.n}")
    axis.axvline(0, color="black", linewidth=1)
    axis.axvspan(-band, band, color="grey", alpha=0.25, label="smaller than interesting")
    axis.set_yticks(range(len(labels)), labels)
    axis.invert_yaxis()
    axis.set_xlabel(f"paired difference in {metric.upper()} (95 % interval over {seeds} seeds)")
    axis.legend(loc="best", fontsize=9)
    plt.show()


if seeds > 1:
    draw_differences([("full", "scratch"), ("linear_probe", "scratch")])

# %% [markdown]
# An interval to the right of the band is what the word "effective" asks for. Its width tells how sure we are; with few
# seeds it is wide even when every single run points the same way, and the verdict will then be *inconclusive*. That is
# the honest name for "it looks good, but we have not measured enough".
#
# ### Frozen or tuned? (C021)
#
# The survey says that pretrained features are extracted *and fine-tuned* to adapt. Its own sources disagree on whether
# the second half is needed: one review recommends frozen features to save cost, an older comparison found frozen
# features the weakest of the three.

# %% tags=["nbval-ignore-output"]
if seeds > 1:
    draw_differences([("full", "linear_probe")])

# %% [markdown]
# If the interval lies to the right, tuning has found something in the target images that the frozen features did not
# offer to a linear rule. If it lies to the left, moving all weights with few images has done more harm than good, by
# overfitting or by distorting good features, and the cheap probe is also the better classifier. Both have been
# reported; which one applies depends on the data set, its size and on how far it is from photographs, and so the
# register asks for it in a weak form (on average) and a strong one (at every size).
#
# ### More images, smaller gap (C005)
#
# If data scarcity is the problem, then performance should rise with the number of images, and the distance between
# training and test performance should shrink. Both are drawn here; the register's rule takes the slope over the
# logarithm of the training size, one slope for each seed, and asks whether its interval excludes zero.

# %% tags=["nbval-ignore-output"]
figure, axes = plt.subplots(1, 2, figsize=(11, 3.8))
draw_curves(axes[0], "auroc", "AUROC on test images")
draw_curves(axes[1], "generalisation_gap", "AUROC on training images\nminus AUROC on test images")
axes[1].legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.tight_layout()
plt.show()

# %% [markdown]
# ### Is training from scratch hard? (C018)
#
# "Challenging" can mean a worse mean, a larger spread, or runs that fail altogether. We call a run failed when its
# test AUROC stays below .6, hardly better than a coin.

# %% tags=["nbval-ignore-output"]
spread = pd.DataFrame(
    [
        {
            "arm": ARM_NAMES[arm],
            "n": n,
            "mean AUROC": per_seed("auroc", arm)[n].mean(),
            "SD over seeds": per_seed("auroc", arm)[n].std(),
            "failed runs": f"{int(per_seed('failed', arm)[n].sum())} of {seeds}",
        }
        for arm in ARM_NAMES
        for n in train_sizes
    ]
)
spread.round(3)

# %% [markdown]
# ### How many labels is a pretrained network worth? (C019)
#
# The second promise of transfer learning is economy: the same performance from fewer labelled images. Fix a target
# AUROC, read off each arm's learning curve how many images it needs, and compare on a logarithmic scale, where
# one unit is a factor of two. The target is what *full fine-tuning* reaches on average at the smallest size, and it is
# the same for both arms. Where an arm never reaches it within the sizes measured, its need is *censored*: we write
# down the largest size, which understates the need.


# %%
def labels_for(target: float, sizes: list[int], values: list[float]) -> float:
    """log2 of the training size at which a learning curve, made monotone, crosses `target`; censored at both ends."""
    rising = np.maximum.accumulate(values)
    logs = np.log2(sizes)
    if rising[0] >= target:
        return float(logs[0])
    if rising[-1] < target:
        return float(logs[-1])
    return float(np.interp(target, rising, logs))


assert labels_for(0.75, [64, 256], [0.7, 0.8]) == 7.0  # half way between 2^6 and 2^8
assert labels_for(0.9, [64, 256], [0.7, 0.8]) == 8.0  # never reached: censored

# %% [markdown]
# The need of each arm and seed becomes a record of its own small study, so that the rule of the register can be applied
# to it like to any other number.


# %% tags=["nbval-ignore-output"]
def label_need(arm: str, seed: int) -> dict:
    """Labels that one arm needs with one seed, from that seed's own learning curve."""
    return {"log2_labels_needed": labels_for(TARGET, train_sizes, CURVES[arm][seed])}


CURVES = {
    arm: {int(s): [float(v) for v in row] for s, row in per_seed("auroc", arm).iterrows()}
    for arm in ("scratch", "full")
}
TARGET = float(per_seed("auroc", "full")[train_sizes[0]].mean())
needs = Study(
    "label_need",
    notebook=NOTEBOOK,
    trial=label_need,
    arms=["scratch", "full"],
    seeds=range(seeds),
    dataset=dataset,
    data_checksum=registry.checksum(dataset),
    source_domain=domain,
    target_domain=domain,
    directions={"log2_labels_needed": "lower"},
    n_test=len(parts.test),
).run(progress=False)
need_table = needs.pivot(index="seed", columns="arm", values="value")
need_table["labels saved, as a factor"] = 2 ** (need_table["scratch"] - need_table["full"])
need_table.round(2)

# %% [markdown]
# The other half of the statement speaks of *training* accuracy. A network can reach perfect training accuracy by
# memorising, so that this number says little about what a patient gets; we report it beside the test accuracy.

# %% tags=["nbval-ignore-output"]
figure, axes = plt.subplots(1, 2, figsize=(11, 3.8), sharey=True)
draw_curves(axes[0], "train_accuracy", "accuracy")
axes[0].set_title("training images")
draw_curves(axes[1], "accuracy", "accuracy")
axes[1].set_title("test images")
axes[1].legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.tight_layout()
plt.show()

# %% [markdown]
# ## Verdicts
#
# The rules of the register, applied to the records that this run directory holds. Phantoms show how a method works;
# they are never evidence about medical images, so a run on phantoms alone leaves the medical statements open. Fewer
# than five seeds never make a verdict.

# %% tags=["nbval-ignore-output"]
notebook_verdicts(NOTEBOOK)

# %% [markdown]
# ## What this does not show
#
# - **One backbone, small images.** The default network is small and its inputs are far below the resolution that it
#   was trained at. Larger networks and larger images may behave differently; the families are compared in the rest of
#   the project.
# - **Small numbers of seeds and cases.** The interval over seeds speaks about repeating the training on this data set.
#   It does not speak about other hospitals. Where the test set is small, the choice of test cases adds uncertainty of
#   its own.
# - **A fixed number of steps.** Training from scratch may profit from many more steps than fine-tuning does. The
#   exercise below lets you check it. What is measured here is the value of the weights at equal training cost.
# - **One learning rate for each arm.** Equal budgets are fair, but a single candidate is a small budget.
# - **The counter-evidence.** Raghu et al. (2019), whom the survey does not cite, trained on hundreds of thousands of
#   retinal images and found next to no gain from ImageNet weights at that size, and that what is reused sits in the
#   lowest layers. Whether the gain shrinks with the training size is therefore part of the rule for C006, and not an
#   afterthought.
# - **Phantoms.** Their lesions are drawn by a program. A network that does well on them has learnt that program.
#
# ## Exercises
#
# Each exercise has a check that runs. Set the answer, run the cell, and compare with the solution below it.
#
# **1. Counting parameters.** A linear head takes `d` features to `k` classes. How many parameters does the head of the
# network above have? Write the formula, not the number.

# %%
answer_1 = None  # for example: lambda d, k: ...


def check_1(answer) -> str:
    if answer is None:
        return "exercise 1: not answered yet"
    expected = sum(p.numel() for p in zoo.head_of(pretrained.network).parameters())
    return (
        "exercise 1: correct"
        if answer(features.shape[1], archive.n_classes) == expected
        else "exercise 1: not yet"
    )


print(check_1(answer_1))

# %% tags=["solution"]
print(check_1(lambda d, k: d * k + k))

# %% [markdown]
# **2. Half an interval.** You measure a paired difference with standard deviation `s` over `n` seeds. Write a function
# that returns the half-width of its 95 % interval, and find out how many seeds are needed to bring it below .01 when
# `s` is .02.

# %%
answer_2 = None  # for example: lambda s, n: ...


def check_2(answer) -> str:
    if answer is None:
        return "exercise 2: not answered yet"
    values = np.random.default_rng(0).normal(0, 0.02, 12)
    interval = mean_t(values)
    right = np.isclose(answer(values.std(ddof=1), len(values)), interval.estimate - interval.low)
    return "exercise 2: correct" if right else "exercise 2: not yet"


print(check_2(answer_2))


# %% tags=["solution"]
def half_width(s: float, n: int) -> float:
    return stats.t.ppf(0.975, n - 1) * s / math.sqrt(n)


print(check_2(half_width), "- seeds needed:", next(n for n in range(2, 100) if half_width(0.02, n) < 0.01))

# %% [markdown]
# **3. Thaw one stage more.** Which share of the network's parameters does `policies.last_stages(3)` train? Compute it
# with `policies.set_mode` as in the table of policies.

# %%
answer_3 = None  # a number between 0 and 1


def check_3(answer) -> str:
    if answer is None:
        return "exercise 3: not answered yet"
    network = fresh_network()
    policies.set_mode(network, policies.last_stages(3).phases(network)[0])
    share = sum(p.numel() for p in network.parameters() if p.requires_grad) / sum(
        p.numel() for p in network.parameters()
    )
    return "exercise 3: correct" if math.isclose(answer, share, abs_tol=5e-3) else "exercise 3: not yet"


print(check_3(answer_3))

# %% tags=["solution"]
tuned = fresh_network()
policies.set_mode(tuned, policies.last_stages(3).phases(tuned)[0])
trained = sum(p.numel() for p in tuned.parameters() if p.requires_grad)
print(check_3(trained / size_of.parameters))

# %% [markdown]
# **4. Leave the normalisation out.** Feed the pretrained network inputs on the scale of ImageNet's usual mean and
# standard deviation (.485 .456 .406 and .229 .224 .225) instead of its own. By how much do the pooled features of the
# first 64 images change, relative to their length? Set the answer to a tensor of 64 relative changes.

# %%
answer_4 = None  # a tensor (64,)


def check_4(answer) -> str:
    if answer is None:
        return "exercise 4: not answered yet"
    return (
        "exercise 4: correct"
        if answer.shape == (64,) and float(answer.mean()) > 0.05
        else "exercise 4: not yet"
    )


print(check_4(answer_4))

# %% tags=["solution"]
from medtl_core.data.tensors import Normalisation

usual = Normalisation(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
with torch.inference_mode():
    network = fresh_network().eval()
    right = zoo.pooled_features(network, everything.inputs(slice(0, 64), pretrained.normalisation))
    wrong = zoo.pooled_features(network, everything.inputs(slice(0, 64), usual))
print(check_4((wrong - right).norm(dim=1) / right.norm(dim=1)))

# %% [markdown]
# ## References
#
# - Gu, C. (2024). Enhancing medical image classification with convolutional neural networks through transfer learning: a
#   comprehensive review. *Applied and Computational Engineering* 35, 280-284. The survey under test.
# - Kim, H. E. et al. (2022). Transfer learning for medical image classification: a literature review. *BMC Medical Imaging*
#   22, 69. Recommends frozen features of deep networks.
# - Kumar, A. et al. (2022). Fine-tuning can distort pretrained features and underperform out-of-distribution. *ICLR*.
#   Linear probe then fine-tuning.
# - Howard, J., Ruder, S. (2018). Universal language model fine-tuning for text classification. *ACL*. Discriminative rates.
# - Raghu, M. et al. (2019). Transfusion: understanding transfer learning for medical imaging. *NeurIPS*. Counter-evidence.
# - Shin, H. C. et al. (2016). Deep convolutional neural networks for computer-aided detection. *IEEE TMI* 35(5), 1285-1298.
#   Scratch, frozen and fine-tuned compared.
# - Tan, M., Le, Q. (2019). EfficientNet: rethinking model scaling for convolutional neural networks. *ICML*. The family
#   of the default backbone.
