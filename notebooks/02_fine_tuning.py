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
# 4. tell what the weights contribute from what their scale, the architecture and another source contribute;
# 5. read a paired interval over seeds, and say when a difference is too small or too uncertain to be a verdict;
# 6. look behind an average: which cases got worse, and whether a probability can be believed.
#
# **The statements of the survey that this notebook tests**, in our own words and drawn from the register:

# %%
from medtl_core.reporting.verdict_tables import statements_table

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
dataset: str = "phantoms"  # archive to learn from; a data set
domain: str = ""  # keep only this domain of the archive, empty for all of it; a domain
backbone: str = "tf_efficientnet_lite0"  # network, by its timm name; a network
image_size: int = 36  # pixels, side that images are brought to; 28 to 224
train_sizes: list[int] = [24, 48]  # training images, one learning curve point each; 8 to 100000
val_size: int = 40  # validation images at most, used to choose the best epoch; 10 to 10000
seeds: int = 3  # random seeds, each with its own training subset and initialisation; 1 to 50
steps: int = 6  # optimiser steps of each training run, the same for every arm and size; 4 to 100000
batch_size: int = 16  # images a step; 4 to 512
learning_rate: float = 0.001  # AdamW's learning rate for whole networks; 0.000001 to 0.1
variants: list[str] = [
    "random_probe",
    "last_stage",
    "medical",
]  # further arms at the smallest size; any
backbones: list[str] = ["tf_efficientnet_lite0"]  # networks whose frozen features are compared; a network
related: str = "phantoms_shift"  # ARCHIVE or ARCHIVE:DOMAIN to pretrain on, of the same field; a source
unrelated: str = "phantoms_basic"  # ARCHIVE or ARCHIVE:DOMAIN to pretrain on, of another field; a source
pretrain_steps: int = 12  # optimiser steps of pretraining on these; 10 to 100000
cost_per_label: float = 5.0  # price of one labelled image, in the currency of your choice; 0.01 to 10000

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
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch.nn import functional as F

from medtl_core.backbones import stages, zoo
from medtl_core.backbones.cost import cost
from medtl_core.data import audit, cards
from medtl_core.data.sources import registry
from medtl_core.data.splits import nested_subset, split
from medtl_core.data.tensors import DeviceDataset, Normalisation
from medtl_core.errors import MedtlError
from medtl_core.evaluation.calibration import reliability_table
from medtl_core.evaluation.label_efficiency import labels_needed
from medtl_core.evaluation.metrics import all_metrics, auroc, recall_per_class
from medtl_core.evaluation.statistics import mean_t, paired_t
from medtl_core.evidence.record_store import RecordStore, record_check, run_directory
from medtl_core.reporting.verdict_tables import notebook_verdicts
from medtl_core.study.seeding import seed_everything, select_device
from medtl_core.study.study import Study
from medtl_core.study.trial import Predictions
from medtl_core.training import policies
from medtl_core.training.features import FeatureSet, pooled_features
from medtl_core.training.loop import FitConfig, fit, predict
from medtl_core.transfer.initialisation import mean_var_init
from medtl_core.transfer.pretraining import Source, pretrain

sns.set_theme(style="whitegrid", palette="colorblind")
plt.rcParams["figure.dpi"] = 80
NOTEBOOK = "02_fine_tuning"
ARM_NAMES = {"scratch": "from scratch", "linear_probe": "linear probe", "full": "full fine-tuning"}
ARM_COLOURS = dict(zip(ARM_NAMES, sns.color_palette("colorblind", 3), strict=True))
device = select_device()
seed_everything(0)
runs = seeds * (len(train_sizes) * 2 + len(variants))
print(f"at most {runs} training runs of {steps} steps with {backbone} at {image_size} px, on {device}.")

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
display(pd.Series(card, name=dataset).to_frame())
for finding in audit.audit(archive, parts).findings:
    print("audit:", finding.text)

# %% [markdown]
# *What do the classes look like to the eye?* The grey range is stated under the sheet, since a stretched contrast can
# make an easy task out of a hard one.

# %% tags=["nbval-ignore-output"]
used = np.sort(np.concatenate([parts.train, parts.val, parts.test]))  # all images, or those of one domain
cards.contact_sheet(archive.subset(used), per_class=5, seed=0)

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
one_image = DeviceDataset.from_archive(archive, parts.train[:1], device, size=image_size)
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
everything = DeviceDataset.from_archive(archive, np.arange(archive.n), device, size=image_size)
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

# %% [markdown]
# Nothing of the network was trained, and the whole thing took one forward pass. A linear probe is the
# price-performance baseline: fine-tuning has to earn its cost against it.
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
# The careless network gives other features than those that were cached, although "nothing but the head" was trained.
# Whoever then evaluates the cached features evaluates a network that no longer exists.
#
# ## Fine-tuning, by hand
#
# Full fine-tuning is ordinary training that starts somewhere better. The loop has five lines that matter: draw a batch,
# compute the loss, go back, step, and at the end of an epoch look at the validation images and remember the best
# weights. *Best* needs a definition, and it matters: with few images a network soon is too sure of itself, its
# validation *loss* grows while it still learns to rank the cases, and the epoch of lowest loss can be the first one, in
# which nothing has been learnt. The study below judges by AUROC, so the epoch is chosen by AUROC, and by loss among
# equals. Written out for a few epochs, with plain AdamW and a cosine schedule:


# %%
def fine_tune_by_hand(
    network, train, val, normalisation, *, epochs, batch_size, learning_rate, weight_decay, seed
):
    """Train all of `network`; return it with the weights of the epoch that is best on `val`."""
    decayed = [p for p in network.parameters() if p.ndim > 1]
    exempt = [p for p in network.parameters() if p.ndim <= 1]  # biases and batch-norm scales
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": exempt, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=learning_rate, fused=True)  # one kernel for all parameters
    batches = math.ceil(len(train) / batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: 0.5 * (1 + math.cos(math.pi * step / (epochs * batches)))
    )
    order = torch.Generator().manual_seed(seed)
    best, best_weights = (-math.inf, -math.inf), None
    for _ in range(epochs):
        network.train()
        for index in torch.randperm(len(train), generator=order).to(train.labels.device).split(batch_size):
            optimiser.zero_grad()
            F.cross_entropy(network(train.inputs(index, normalisation)), train.labels[index]).backward()
            optimiser.step()
            schedule.step()
        probabilities = predict(network, val, normalisation)
        truth = val.labels.cpu().numpy()
        rank = (auroc(truth, probabilities), np.log(probabilities[np.arange(len(val)), truth]).mean())
        if rank > best:
            best, best_weights = rank, copy.deepcopy(network.state_dict())
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
# ### Which epoch is the best one?
#
# It looks like a detail. *Do loss and AUROC on the validation images agree about it, for a network that learns from
# scratch?* Each curve has a ring at the epoch that it would choose.

# %% tags=["nbval-ignore-output"]
seed_everything(0)
novice = zoo.build(backbone, num_classes=archive.n_classes, pretrained=False, seed=0)
config = FitConfig(epochs=12, batch_size=batch_size, learning_rate=learning_rate)
history = fit(
    novice.network, policies.SCRATCH, demo_train, demo_val, novice.normalisation, config, seed=0
).history
figure, axes = plt.subplots(1, 2, figsize=(8, 3), sharex=True)
for axis, name, best in zip(axes, ("val_loss", "val_auroc"), (min, max), strict=True):
    ringed = best(history, key=lambda epoch, name=name: epoch[name])
    axis.plot([epoch["epoch"] for epoch in history], [epoch[name] for epoch in history], ".-")
    axis.plot(ringed["epoch"], ringed[name], "o", markersize=14, fillstyle="none", color="black")
    axis.set_xticks(range(2, 13, 2))
    axis.set_xlabel("epoch")
axes[0].set_ylabel("cross-entropy, validation")
axes[1].set_ylabel("AUROC, validation")
plt.tight_layout()
plt.show()

# %% [markdown]
# A network that has learnt nothing predicts the shares of the classes, and that is a respectable loss. One that has
# begun to learn from a few dozen images is wrong with great confidence on some cases, which costs more than modesty. So
# the loss may call the *untrained* network the best, and a study that goes by it compares fine-tuning with nothing at
# all and reports a huge benefit of transfer. When a published baseline from scratch stands at chance, ask how its
# epoch was chosen.

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
# *Where do the parameters sit, and how far do they travel when everything may move?* Freezing "most layers" and
# freezing "most parameters" are different things. On the right, the relative change of each stage's weights after the
# short run above.

# %% tags=["nbval-ignore-output"]
start = fresh_network()
per_stage = []
for old, new in zip(stages.stage_modules(start), stages.stage_modules(packaged), strict=True):
    a, b = (torch.cat([p.detach().flatten() for m in part for p in m.parameters()]) for part in (old, new))
    change = ((b - a).norm() / a.norm()).item()
    per_stage.append({"thousand parameters": len(a) / 1e3, "|change| / |start|": change})
per_stage = pd.DataFrame(per_stage, index=["stem", *[f"stage {i}" for i in range(1, len(per_stage))]])
figure, axes = plt.subplots(1, 2, figsize=(10, 3.2))
for axis, column, colour in zip(axes, per_stage, sns.color_palette("colorblind"), strict=False):
    axis.bar(per_stage.index, per_stage[column], color=colour)
    axis.set_ylabel(column)
    axis.tick_params(axis="x", rotation=60)
plt.tight_layout()
plt.show()

# %% [markdown]
# The parameters pile up at the deep end. A policy that thaws one late stage can therefore train a large part of all
# parameters while it touches a small part of the depth. Where the bars on the right are tallest, the pretrained
# weights suited the new task least, or the gradient was simply largest; this picture alone cannot tell the two apart. Comparing representations before and after training, layer by layer,
# is a subject of the notebook on truncation. What it does show is that fine-tuning for a short time is a small
# correction and not a new beginning.
#
# ## The study: what is it that transfers?
#
# Everything so far was one run, and one run proves nothing: another seed would draw other training images, start
# another head and end a few hundredths higher or lower. With small training sets this scatter is of the same size as
# the effects that papers report. So the comparison is repeated over seeds, and it is the *spread of the differences*
# that decides.
#
# An *arm* is a start and a policy. Three arms are trained at every size: **from scratch** (random weights, everything
# trains), **linear probe** (pretrained weights, only the head trains, on features computed once) and **full
# fine-tuning** (pretrained weights, everything trains). The others take the experiment apart at the smallest size:
#
# - *mean_var* keeps mean and standard deviation of every pretrained tensor and throws the pattern away, which
#   separates good scaling from knowledge (Raghu et al. 2019);
# - *random_probe* is the linear probe on a random network, the control for the architecture;
# - *last_stage*, *last_three*, *probe_then_full* and *discriminative* are the policies from above;
# - *medical* and *unrelated* start from networks that were trained, from nothing, on another archive; *medical_probe*
#   is a linear probe on the former.
#
# The last ones need a source. `pretrain` trains one on a related and one on an unrelated archive; `medtl pretrain` does
# the same at the command line and leaves a weights file with a card. A source of a few thousand images cannot rival
# a million photographs; whether its *relatedness* makes up for its size is the question.

# %% tags=["nbval-ignore-output"]
medical_sources = {}
for role, text in {"medical": related, "unrelated": unrelated}.items():
    source = Source.parse(text)
    if role not in variants and f"{role}_probe" not in variants:
        continue
    if source.dataset == dataset and source.domain in ("", domain):
        raise MedtlError(f"{role}: source {text} holds the target itself, expected another archive or domain")
    medical_sources[role], source_card = pretrain(
        backbone, [source], image_size=image_size, steps=pretrain_steps, batch_size=batch_size
    )
    print(
        f"{role}: {text}, {source_card['training_images']} images, {source_card['steps']} steps, "
        f"AUROC on its own validation images {source_card['val_auroc']:.3f}"
    )

# %% [markdown]
# Fairness is in the details. Every run takes the same number of optimiser steps, whatever its training size, so that a
# small set is not also a short training. Every arm has exactly one setting and no search, so that none is favoured by
# trying more. The best epoch is chosen on validation images, and the test images are looked at once. The head of a
# probe trains on cached features at ten times the learning rate, because a single linear layer at the rate of a
# whole network would simply not have arrived yet.

# %%
DIRECTIONS = {
    **dict.fromkeys(["auroc", "auprc", "accuracy", "balanced_accuracy", "val_auroc"], "higher"),
    **dict.fromkeys(["train_auroc", "train_accuracy"], "higher"),
    **dict.fromkeys(["brier", "ece", "train_loss", "generalisation_gap"], "lower"),
    **dict.fromkeys(["failed", "epochs_to_best", "steps"], "lower"),
}
images = everything
probe_data = FeatureSet(features, everything.labels)


def train_and_measure(network, normalisation, data, policy, rate: float, seed: int, n: int) -> dict:
    """Train on `n` cases of `data` drawn with `seed`; measure on the test images."""
    chosen = nested_subset(archive.labels, parts.train, n, seed)
    validation = nested_subset(archive.labels, parts.val, min(val_size, len(parts.val)), seed)
    epochs = max(2, math.ceil(steps / math.ceil(n / batch_size)))
    config = FitConfig(epochs=epochs, batch_size=batch_size, learning_rate=rate)
    train, network = data.select(chosen), network.to(device)
    result = fit(network, policy, train, data.select(validation), normalisation, config, seed=seed)
    train_scores = predict(network, train, normalisation)
    scores = predict(network, data.select(parts.test), normalisation)
    measured = all_metrics(archive.labels[parts.test], scores)
    on_train = all_metrics(archive.labels[chosen], train_scores)
    of_true_class = train_scores[np.arange(n), archive.labels[chosen]]
    return {
        **{name: value for name, value in measured.items() if name in DIRECTIONS},
        "val_auroc": result.best["val_auroc"],
        "train_auroc": on_train["auroc"],
        "train_accuracy": on_train["accuracy"],
        "train_loss": float(-np.log(np.clip(of_true_class, 1e-12, 1)).mean()),
        "generalisation_gap": on_train["auroc"] - measured["auroc"],
        "failed": float(measured["auroc"] < 0.6),
        "epochs_to_best": float(result.best_epoch),
        "steps": float(result.steps),
        "predictions": Predictions(cases=parts.test, labels=archive.labels[parts.test], scores=scores),
    }


def trial(arm: str, seed: int, n: int) -> dict:
    """One of the three main arms."""
    seed_everything(seed)
    model = zoo.build(backbone, num_classes=archive.n_classes, pretrained=arm != "scratch", seed=seed)
    network, data, rate = model.network, images, learning_rate
    if arm == "linear_probe":
        network, data, rate = zoo.head_of(network), probe_data, 10 * learning_rate
    return train_and_measure(network, model.normalisation, data, policies.FULL, rate, seed, n)


# %% [markdown]
# The further arms differ from these in what they start from, or in their policy:

# %%
VARIANTS = {  # what an arm starts from, and its policy; "probe" trains the head on cached features
    "mean_var": ("moments", policies.FULL),
    "random_probe": ("random", "probe"),
    "last_stage": ("pretrained", policies.last_stages(1)),
    "last_three": ("pretrained", policies.last_stages(3)),
    "probe_then_full": ("pretrained", policies.PROBE_THEN_FULL),
    "discriminative": ("pretrained", policies.discriminative()),
    "medical": ("medical", policies.FULL),
    "medical_probe": ("medical", "probe"),
    "unrelated": ("unrelated", policies.FULL),
}
if not set(variants) <= set(VARIANTS):
    raise MedtlError(f"variants are {variants}, expected some of {', '.join(VARIANTS)}; change -p variants")
cached = {"random": random_features}
if "medical" in medical_sources:
    cached["medical"] = pooled_features(medical_sources["medical"], everything)


def begin(start: str, seed: int) -> tuple[torch.nn.Module, Normalisation]:
    """A network with a fresh head for this seed, and the input normalisation of its weights."""
    with_weights = start in ("pretrained", "moments")
    model = zoo.build(backbone, num_classes=archive.n_classes, pretrained=with_weights, seed=seed)
    if start == "moments":
        mean_var_init(model.network, seed)
    if start in medical_sources:
        head = set(zoo.head_of(model.network).parameters())
        own = dict(model.network.named_parameters())
        learnt = medical_sources[start].network.state_dict()
        body = {name: value for name, value in learnt.items() if own.get(name) not in head}
        model.network.load_state_dict(body, strict=False)
        return model.network, medical_sources[start].normalisation
    return model.network, model.normalisation


def variant(arm: str, seed: int, n: int) -> dict:
    """One of the further arms."""
    seed_everything(seed)
    start, policy = VARIANTS[arm]
    network, normalisation = begin(start, seed)
    data, rate = images, learning_rate
    if policy == "probe":
        network, data = zoo.head_of(network), FeatureSet(cached[start], everything.labels)
        policy, rate = policies.FULL, 10 * learning_rate
    return train_and_measure(network, normalisation, data, policy, rate, seed, n)


# %% [markdown]
# A study is a grid of arms, seeds and factors around such a function. A finished trial is kept under a key made of
# the code, the arguments and the data; it is never run twice, and if you interrupt the next cell and run it again, it
# continues where it stopped.

# %% tags=["nbval-ignore-output"]
place = {
    "notebook": NOTEBOOK,
    "seeds": range(seeds),
    "data": archive,
    "source_domain": domain,
    "target_domain": domain,
    "n_test": len(parts.test),
}


def learning_curve(function, arms: list[str], sizes: list[int]) -> pd.DataFrame:
    grid = {"arms": arms, "factors": {"n": sizes}, "directions": DIRECTIONS}
    return Study("learning_curve", trial=function, **grid, **place).run()


started = time.perf_counter()
records = learning_curve(trial, list(ARM_NAMES), train_sizes)
smallest = pd.concat(
    [records[records.n == train_sizes[0]], learning_curve(variant, variants, train_sizes[:1])]
)
print(f"{records.key.nunique()} + {len(variants) * seeds} trials in {time.perf_counter() - started:.0f} s")
shown = ["auroc", "balanced_accuracy", "ece", "train_accuracy", "failed"]
summary = records.pivot_table(index=["n", "arm"], columns="metric", values="value", aggfunc="mean")[shown]
summary["SD of auroc"] = records[records.metric == "auroc"].groupby(["n", "arm"]).value.std()
summary.round(3)

# %% [markdown]
# The table has means over seeds, for orientation only. "Challenging", the survey's word for training from scratch
# (C018), can mean a worse mean, a larger spread, or runs that fail altogether: we call a run failed when its test AUROC
# stays below .6, hardly better than a coin.
#
# *How does each arm learn as images are added, and how far is training from test?* Points are means over seeds, bars
# are 95 % t-intervals, and the small dots are the single runs. In the middle the gap between training and test
# AUROC (C005), on the right the accuracy on training images, which can reach its ceiling by memorising alone (C019).


# %% tags=["nbval-ignore-output"]
def per_seed(metric: str, arm: str, table: pd.DataFrame = records) -> pd.DataFrame:
    """Values of one metric and arm: one row a seed, one column a training size."""
    chosen = table[(table.metric == metric) & (table.arm == arm)]
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


figure, axes = plt.subplots(1, 3, figsize=(13, 3.8))
draw_curves(axes[0], "auroc", "AUROC on test images")
axes[0].axhline(0.5, color="grey", linestyle=":")
draw_curves(axes[1], "generalisation_gap", "AUROC on training\nminus test images")
draw_curves(axes[2], "train_accuracy", "accuracy on training images")
figure.legend(*axes[0].get_legend_handles_labels(), loc="upper center", ncols=3, bbox_to_anchor=(0.5, 1.08))
plt.tight_layout()
plt.show()

# %% [markdown]
# Read the left panel from left to right. The distance between the curves at the smallest size is what pretrained
# weights are worth when data are scarce; the slope of the lower curve tells how quickly own data replace them. A curve
# that lies on the dotted line, a coin's AUROC, has learnt nothing that generalises, whatever its training accuracy.
#
# ### Is transfer better than scratch (C006), and frozen worse than tuned (C021)?
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


def differences(treatment: str, control: str, table: pd.DataFrame = records) -> pd.DataFrame:
    a, b = per_seed("auroc", treatment, table), per_seed("auroc", control, table)
    sizes = [n for n in a if n in b]
    rows = [(n, paired_t(a[n], b[n])) for n in sizes]
    return pd.DataFrame(
        [{"n": n, "difference": i.estimate, "low": i.low, "high": i.high, "seeds": i.n} for n, i in rows]
    )


if seeds > 1:
    gain = differences("full", "scratch")
    largest = train_sizes[-1]
    hand = paired_interval_by_hand(per_seed("auroc", "full")[largest], per_seed("auroc", "scratch")[largest])
    assert np.allclose(hand, gain.loc[gain.n == largest, ["difference", "low", "high"]])
    display(gain.round(3))

# %% [markdown]
# *At which training sizes does transfer beat scratch, and tuning the frozen features?* The grey band is the smallest
# effect that the register calls interesting; an interval inside it would be a difference without a consequence.


# %% tags=["nbval-ignore-output"]
def draw_differences(pairs: list[tuple[str, str]], table: pd.DataFrame, band: float = 0.005) -> None:
    rows = [(a, b, row) for a, b in pairs for row in differences(a, b, table).itertuples()]
    figure, axis = plt.subplots(figsize=(7, 0.38 * len(rows) + 1.4))
    colours = dict(zip(pairs, sns.color_palette("colorblind", len(pairs)), strict=True))
    for y, (a, b, row) in enumerate(rows):
        axis.plot([row.low, row.high], [y, y], color=colours[a, b], linewidth=3)
        axis.plot(row.difference, y, "o", color=colours[a, b])
    names = [f"{ARM_NAMES.get(a, a)} - {ARM_NAMES.get(b, b)}, n = {row.n}" for a, b, row in rows]
    axis.axvline(0, color="black", linewidth=1)
    axis.axvspan(-band, band, color="grey", alpha=0.25, label="smaller than interesting")
    axis.set_yticks(range(len(rows)), names)
    axis.invert_yaxis()
    axis.set_xlabel(f"paired difference in AUROC (95 % interval over {seeds} seeds)")
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, 1.0 + 0.8 / (len(rows) + 2)), fontsize=9)
    plt.show()


if seeds > 1:
    draw_differences([("full", "scratch"), ("linear_probe", "scratch"), ("full", "linear_probe")], records)

# %% [markdown]
# An interval to the right of the band is what the word "effective" asks for. Its width tells how sure we are; with few
# seeds it is wide even when every single run points the same way, and the verdict will then be *inconclusive*. That is
# the honest name for "it looks good, but we have not measured enough".
#
# The last rows compare tuned with frozen. To the right, tuning has found something in the target images that the
# frozen features did not offer to a linear rule. To the left, moving all weights with few images has done more harm
# than good, and the cheap probe is also the better classifier. The survey's sources disagree on this: Kim et al.
# recommend frozen features to save cost (I01), Shin et al. found them the weakest of three (I02).
#
# ### Taking the gain apart
#
# *Which part of full fine-tuning's result at the smallest size comes from the pattern in the weights, and which from
# scale, architecture, policy or source?* Each row is an arm minus training from scratch, on the same images.

# %% tags=["nbval-ignore-output"]
if seeds > 1:
    draw_differences([(arm, "scratch") for arm in ["linear_probe", "full", *variants]], smallest)

# %% [markdown]
# Where *mean_var* gains as much as *full*, scaling was the treasure and not the features; where *random_probe* does,
# it was the architecture. *medical* against *unrelated* says whether relatedness of the source counts (C013), and a
# row left of zero is negative transfer: a source that does harm (C093). *last_stage* and *last_three* against *full*
# and *linear_probe* tell how deep one should tune; which depth is best can differ from task to task, so the depth that
# each seed would choose **on its validation images** becomes a record, and the register compares it between data sets
# (C023).

# %% tags=["nbval-ignore-output"]
DEPTHS = [
    arm for arm in ("linear_probe", "last_stage", "last_three", "full") if arm in (*ARM_NAMES, *variants)
]
VALIDATED = {
    arm: {int(s): float(v) for s, v in per_seed("val_auroc", arm, smallest)[train_sizes[0]].items()}
    for arm in DEPTHS
}


def depth_choice(arm: str, seed: int) -> dict:
    """The depth of tuning with the best validation AUROC: 0 head only, 1 last stage, 2 last three, 3 all."""
    best = max(VALIDATED, key=lambda each: VALIDATED[each][seed])
    return {"depth": float(("linear_probe", "last_stage", "last_three", "full").index(best))}


def need_of(arm: str, seed: int) -> dict:
    """Labels that one arm needs with one seed to reach the target, from that seed's own learning curve."""
    need, censored = labels_needed(TARGET, train_sizes, CURVES[arm][seed])
    return {"log2_labels_needed": math.log2(need), "cost": need * PRICE, "censored": float(censored)}


CURVES = {
    arm: {int(s): [float(v) for v in row] for s, row in per_seed("auroc", arm).iterrows()}
    for arm in ARM_NAMES
}
TARGET, PRICE = float(per_seed("auroc", "full")[train_sizes[0]].mean()), cost_per_label
lower = {"directions": dict.fromkeys(["log2_labels_needed", "cost", "censored", "depth"], "lower")}
chosen_depth = Study("depth_choice", trial=depth_choice, arms=["validated"], **lower, **place).run(False)
needs = Study("label_need", trial=need_of, arms=list(ARM_NAMES), **lower, **place).run(False)
chosen_depth[["seed", "value"]].rename(columns={"value": "depth chosen on validation"}).set_index("seed").T

# %% [markdown]
# ### How many labels is a pretrained network worth? (C014, C019, C082)
#
# The second promise of transfer learning is economy: the same performance from fewer labelled images. Fix a target
# AUROC, read off each arm's learning curve how many images it needs, and compare on a logarithmic scale, where
# one unit is a factor of two. The target is what *full fine-tuning* reaches on average at the smallest size, and it is
# the same for all arms. Where an arm never reaches it within the sizes measured, its need is *censored*: we write
# down the largest size, which understates the need, and mark it with an open circle.
#
# *What does the target cost with each arm?* Needs times a stated price per label, one point a seed.

# %% tags=["nbval-ignore-output"]
need_table = needs.pivot(index=["arm", "seed"], columns="metric", values="value").reset_index()
figure, axis = plt.subplots(figsize=(7, 2.6))
for y, arm in enumerate(ARM_NAMES):
    rows = need_table[need_table.arm == arm]
    fill = [ARM_COLOURS[arm] if reached else "none" for reached in rows.censored == 0]
    heights = y + np.linspace(-0.15, 0.15, len(rows))
    axis.scatter(rows.cost, heights, s=50, edgecolors=[ARM_COLOURS[arm]] * len(rows), facecolors=fill)
axis.set_xscale("log", base=2)
ticks = [n * cost_per_label for n in train_sizes]
axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
axis.set_yticks(range(len(ARM_NAMES)), list(ARM_NAMES.values()))
axis.set_xlabel(f"price of the labels for AUROC {TARGET:.3f}, at {cost_per_label:g} each")
plt.show()

# %% [markdown]
# Open circles at the right end mean "more than everything we had", at the left end "no more than the least we tried".
# A ratio between two open circles is a lower bound and no estimate; wider training sizes would close them.
#
# ### Is it this backbone? (C020, I04)
#
# The survey names VGG, ResNet and Inception as rich in features. Whether features are rich is a question for a linear
# probe, and "rich" needs its control: the same architecture with random weights. Networks whose weights cannot be had
# on this machine are left out, and named. The *effective rank* (exponential of the entropy of the normalised singular
# values; Roy & Vetterli 2007) counts how many directions the features really use.


# %% tags=["nbval-ignore-output"]
def effective_rank(values: np.ndarray) -> float:
    share = np.linalg.svd(values - values.mean(0), compute_uv=False)
    share = share / share.sum()
    return float(np.exp(-(share * np.log(np.clip(share, 1e-12, None))).sum()))


assert math.isclose(effective_rank(np.vstack([np.eye(3), -np.eye(3)])), 3.0)  # three equal directions
n_family = min(train_sizes[-1], len(parts.train))
pool = np.unique(
    np.concatenate([nested_subset(archive.labels, parts.train, n_family, seed) for seed in range(seeds)])
)
TESTED = nested_subset(archive.labels, parts.test, min(500, len(parts.test)), seed=0)
needed = np.unique(np.concatenate([pool, TESTED]))
FAMILY = {}
for name in backbones:
    try:
        origin = zoo.weights_source(name)
    except MedtlError as error:
        print(f"left out: {name} ({str(error).split(';')[0][:110]})")
        continue
    for start in ("pretrained", "random"):
        model = zoo.build(name, num_classes=2, pretrained=start == "pretrained", seed=0)
        FAMILY[name, start] = pooled_features(model, everything.select(needed)).cpu().numpy()
    print(f"{name}: {origin}, {FAMILY[name, 'random'].shape[1]} features")


def family(arm: str, seed: int, backbone: str) -> dict:
    """Logistic regression on frozen features of one backbone, pretrained or random."""
    chosen = nested_subset(archive.labels, parts.train, n_family, seed)
    values = FAMILY[backbone, arm]
    train, test = values[np.searchsorted(needed, chosen)], values[np.searchsorted(needed, TESTED)]
    scale = StandardScaler().fit(train)
    probe = LogisticRegression(C=0.01, max_iter=2000).fit(scale.transform(train), archive.labels[chosen])
    scores = probe.predict_proba(scale.transform(test))
    auroc = all_metrics(archive.labels[TESTED], scores)["auroc"]
    return {"auroc": auroc, "effective_rank": effective_rank(train)}


def network_depth(arm: str, seed: int) -> dict:
    """The pretrained network `arm`, so that networks can be compared with each other."""
    return family("pretrained", seed, arm)


names = list(dict.fromkeys(name for name, _ in FAMILY))
rank = {"directions": {"effective_rank": "higher"}}
arms = {"arms": ["pretrained", "random"], "factors": {"backbone": names}}
families = Study("families", trial=family, **arms, **rank, **place).run(False)
Study("networks", trial=network_depth, arms=names, **rank, **place).run(False)
grid = sns.catplot(
    families, x="backbone", y="value", hue="arm", col="metric", kind="point", errorbar=("ci", 95),
    linestyle="none", dodge=0.3, sharey=False, height=3.2, aspect=1.3, palette="colorblind",
)  # fmt: skip
grid.set_axis_labels("", "mean, 95 % interval")
grid.tick_params(axis="x", rotation=20)
plt.show()

# %% [markdown]
# The left panel says whether the *weights* carry features, the right one how many directions they span. A random
# network can have a high rank and a poor AUROC: many directions are not yet useful directions.
#
# ## What it means for a case
#
# The survey's conclusion speaks of accurate outcomes *for each patient* and of *precise insights* for clinicians.
# Averages cannot answer either. A **negative flip** is a test case that scratch gets right and transfer gets wrong: it
# counts the patients for whom the better average was a change for the worse (C092); the *net* flips are the gain in
# accuracy. The **worst-class change** is the
# largest loss of recall of any class. And if the network is to assist (C017), one should look at the *team*: the
# network answers the half of the cases that it is surest of, a reader of stated accuracy answers the rest.


# %% tags=["nbval-ignore-output"]
def scores_of(arm: str, seed: int, n: int) -> np.ndarray:
    key = records[(records.arm == arm) & (records.seed == seed) & (records.n == n)].key.iloc[0]
    return RecordStore(run_directory()).predictions(key)["scores"]


SCORES = {
    (arm, seed, n): scores_of(arm, seed, n)
    for arm in ("scratch", "full")
    for seed in range(seeds)
    for n in train_sizes
}
TRUTH = archive.labels[parts.test]


def consequences(arm: str, seed: int, n: int) -> dict:
    """What changes for single cases and classes when `arm` takes the place of training from scratch."""
    before, after = SCORES["scratch", seed, n], SCORES[arm, seed, n]
    right_before, right_after = before.argmax(1) == TRUTH, after.argmax(1) == TRUTH
    change = recall_per_class(TRUTH, after) - recall_per_class(TRUTH, before)
    return {
        "negative_flips": float((right_before & ~right_after).mean()),
        "net_flips": float(right_after.mean() - right_before.mean()),
        "worst_class_change": float(change.min()),
    }


def team(arm: str, seed: int, reader: float) -> dict:
    """Accuracy of the reader, of the network, and of both: the network answers the half that it is surest of."""
    scores = SCORES["full", seed, train_sizes[-1]]
    right = scores.argmax(1) == TRUTH
    surest = np.argsort(-scores.max(1), kind="stable")[: len(TRUTH) // 2]
    together = (right[surest].sum() + reader * (len(TRUTH) - len(surest))) / len(TRUTH)
    return {"accuracy": float({"reader": reader, "model": right.mean(), "team": together}[arm])}


flips = {"negative_flips": "lower", "net_flips": "higher", "worst_class_change": "higher"}
sizes = {"factors": {"n": train_sizes}, "directions": flips}
per_case = Study("consequences", trial=consequences, arms=["scratch", "full"], **sizes, **place).run(False)
readers = {"arms": ["reader", "model", "team"], "factors": {"reader": [0.7, 0.8, 0.9]}}
deferral = Study("deferral", trial=team, **readers, **place).run(False)
display(per_case[per_case.arm == "full"].pivot_table(index="n", columns="metric", values="value").round(3))
deferral.pivot_table(index="reader", columns="arm", values="value")[["reader", "model", "team"]].round(3)

# %% [markdown]
# Any negative flips at all make "each patient" false: it is a word about every case, and one counter-example refutes
# it. That is no argument against transfer, only against the word. The reader's accuracy is an assumption, swept here,
# and a reader whose mistakes fall on the same hard cases would help less than this table promises.
#
# *Can the probability be believed, and does confidence sort the cases?* On the left the reliability of the
# probabilities at the largest size, pooled over seeds; a calibrated network lies on the diagonal. On the right the error
# among the share of cases that the network is surest of; a useful confidence makes the curve fall to the left (C097).

# %% tags=["nbval-ignore-output"]
figure, axes = plt.subplots(1, 2, figsize=(10, 3.8))
for arm in ("scratch", "full"):
    pooled = np.concatenate([SCORES[arm, seed, train_sizes[-1]] for seed in range(seeds)])
    truth = np.tile(TRUTH, seeds)
    table = reliability_table(truth, pooled, bins=10)
    table = table[table["count"] > 0]
    axes[0].plot(table.confidence, table.accuracy, "o-", color=ARM_COLOURS[arm], label=ARM_NAMES[arm])
    wrong = (pooled.argmax(1) != truth)[np.argsort(-pooled.max(1), kind="stable")]
    coverage = np.arange(1, len(wrong) + 1) / len(wrong)
    axes[1].plot(coverage, np.cumsum(wrong) / np.arange(1, len(wrong) + 1), color=ARM_COLOURS[arm])
axes[0].plot([0, 1], [0, 1], ":", color="grey", label="calibrated")
axes[0].set_xlabel("confidence (probability of the predicted class)")
axes[0].set_ylabel("accuracy")
axes[0].legend()
axes[1].set_xlabel("share of cases answered, surest first")
axes[1].set_ylabel("error among them")
axes[1].set_ylim(0, None)
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
