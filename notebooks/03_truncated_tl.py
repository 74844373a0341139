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
# # Truncated transfer learning: keep the lower layers, drop the rest, and know what it costs
#
# A network that was trained on photographs ends in layers that tell dogs from teapots. A radiograph needs neither.
# The survey reports a method that takes this seriously: *TruncatedTL* (Peng et al. 2022) keeps the lower layers of a
# pretrained network, throws the upper ones away, puts a small head on what is left and fine-tunes it. The method
# makes two promises: a better classifier and a smaller one. The second is arithmetic. The first is an experiment, and
# one that is easy to get wrong: a method that may choose among many depths is bound to look better than one that may
# not choose at all. This notebook builds the method, finds the cut in a single forward pass, and compares it at an
# equal budget of choices.
#
# **Afterwards you will be able to**
#
# 1. cut a network of any family at any block, with no dead parameter left behind, by hand and in one line;
# 2. find a promising cut from one forward pass, and say what that search cost against tuning every cut;
# 3. tell full, layer-wise, partly random (TransFusion) and truncated fine-tuning apart by what they keep and train;
# 4. compare methods that search, giving each the same number of validated candidates;
# 5. separate the effect of a cut from the effect of the head that sits on it;
# 6. report "compact" and "efficient" as four numbers, and read a published margin against its spread.
#
# **The statements of the survey that this notebook tests**, in our own words and drawn from the register:

# %%
from medtl_core import reporting as show

show.statements_table("03_truncated_tl")

# %% [markdown]
# The rules behind these statements stand in `claims.yaml`. The verdicts at the end are made from them and from the
# records of the studies below. Every study is shown twice: *this run* is what your machine measured with the
# parameters below, *reference* is a longer run on real images whose records come with the project.
#
# ## Parameters
#
# The defaults are the `smoke` profile: digital phantoms and a few seeds. Three kinds of training run are small enough
# for half a minute, if not always to converge: the truncated network, the same network from random weights,
# and the whole network. Everything else that has to be trained is shown from the reference run. `medtl run
# 03_truncated_tl --profile teach` trains all of it; `-p dataset=breastmnist -p seeds=5` changes single values, after
# checking each against the type and range given here.

# %% tags=["parameters"]
dataset: str = "phantoms"  # archive to learn from; a data set
domain: str = ""  # keep only this domain of the archive, empty for all of it; a domain
backbone: str = "tf_efficientnet_lite0"  # pretrained network to be cut, by its timm name; a network
image_size: int = 32  # pixels, side that images are brought to; 28 to 224
train_sizes: list[int] = [128]  # training images, one point of the learning curves each; 8 to 100000
val_size: int = 200  # validation images at most, by which every choice is made; 10 to 10000
test_size: int = 200  # test images at most, looked at once; 20 to 100000
seeds: int = 3  # random seeds, each with its own training and validation images and head; 1 to 50
first_seed: int = 0  # the first of them; 0 to 100000
steps: int = 32  # optimiser steps of each training run at most, for every arm and size; 4 to 100000
patience: int = 0  # steps without a better epoch after which training ends, 0 for never; 0 to 100000
batch_size: int = 32  # images a step; 4 to 512
learning_rate: float = 0.001  # AdamW's learning rate, without pilots; 0.000001 to 0.1
pilot_seeds: int = 0  # pilot runs for each learning rate of the grid, 0 for the rate above; 0 to 10
methods: list[str] = ["ftl", "ttl", "ttl_scratch"]  # what is trained; one of ftl, lwft, tf, ttl, ttl_scratch
candidates: int = 1  # validated candidates that each method may fine-tune; 1 to 5
heads: bool = False  # also fine-tune the whole and the cut network with a pooled and a flattened head; any
search_cuts: int = 0  # cut points tuned one by one to check the sweep, 0 for none; 0 to 100
cost_size: int = 128  # pixels, side of the images for which latency and memory are measured; 28 to 512

# %% [markdown]
# ## Set-up

# %% tags=["nbval-ignore-output"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from scipy import stats
from sklearn import linear_model, pipeline, preprocessing

from medtl_core import backbones, data, evaluation, evidence, study, training, truncation

show.use_style()
NOTEBOOK = "03_truncated_tl"
LABELS = {
    "ftl": "full fine-tuning",
    "lwft": "layer-wise fine-tuning",
    "tf": "TransFusion",
    "ttl": "the truncated network",
    "ttl_scratch": "the same with random weights",
    "n": "training images",
    "arm": "cut after (stage.block)",
    "chosen": "the cut that validation chose",
    "full_network": "the whole network",
    "best_exhaustive": "the best cut on test images",
    "pooled": "a pooled head",
    "flattened": "a flattened head",
    "cut": "network",
    "full": "whole",
    "sweep": "one cut, chosen by probes",
    "sweep_best": "the best of a few, by probes",
    "two_stage": "the two-stage search",
    "exhaustive": "the best of all cuts tuned",
    "log10_seconds": "seconds to choose (log10)",
    "auprc_among_auroc_ties": "level in AUROC, parted by AUPRC",
    "auroc_among_auprc_ties": "level in AUPRC, parted by AUROC",
    "told_apart": "share of pairs told apart",
    "chest_xray_64": "chest X-rays",
    "breast_ultrasound_128": "breast ultrasound",
    "covid_ct_96": "COVID CT",
    "white_blood_cells_96": "white blood cells",
}
device = study.select_device()
study.seed_everything(0)
SEEDS = range(first_seed, first_seed + seeds)
runs = seeds * len(methods) * len(train_sizes) * candidates + seeds * (4 * heads + search_cuts)
print(f"{runs} training runs of at most {steps} steps with {backbone} at {image_size} px, on {device}.")


def tell(text: str):
    """A sentence made from numbers, shown as text."""
    display(show.Prose(text))


# %% [markdown]
# ## The data
#
# What are the images, how many are there, and could one patient or one picture stand on both sides of a split? The
# card is what the registry knows; the audit looks at the pixels.

# %% tags=["nbval-ignore-output"]
archive = data.sources.load(dataset)
parts = data.require_measurable(
    archive, domain=domain or None, train_sizes=train_sizes, val_size=val_size, test_size=test_size
)
data.cards.card(archive, parts, data.sources.card(dataset))

# %% [markdown]
# *What do the classes look like to the eye, and is what tells them apart large or small, shape or texture?* That is
# the question behind truncation: texture is a matter for low layers, the arrangement of parts for high ones.

# %% tags=["nbval-ignore-output"]
used = np.sort(np.concatenate([parts.train, parts.val, parts.test]))  # all images, or those of one domain
data.cards.contact_sheet(archive.subset(used), per_class=5, seed=0)

# %% [markdown]
# The division into training pool, validation and test is made once, by patient where patients are known. A seed draws
# its own training images and its own validation images from it, stratified by class; a smaller training set lies
# inside the larger one of the same seed. All methods of one seed see the same images, so their differences are
# paired: the method is all that differs within a pair.


# %%
def training_images(n: int, seed: int) -> np.ndarray:
    return data.nested_subset(archive.labels, parts.train, n, seed)


def validation_images(seed: int) -> np.ndarray:
    return data.nested_subset(archive.labels, parts.val, min(val_size, len(parts.val)), seed)


def test_images() -> np.ndarray:
    return data.nested_subset(archive.labels, parts.test, min(test_size, len(parts.test)), seed=0)


TEST = test_images()
drawn = {
    "training pool": parts.train,
    "drawn to train": training_images(train_sizes[-1], 0),
    "drawn to validate": validation_images(0),
    "test": TEST,
}
counts = {name: np.bincount(archive.labels[i], minlength=archive.n_classes) for name, i in drawn.items()}
pd.DataFrame(counts, index=pd.Index(archive.class_names, name="images of class"))

# %% [markdown]
# ## Why the lower layers?
#
# A convolutional network is a pipeline. Each block takes the maps of the one before, mixes neighbouring cells, and
# now and then halves the resolution and widens the channels. Early blocks have few channels on many cells, late
# blocks many channels on few cells. A block's parameters grow with its channels alone, so nearly all of them sit at
# the top. Its arithmetic is parameters times cells. The two trends nearly cancel, so that arithmetic is spread much
# more evenly over the depth.
#
# The case for truncation is about features. What the lower layers compute (edges, blobs, textures and simple
# combinations of them) is useful for nearly any image. What the upper layers compute was selected for ImageNet's
# classes. With few medical images there is not enough signal to rebuild those layers, and their many parameters
# invite overfitting. The case against it is as short: fine-tuning may bend the upper layers to the new task, and
# depth also buys a larger field of view.
#
# A *cut point* is the output of a block. The table lists those of our backbone, named by stage and block, with the
# cells (h x w) that are left there, and what a network that ends there would have and do. *MACs* are
# multiply-accumulates, the usual count of a network's arithmetic.

# %%
CLASSES = archive.n_classes
pretrained = backbones.build(backbone, num_classes=CLASSES, pretrained=True, seed=0)
cuts = backbones.cut_points(pretrained.network)
names = [cut.name for cut in cuts]
for cut in cuts:
    block = 1 + sum(other.stage == cut.stage for other in cuts[: cut.index])
    LABELS[cut.name] = (
        f"{cut.stage}.{block}" if 0 < cut.stage < cuts[-1].stage else ("stem", "top")[cut.stage > 0]
    )
costs = truncation.costs_of_cuts(pretrained.network, image_size, CLASSES)
print(f"weights from {pretrained.weights}")
with torch.inference_mode():
    blank = torch.zeros(1, 3, image_size, image_size)
    maps = backbones.activations(pretrained.network.eval(), blank)
show.TextTable(
    {
        "cut": [LABELS[name] for name in names],
        "channels": [cut.channels for cut in cuts],
        "cells": [f"{m.shape[2]} x {m.shape[3]}" for m in maps],
        "parameters": [f"{c.parameters:,}" for c in costs],
        "MACs": [f"{c.macs:,}" for c in costs],
    }
)

# %% [markdown]
# *How are parameters and arithmetic spread over the depth?* Both curves are shares of the whole network, with a
# pooled linear head at every cut.

# %% tags=["nbval-ignore-output"]
positions = np.arange(len(cuts))
parameters_up_to = np.array([c.parameters for c in costs]) / costs[-1].parameters
macs_up_to = np.array([c.macs for c in costs]) / costs[-1].macs
saves = [(a.parameters < b.parameters and a.macs < b.macs) for a, b in zip(costs, costs[1:], strict=False)]
evidence.record_check(NOTEBOOK, "cuts_that_save_nothing", float(saves.count(False)), dataset=dataset)


def name_cuts(axis) -> None:
    axis.set_xticks(positions, [LABELS[name] for name in names], rotation=60, ha="right")
    axis.set_xlabel(LABELS["arm"])


figure, axis = plt.subplots(figsize=(8, 3.2))
axis.plot(positions, macs_up_to, "s-", label="multiply-accumulates")
axis.plot(positions, parameters_up_to, "o-", label="parameters")
axis.axhline(0.5, color="grey", linestyle=":")
name_cuts(axis)
axis.set_ylabel("share of the whole network")
axis.set_ylim(0, 1.02)
axis.legend(loc="upper left")
plt.tight_layout()
plt.show()
half = int(np.argmax(macs_up_to >= 0.5))
tell(
    f"Half of the arithmetic is done after {half + 1} of {len(cuts)} cut points ({LABELS[names[half]]}), "
    f"with {parameters_up_to[half]:.0%} of the parameters. At a third of the depth it is "
    f"{macs_up_to[len(cuts) // 3]:.0%} of the arithmetic and {parameters_up_to[len(cuts) // 3]:.1%} of the parameters."
)

# %% [markdown]
# Both curves bend upwards, so the late blocks hold most of both. But the curve of the parameters lies far below the
# other: every cut saves a larger share of the parameters than of the arithmetic. A cut network is *compact* long
# before it is *efficient*, and a paper that reports the first number has not reported the second.
#
# ## Truncation by hand
#
# Cutting a network takes three steps. Take its blocks in order up to the cut. Average the last activation over the
# cells. Put a linear layer on the averages. In PyTorch that is one `nn.Sequential`; the upper blocks are simply not
# in it. The cut below lies at about two thirds of the depth.

# %%
demo_cut = cuts[2 * len(cuts) // 3]
kept = backbones.units(pretrained.network)[: demo_cut.index + 1]
by_hand = torch.nn.Sequential(
    *[step for unit in kept for step in unit.steps(pretrained.network)],
    torch.nn.AdaptiveAvgPool2d(1),
    torch.nn.Flatten(),
    torch.nn.Linear(demo_cut.channels, CLASSES),
)
in_one_line = truncation.truncate(pretrained, demo_cut, num_classes=CLASSES, seed=0)
by_hand[-1].load_state_dict(backbones.head_of(in_one_line.network).state_dict())
print(f"cut after {LABELS[demo_cut.name]}: {demo_cut.channels} channels on {maps[demo_cut.index].shape[2]} x "
      f"{maps[demo_cut.index].shape[3]} cells")  # fmt: skip

# %% [markdown]
# Equal blocks and an equal head must give equal outputs, and the number of parameters must be that of the formula:
# all parameters up to the cut, and `channels x classes + classes` for the head. Nothing else may be left, although it
# is common to find truncated networks that carry their dropped layers along as dead weight.


# %%
def parameters_of(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


sample = torch.rand(4, 3, image_size, image_size, generator=torch.Generator().manual_seed(0))
with torch.inference_mode():
    gap = (by_hand.eval()(sample) - in_one_line.network.eval()(sample)).abs().max().item()
evidence.record_check(NOTEBOOK, "truncation_max_abs_error", gap, dataset=dataset)
assert gap < 1e-4
assert parameters_of(by_hand) == parameters_of(in_one_line.network) == costs[demo_cut.index].parameters
print("by hand and in one line: equal outputs, equal numbers of parameters")

# %% [markdown]
# ### The paper's arithmetic (C024)
#
# Peng et al. report parameters in millions for a ResNet-50 with two classes: the full network, TransFusion with its
# last stage at half width, and the two networks that their search of blocks and then of layers found. If our cuts are
# the paper's cuts, the counts must round to the published figures. The last column is the deviation in units of the
# last published digit, so .5 or less means that the figure is met. The rows with a *flattened* head, in which every
# cell of the last map has weights of its own, are the control: the public code uses that head unless told otherwise.

# %%
PUBLISHED = {  # millions of parameters and digits after the point, from the table of Peng et al. 2022
    "whole network": (23.5, 1, "layer4.2"),
    "TransFusion": (12.9, 1, "layer3.5"),
    "truncated, by blocks": (8.55, 2, "layer3.5"),
    "truncated, by layers": (6.31, 2, "layer3.3"),
}
resnet = backbones.build("resnet50", num_classes=2, pretrained=False, seed=0)
rows = []
for name, (published, digits, cut) in PUBLISHED.items():
    for head in ("pooled", "flattened") if name.startswith("truncated") else ("pooled",):
        if name == "TransFusion":
            network = truncation.transfuse(resnet, cut, num_classes=2, width=0.5, seed=0).network
        else:
            network = truncation.truncate(
                resnet, cut, num_classes=2, head=head, seed=0, image_size=224
            ).network
        millions = parameters_of(network) / 1e6
        deviation = abs(millions - published) * 10**digits
        rows.append({"network": name, "head": head, "published": published, "counted": millions,
                     "last digits off": deviation})  # fmt: skip
counted = show.TextTable(rows)
worst = counted[counted["head"] == "pooled"]["last digits off"].max()
best_flattened = counted[counted["head"] == "flattened"]["last digits off"].min()
evidence.record_check(NOTEBOOK, "pooled_count_last_digits_off", worst)
evidence.record_check(NOTEBOOK, "flattened_count_last_digits_off", best_flattened)
assert worst <= 0.5 < best_flattened
counted

# %% [markdown]
# Pooled heads meet every published count; flattened heads miss those of both truncated networks by far. So the
# published networks had pooled heads, whatever the default of the code says. That matters for the comparison, and it
# gets a section of its own below.
#
# ## The sweep: every cut in one forward pass
#
# Where should one cut? Tuning a network at each cut answers the question at the price of as many trainings as there
# are blocks. But one forward pass through the *frozen* network already computes the activation at every cut point.
# Averaged over the cells, each becomes a feature vector, and a linear classifier with a penalty, a *probe*, says how
# much of the task can be read off it. That costs one pass and some small convex problems.
#
# A probe by hand: standardise by the training images, fit a logistic regression for each of a few penalties, keep the
# one with the best AUROC on the validation images. (AUROC is the probability that a randomly drawn positive case
# scores above a randomly drawn negative one; .5 is a coin.) The package's `sweep` does the same at every cut, with
# the same candidates everywhere, so that no depth is favoured by a penalty that happens to suit its width.


# %%
def pixels(index: np.ndarray) -> data.DeviceDataset:
    """The images of these cases, at the size that the network gets."""
    return data.DeviceDataset.from_archive(archive, index, device, size=image_size)


both = [training_images(train_sizes[-1], 0), validation_images(0)]
train_rows, val_rows = np.split(np.arange(sum(map(len, both))), [len(both[0])])
labels = archive.labels[np.concatenate(both)]
features = truncation.features_at_cuts(pretrained, pixels(np.concatenate(both)))
values, tried = features.values[demo_cut.index], []
for inverse_penalty in (0.0001, 0.001, 0.01, 0.1):
    probe = pipeline.make_pipeline(
        preprocessing.StandardScaler(), linear_model.LogisticRegression(C=inverse_penalty, max_iter=2000)
    )
    probe.fit(values[train_rows], labels[train_rows])
    tried.append(evaluation.auroc(labels[val_rows], probe.predict_proba(values[val_rows])))
result = truncation.sweep(features, labels, train=train_rows, val=val_rows)
assert np.isclose(max(tried), result.tried[demo_cut.index].val_auroc)
print(
    f"by hand and by sweep: the same probe; {result.candidates} small fits for {len(cuts)} cut points in all"
)

# %% [markdown]
# Every seed and every training size needs a sweep of its own, for its own training and validation images. What a
# probe scores on the test images is measured here too, but only to *judge* the choice; nothing is chosen by it. The
# result is an *artefact*: arrays that several studies need are made once, kept, and found again by a key made of the
# code, the arguments, the data and the weights.


# %% tags=["nbval-ignore-output"]
@study.Study.artifact
def probed(name: str, n: int, seed: int) -> dict:
    """Probes at all cuts of the pretrained network `name`: the cuts that validation likes, and how each does on test."""
    model = backbones.build(name, num_classes=CLASSES, pretrained=True, seed=0)
    groups = [training_images(n, seed), validation_images(seed), test_images()]
    index = np.concatenate(groups)
    train, val, test = np.split(np.arange(len(index)), np.cumsum([len(group) for group in groups])[:-1])
    features = truncation.features_at_cuts(model, pixels(index))
    found = truncation.sweep(features, archive.labels[index], train=train, val=val)
    scores = [p.probe.predict_proba(v[test]) for p, v in zip(found.tried, features.values, strict=True)]
    passing = features.seconds * (len(train) + len(val)) / len(index)
    return {
        "cut": np.array([p.cut.name for p in found.tried]),
        "liked": np.array(
            [p.cut.name for p in found.best(len(found.tried))]
        ),  # one of each stage, best first
        "ranked": np.array([p.cut.name for p in sorted(found.tried, key=lambda p: p.rank, reverse=True)]),
        "val_auroc": np.array([p.val_auroc for p in found.tried]),
        "auroc": np.array([evaluation.auroc(archive.labels[groups[-1]], s) for s in scores]),
        "auprc": np.array([evaluation.auprc(archive.labels[groups[-1]], s) for s in scores]),
        "seconds": np.array(passing + sum(p.seconds for p in found.tried)),
    }


BACKBONE = {"backbone": [backbone]}  # a factor, so that records of other backbones are kept apart
HIGHER = dict.fromkeys(["val_auroc"], "higher")
LOWER = dict.fromkeys(
    [
        "loss_against_best",
        "candidates",
        "tuning_seconds",
        "parameters",
        "macs",
        "head_weights",
        "log10_seconds",
        "best_step_share",
    ],
    "lower",
)
location = {
    "notebook": NOTEBOOK,
    "seeds": SEEDS,
    "data": archive,
    "source_domain": domain,
    "target_domain": domain,
    "n_test": len(TEST),
    "directions": {**HIGHER, **LOWER},
}


def probe_at(arm: str, seed: int, backbone: str) -> dict:
    """The probe at the cut point `arm`."""
    found = probed(backbone, train_sizes[-1], seed)
    here = list(found["cut"]).index(arm)
    return {metric: found[metric][here] for metric in ("auroc", "auprc", "val_auroc")}


def swept(arm: str, seed: int, backbone: str) -> dict:
    """The probe at the cut that validation chose, at the whole network, or at the best cut on test (an oracle)."""
    found = probed(backbone, train_sizes[-1], seed)
    auroc = dict(zip(found["cut"], found["auroc"], strict=True))
    name = {
        "chosen": found["ranked"][0],
        "full_network": found["cut"][-1],
        "best_exhaustive": max(auroc, key=auroc.get),
    }
    return {"auroc": auroc[name[arm]], "loss_against_best": max(auroc.values()) - auroc[name[arm]]}


probes = study.Study("probes", trial=probe_at, factors=BACKBONE, arms=names, **location).run(False, workers=1)
choices = study.Study(
    "sweep", trial=swept, factors=BACKBONE, arms=["chosen", "best_exhaustive", "full_network"], **location
).run(False, workers=1)
chosen_cuts = [LABELS[probed(backbone, train_sizes[-1], seed)["ranked"][0]] for seed in SEEDS]
tell(f"Validation chose these cuts, seed by seed: {', '.join(chosen_cuts)}.")

# %% [markdown]
# *At which depth can the task be read off?* Points are means over seeds of the probes' test AUROC, bars 95 %
# t-intervals, small dots the single seeds.

# %% tags=["nbval-ignore-output"]
REAL = ["chest_xray_64", "breast_ultrasound_128", "covid_ct_96"]
PROBES = {"notebook": NOTEBOOK, "study": "probes", "labels": LABELS, "datasets": REAL}
show.side_by_side(show.plot_curves, probes, "auroc", "arm", **PROBES)

# %% tags=["nbval-ignore-output"]
SWEEP = {"notebook": NOTEBOOK, "study": "sweep", "labels": LABELS}
show.in_both_runs(show.difference_sentence, choices, "chosen", "full_network", "auroc", **SWEEP)

# %% [markdown]
# In the panels of the reference the curve rises over the lower half of the depth, stays level, and falls
# towards the top: the last blocks *hide* what the middle ones show, at least from a linear rule on frozen features.
# Where the curve is level the choice hardly matters, the cheapest cut there is the sensible one, and which cut wins is
# partly luck. Compare the cuts that validation chose above, seed by seed, before you report one "best" cut.
#
# *How good is the choice?* The oracle is the best of all cuts *on the test images*, which nobody could have chosen.
# Its lead over the chosen cut is partly real and partly the luck of the test images.

# %% tags=["nbval-ignore-output"]
show.side_by_side(show.plot_arms, choices, "auroc", **SWEEP)

# %% [markdown]
# ## Four ways to use the lower layers
#
# The paper compares its method with three others. They differ in what happens to the layers above a cut, and in what
# is allowed to train:
#
# | method | below the cut | above the cut |
# |---|---|---|
# | full fine-tuning (the paper's FTL) | pretrained, trains | pretrained, trains |
# | layer-wise fine-tuning (LWFT) | pretrained, frozen | pretrained, trains |
# | TransFusion (TF; Raghu et al. 2019) | pretrained, trains | random, trains; half as wide in ResNets |
# | truncated (TTL) | pretrained, trains | discarded |
#
# We add a control that the paper lacks: the *same truncated network with random weights*. Without it, a good result
# of a small network could come from its size alone.
#
# Each method is a `Truncation`: a value that names the cut, the fate of what lies above, the head and what is frozen.
# Applied to a backbone it gives a network, and its `policy` tells the training loop what trains. In the original code
# the batch-norm statistics of LWFT's frozen layers go on moving; ours stand still, as the word promises.

# %%
rows = []
for method in ("ftl", "lwft", "tf", "ttl"):
    recipe = truncation.Truncation.method(method, demo_cut.name)
    network = recipe.apply(pretrained, num_classes=CLASSES, seed=0).network
    training.policies.set_mode(network, recipe.policy.phases(network)[0])
    trains = sum(p.numel() for p in network.parameters() if p.requires_grad)
    rows.append({"method": LABELS[method], "parameters": f"{parameters_of(network):,}", "of which train": f"{trains:,}",
                 "share that trains": f"{trains / parameters_of(network):.0%}"})  # fmt: skip
show.TextTable(rows)

# %% [markdown]
# Layer-wise fine-tuning freezes two thirds of the blocks and still trains most of the parameters, since these sit at
# the top. TransFusion has as many parameters as full fine-tuning in families other than ResNets, where the random
# part keeps its width.
#
# ## The study: equal budgets
#
# Comparing these methods has one trap above all others. Three of the four methods may choose a depth; full
# fine-tuning may not. If the depth is chosen as the best of several tries, the method with more tries is favoured
# even when all are equally good, because the best of several noisy scores is too good on average (the *winner's
# curse*). Two precautions are needed. The choice is made on validation images and judged on test images, which
# removes the bias of the score. And every method gets the **same number of validated candidates**, which removes the
# advantage of having chosen more often:
#
# - the methods with a cut fine-tune the *same* few cuts, those that the sweep found best for this seed and training size
#   (one from each of the best stages; the whole network is no candidate);
# - full fine-tuning has no cut, so it may spend its candidates on what a user would tune instead: the learning rate, times
#   1, 1/3, 3, 1/10 and 10, as many as the others have cuts.
#
# *How much does choice alone buy?* A simulation: all candidates are equally good, and each is scored with a given
# scatter; the best score is then reported. The gain below is pure illusion.

# %% tags=["nbval-ignore-output"]
draws = np.random.default_rng(0).normal(size=(20000, len(cuts)))
tries = np.arange(1, len(cuts) + 1)
curse = np.array([draws[:, :k].max(axis=1).mean() for k in tries])
assert abs(curse[1] - 1 / np.sqrt(np.pi)) < 0.02  # the closed form for two
figure, axis = plt.subplots(figsize=(6, 3))
axis.plot(tries, curse, "o-")
axis.set_xticks(tries[::3])
axis.set_xlabel("candidates tried, all equally good")
axis.set_ylabel("mean of the best score\n(in standard deviations)")
axis.set_ylim(0, None)
plt.show()
SPREAD = 0.013  # AUROC between runs, the largest standard deviation in the paper's table
tell(
    f"The best of {len(cuts)} equally good cuts looks {curse[-1]:.1f} standard deviations better than it is. At the spread that "
    f"the paper reports between runs ({SPREAD} AUROC) that is {curse[-1] * SPREAD:.3f}: more than the differences that its "
    "table is read for."
)

# %% [markdown]
# Everything else is held equal: training images, optimiser, budget of steps, head, epochs chosen on the same
# validation images. One fine-tuned candidate is an artefact, too, since several studies below ask for the same ones.
# Here is all of it:


# %%
def movement(before: backbones.Backbone, after: backbones.Backbone) -> dict:
    """How similar the features at each cut are before and after, on test images, and the same with shuffled images."""
    looked_at = pixels(test_images()[:100])
    old, new = (truncation.features_at_cuts(model, looked_at).values for model in (before, after))
    pairs = list(zip(old, new, strict=True))
    floor = [backbones.noise_floor(backbones.linear_cka, *pair, seed=0, repeats=5) for pair in pairs]
    return {"similarity": np.array([backbones.linear_cka(*pair) for pair in pairs]), "floor": np.array(floor)}


@study.Study.artifact
def fine_tuned(name: str, method: str, cut: str, head: str, rate: float, n: int, seed: int) -> dict:
    """One candidate of the backbone `name`, trained on n images at one rate: its validation and its scores on test images."""
    start = backbones.build(name, num_classes=CLASSES, pretrained=method != "ttl_scratch", seed=seed)
    recipe = truncation.Truncation.method(method.removesuffix("_scratch"), cut or None, head=head)
    model = recipe.apply(start, num_classes=CLASSES, seed=seed, image_size=image_size)
    batches = -(-n // batch_size)
    config = training.FitConfig(
        epochs=max(1, -(-steps // batches)),
        batch_size=batch_size,
        learning_rate=rate,
        patience=-(-patience // batches) or None,
    )
    train, val = pixels(training_images(n, seed)), pixels(validation_images(seed))
    done = training.fit(model.network, recipe.policy, train, val, model.normalisation, config, seed=seed)
    whole = method == "ftl" and head == "pooled"
    return {
        "val_auroc": np.array(done.best["val_auroc"]),
        "val_loss": np.array(done.best["val_loss"]),
        "best_step_share": np.array(done.best_epoch / config.epochs),
        "seconds": np.array(done.seconds),
        "scores": training.predict(model.network, pixels(test_images()), model.normalisation),
        "parameters": np.array(parameters_of(model.network)),
        "head_weights": np.array(backbones.head_of(model.network).weight.numel()),
        **(movement(start, model) if whole else {}),
    }


# %% [markdown]
# One setting should not be shared: the **learning rate**. A rate that suits a whole pretrained network may be wrong for
# a cut one, and more so for random weights. So every method has its own for every training size, the best of a small
# grid by validation AUROC, chosen once, on *pilot* seeds that are no part of the comparison. Without pilots, as in the
# default run, all methods share one rate. Training may end before its budget does, when the validation images have
# seen nothing better for a while (`patience`).


# %%
GRID = [0.0003, 0.001, 0.003]
FIRST_PILOT = 90


@study.Study.artifact
def piloted(name: str, method: str, n: int, seed: int) -> dict:
    """What a method reaches on validation images at each rate, mean over the pilot seeds from `seed` on."""

    def tuned(rate: float, pilot: int) -> dict:
        cut = "" if method == "ftl" else str(probed(name, n, pilot)["liked"][0])
        return fine_tuned(name, method, cut, "pooled", rate, n, pilot)

    runs = [[tuned(rate, pilot) for pilot in range(seed, seed + pilot_seeds)] for rate in GRID]
    return {
        each: np.array([np.mean([one[each] for one in row]) for row in runs])
        for each in ("val_auroc", "val_loss")
    }


def rate_of(name: str, method: str, n: int) -> float:
    """The learning rate of a method at a size: the pilots' best by validation AUROC, by the loss among equals."""
    if not pilot_seeds:
        return learning_rate
    found = piloted(name, method, n, FIRST_PILOT)
    return max(zip(found["val_auroc"], -found["val_loss"], GRID, strict=True))[-1]


# %% [markdown]
# A trial asks for a method's candidates, chooses among them on validation images, and looks at the test images once:

# %% tags=["nbval-ignore-output"]
RATES = [1.0, 1 / 3, 3.0, 0.1, 10.0]
MACS = {cut.name: cost.macs for cut, cost in zip(cuts, costs, strict=True)}


def on_test(scores: np.ndarray) -> dict:
    """What scores are worth on the test images."""
    cases = test_images()
    truth = archive.labels[cases]
    kept = study.Predictions(cases=cases, labels=truth, scores=scores)
    return {
        "auroc": evaluation.auroc(truth, scores),
        "auprc": evaluation.auprc(truth, scores),
        "predictions": kept,
    }


def trial(arm: str, seed: int, n: int, backbone: str) -> dict:
    """A method's candidates, of which validation chooses one; that one on the test images."""
    own = rate_of(backbone, arm, n)
    if arm == "ftl":
        recipes = [("", own * times) for times in RATES[:candidates]]
    else:
        recipes = [(str(cut), own) for cut in probed(backbone, n, seed)["liked"][:candidates]]
    tuned = [fine_tuned(backbone, arm, cut, "pooled", rate, n, seed) for cut, rate in recipes]
    best = max(range(len(tuned)), key=lambda i: (tuned[i]["val_auroc"], -tuned[i]["val_loss"]))
    truncated = arm.startswith("ttl")
    return {
        **on_test(tuned[best]["scores"]),
        "val_auroc": tuned[best]["val_auroc"].item(),
        "best_step_share": tuned[best]["best_step_share"].item(),
        "candidates": float(len(recipes)),
        "tuning_seconds": sum(one["seconds"].item() for one in tuned),
        "parameters": float(tuned[best]["parameters"]),
        "macs": float(MACS[recipes[best][0]] if truncated else max(MACS.values())),
    }


records = study.Study(
    "truncation", trial=trial, arms=methods, factors={"n": train_sizes, **BACKBONE}, **location
).run()
assert (records[records.metric == "candidates"].groupby(["n", "seed"]).value.nunique() == 1).all()

# %% [markdown]
# *Which rates did the pilots choose, and was the budget long enough?* A "no" in the last column says that in more than
# a fifth of the seeds the best epoch lay in the last tenth of the budget: no verdict should rest on such an arm. First
# this run, then the reference.

# %% tags=["nbval-ignore-output"]
if pilot_seeds:
    chosen_rates = {LABELS[arm]: [f"{rate_of(backbone, arm, n):g}" for n in train_sizes] for arm in methods}
    display(show.TextTable(chosen_rates, index=pd.Index(train_sizes, name=LABELS["n"])))
display(show.convergence_table(records, labels=LABELS))
kept = show.convergence_table(show.reference_records(NOTEBOOK, "truncation"), labels=LABELS)
kept if len(kept) else show.Prose("The reference run was made before this was recorded.")

# %% [markdown]
# The assertion below the trial is the fairness of the study, checked: within a seed and a size, all methods have
# validated the same number of candidates. The operations of TransFusion count its random part at full width in every
# family but ResNets, whose slim upper stages do less.
#
# *What does each method reach?* One row an arm: the mean over seeds, its 95 % t-interval, and the single seeds below
# it.

# %% tags=["nbval-ignore-output"]
STUDY = {"notebook": NOTEBOOK, "study": "truncation", "labels": LABELS}
show.side_by_side(show.plot_arms, records, "auroc", by="n", **STUDY)

# %% tags=["nbval-ignore-output"]
if "ttl_scratch" in methods:
    weights = show.difference_sentence(records, "ttl", "ttl_scratch", "auroc", by="n", labels=LABELS)
    tell(f"*What are the weights worth?*\n\n{weights}")
tell(
    "*What is the cut worth?*\n\n"
    + show.in_both_runs(show.difference_sentence, records, "ttl", "ftl", "auroc", by="n", **STUDY)
)

# %% [markdown]
# ### Is truncation better than its rivals (C025)?
#
# Arms of one seed share their images, so the question is asked of the *difference within each seed*. *Where does
# truncation stand against each rival?* The grey band is the smallest effect that the register calls interesting.

# %% tags=["nbval-ignore-output"]
RIVALS = [("ttl", rival) for rival in ("ftl", "lwft", "tf")]
measured = [pair for pair in RIVALS if pair[1] in methods] if "ttl" in methods else []
kept = show.reference_records(NOTEBOOK, "truncation")
panels = [
    lambda axes: show.plot_differences(
        kept, RIVALS, "auroc", claim="C025", by="n", labels=LABELS, axes=axes, title="reference"
    )  # fmt: skip
]
if measured:
    panels.insert(0, lambda axes: show.plot_differences(records, measured, "auroc", claim="C025", by="n", labels=LABELS,
                                                        axes=axes, title="this run"))  # fmt: skip
show.panels(panels, same_range=True)

# %% [markdown]
# The strong reading of "superior" asks for an interval to the right of the band, against *every* rival. The weak
# reading asks that nothing is lost against full fine-tuning. In the reference, truncation is not clearly different from
# full fine-tuning or from TransFusion on any of the three data sets. It leads layer-wise fine-tuning on all three, but
# only on the chest X-rays by more than the grey band. So little of this is special to truncation: TransFusion keeps the
# *room* of the upper layers, throws away what ImageNet taught them, and does as well. What truncation has for itself is
# its size. A network with a fraction of the parameters that is not worse is a result in its own right.
#
# In this run, on phantoms, truncation is far ahead of full fine-tuning, which falls below the frozen probe of the same
# network: so few steps at one rate are too few for a whole network, and a lead over a weak control says little.
#
# ## The head is a confound
#
# A pooled head sees one number for each channel. A flattened head sees every cell of every channel: it has as many
# times more weights as the map has cells, and it knows *where* something is. A cut network whose last map is large
# gets a much larger flattened head than the full network does. If the one is judged with a flattened head and the
# other with a pooled one, cut and head have changed together, and nothing can be said about either. So both kinds of
# head are put on both networks, with the sweep's first cut for each seed at the smallest size.


# %% tags=["nbval-ignore-output"]
def head_trial(arm: str, seed: int, cut: str, backbone: str) -> dict:
    """One fine-tuning with a pooled or a flattened head, on the whole or on the truncated network."""
    method, at = (
        ("ftl", "") if cut == "full" else ("ttl", str(probed(backbone, train_sizes[0], seed)["liked"][0]))
    )
    rate = rate_of(backbone, method, train_sizes[0])
    tuned = fine_tuned(backbone, method, at, arm, rate, train_sizes[0], seed)
    return {
        **on_test(tuned["scores"]),
        "val_auroc": tuned["val_auroc"].item(),
        "best_step_share": tuned["best_step_share"].item(),
        "head_weights": tuned["head_weights"].item(),
    }


head_records = None
if heads:
    head_records = study.Study(
        "head",
        trial=head_trial,
        arms=["pooled", "flattened"],
        factors={"cut": ["full", "truncated"], **BACKBONE},
        **location,
    ).run()
HEADS = {"notebook": NOTEBOOK, "study": "head", "labels": LABELS, "datasets": REAL}
show.side_by_side(show.plot_arms, head_records, "auroc", by="cut", **HEADS)

# %% tags=["nbval-ignore-output"]
show.in_both_runs(show.difference_sentence, head_records, "flattened", "pooled", "auroc", by="cut", **HEADS)

# %% [markdown]
# Compare within a head first: these are the fair comparisons of whole and cut network. Then compare across heads
# within a network. The reference of this section and of the next is an older run with fewer steps than that of the
# study above. In it the kind of head makes no clear difference on any of the three data sets. The cut helps with both
# heads on the chest X-rays, and on breast ultrasound clearly only with a flattened one. Without the control nobody
# could have said so. Where the last map has a single cell, as with small images at full depth, pooled and flattened
# are the same head.
#
# ## Does the sweep find what tuning every cut would find?
#
# The sweep judges *frozen* features by a linear rule, and the networks that follow are tuned. A cut can be good
# frozen and poor tuned, or the other way round. The check is expensive and therefore bounded by a parameter:
# fine-tune at evenly spread cuts, one by one, and compare four ways to choose among them. *One cut, chosen by probes*
# tunes only the cut that the probes like best. *A few, by probes* tunes the few best and lets validation choose. The
# *two-stage search* is the paper's: the last block of every stage, then the blocks inside the best stage. The last
# way *tunes every cut*. All choose on validation images.


# %% tags=["nbval-ignore-output"]
def searched_cuts() -> list[str]:
    """Evenly spread cut points, `search_cuts` of them; none for 0."""
    places = np.linspace(1, len(cuts) - 1, min(search_cuts, len(cuts) - 1))
    return [names[i] for i in sorted({round(i) for i in places})]


def tuned_at(arm: str, seed: int, backbone: str) -> dict:
    """The truncated network at the cut point `arm`, fine-tuned."""
    rate = rate_of(backbone, "ttl", train_sizes[0])
    tuned = fine_tuned(backbone, "ttl", arm, "pooled", rate, train_sizes[0], seed)
    return {"auroc": on_test(tuned["scores"])["auroc"], "val_auroc": tuned["val_auroc"].item(),
            "tuning_seconds": tuned["seconds"].item()}  # fmt: skip


def searched(arm: str, seed: int, backbone: str) -> dict:
    """One way of choosing a cut: what it tunes, what that takes, and what the chosen network does on test."""
    rate = rate_of(backbone, "ttl", train_sizes[0])
    tuned = {
        name: fine_tuned(backbone, "ttl", name, "pooled", rate, train_sizes[0], seed)
        for name in searched_cuts()
    }
    validated = {name: one["val_auroc"].item() for name, one in tuned.items()}
    among = [cut for cut in cuts if cut.name in tuned]
    probes = probed(backbone, train_sizes[0], seed)
    if arm in ("two_stage", "exhaustive"):
        search = truncation.two_stage_search if arm == "two_stage" else truncation.exhaustive_search
        looked_at = [cut.name for cut, _ in search(among, lambda cut: validated[cut.name]).tried]
    else:
        liked = [str(name) for name in probes["ranked"] if name in tuned]
        looked_at = liked[: 1 if arm == "sweep" else candidates]
    chosen = max(looked_at, key=lambda name: validated[name])
    tuning = 0.0 if arm == "sweep" else sum(tuned[name]["seconds"].item() for name in looked_at)
    probing = probes["seconds"].item() if arm.startswith("sweep") else 0.0
    return {
        "auroc": on_test(tuned[chosen]["scores"])["auroc"],
        "candidates": float(len(looked_at)),
        "log10_seconds": float(np.log10(tuning + probing)),
    }


search_records = None
if searched_cuts():
    study.Study("tuned_cuts", trial=tuned_at, factors=BACKBONE, arms=searched_cuts(), **location).run()
    ways = ["sweep", "sweep_best", "two_stage", "exhaustive"]
    search_records = study.Study("search", trial=searched, factors=BACKBONE, arms=ways, **location).run(
        False, workers=1
    )
SEARCH = {"notebook": NOTEBOOK, "study": "search", "labels": LABELS, "datasets": REAL}
show.side_by_side(show.plot_arms, search_records, "auroc", **SEARCH)

# %% [markdown]
# *And what does each way of choosing cost?* Seconds are those needed to arrive at a choice: for the single probed cut
# the forward pass over training and validation images and the probes, for the others the trainings as well. The scale
# is logarithmic: one unit is a factor of ten.

# %% tags=["nbval-ignore-output"]
display(show.side_by_side(show.plot_arms, search_records, "log10_seconds", **SEARCH))
show.in_both_runs(show.difference_sentence, search_records, "sweep", "exhaustive", "auroc", **SEARCH)

# %% [markdown]
# In the reference all four ways find networks of about the same AUROC, and the probes alone take a small fraction of
# the time: the cheap way is the good way. With so few cuts the two-stage search tunes all of them, and its row is that
# of the exhaustive search; only more cuts could tell the two apart. That the exhaustive search can even come out lower is no mistake: it has
# the most candidates to be fooled by, and validation images are few. Whether the loss is *smaller than .005* is
# another question: these intervals are too wide to promise that.
#
# ## Compact and efficient: four numbers (C026)
#
# *Parameters* decide the size of the file, *multiply-accumulates* the arithmetic, *latency* the waiting, and *peak
# memory* whether the network fits on a device. They do not shrink together. Each is measured for the network that the
# sweep chose and divided by the same number of the full network: a share below 1 is a saving. Latency is that of warm
# passes with one image, the two networks taking turns; memory counts parameters and the tensors that live at the same
# time.


# %% tags=["nbval-ignore-output"]
def latency_ratio(part: torch.nn.Module, whole: torch.nn.Module, rounds: int = 3) -> float:
    """Median over rounds, in which the two networks take turns, so that other load on the machine hits both."""
    shape, ratios = (3, cost_size, cost_size), []
    for _ in range(rounds):
        of_part, of_whole = (
            backbones.measure_latency(network, shape, batch_sizes=(1,), warmup=1, repeats=3, device=device)[
                1
            ].median
            for network in (part, whole)
        )
        ratios.append(of_part / of_whole)
    return float(np.median(ratios))


COUNTS = {
    cut.name: (cost.parameters, cost.macs)
    for cut, cost in zip(cuts, truncation.costs_of_cuts(pretrained.network, cost_size, CLASSES), strict=True)
}
WHOLE = names[-1]


def shares(arm: str, seed: int, backbone: str) -> dict:
    """Parameters, MACs, latency and memory as shares of the full network's, measured side by side."""
    name = WHOLE if arm == "full" else str(probed(backbone, train_sizes[-1], seed)["liked"][0])
    model = backbones.build(backbone, num_classes=CLASSES, pretrained=True, seed=0)
    part, whole = (
        truncation.truncate(model, cut, num_classes=CLASSES, seed=seed).network for cut in (name, WHOLE)
    )
    image = (1, 3, cost_size, cost_size)
    return {
        "parameters_share": COUNTS[name][0] / COUNTS[WHOLE][0],
        "macs_share": COUNTS[name][1] / COUNTS[WHOLE][1],
        "latency_share": latency_ratio(part, whole),
        "memory_share": backbones.counted_peak_bytes(part, image)
        / backbones.counted_peak_bytes(whole, image),
    }


SHARES = {"parameters_share": "parameters", "macs_share": "multiply-accumulates", "memory_share": "peak memory",
          "latency_share": "latency"}  # fmt: skip
compactness = study.Study(
    "compactness", trial=shares, factors=BACKBONE, arms=["full", "ttl"],
    **{**location, "directions": dict.fromkeys(SHARES, "lower")},
).run(False, workers=1)  # fmt: skip


def by_cost(frame: pd.DataFrame, arm: str = "ttl") -> pd.DataFrame:
    """Records of one network with a row for each kind of cost in place of arms."""
    chosen = frame[(frame.arm == arm) & frame.metric.isin(SHARES)]
    return chosen.assign(arm=chosen.metric.map(SHARES), metric="share of the whole network")


kept_costs = show.reference_records(NOTEBOOK, "compactness", datasets=REAL[:2])
sets = {"this run": compactness, "reference": kept_costs}
show.panels(
    [lambda axes, frame=frame, title=title: show.plot_arms(
        by_cost(frame), "share of the whole network", arms=list(SHARES.values()), bounds=(0.0, 1.0), labels=LABELS, title=title,
        axes=axes) for title, frame in sets.items()],
    same_range=True,
)  # fmt: skip

# %% tags=["nbval-ignore-output"]
against_itself = compactness[(compactness.arm == "full") & (compactness.metric == "latency_share")].value
tell(f"The noise of the clock: measured against itself, the whole network takes {against_itself.min():.2f} to "
     f"{against_itself.max():.2f} of its own time.")  # fmt: skip

# %% [markdown]
# In both runs the parameters shrink most, by far. Arithmetic, memory and time shrink together and much less. The
# paper's own table says the same: the parameters fall by a factor of 3.7 and the time by 17 %.
#
# *Which networks are worth their cost?* A network is on the *Pareto front* when no other is both cheaper and better.
# Small points are the probes at each cut with their mean test AUROC, large ones the fine-tuned networks. On the left
# this run, on the right the chest X-rays of the reference.


# %% tags=["nbval-ignore-output"]
def pareto_front(costs_: np.ndarray, scores: np.ndarray) -> list[int]:
    """Indices, cheapest first, of points that no cheaper (or equally cheap) point equals or beats."""
    front, best = [], -np.inf
    for i in sorted(range(len(costs_)), key=lambda i: (costs_[i], -scores[i])):
        if scores[i] > best:
            front.append(i)
            best = scores[i]
    return front


MARKERS = {"ftl": "o", "lwft": "s", "tf": "^", "ttl": "D", "ttl_scratch": "v"}


def draw_bargain(axis, probe_records: pd.DataFrame, tuned_records: pd.DataFrame, title: str) -> None:
    """Mean AUROC against the share of the whole network's operations, with the Pareto front."""
    at_cut = probe_records[probe_records.metric == "auroc"].groupby("arm").value.mean()
    means = tuned_records.pivot_table(index="arm", columns="metric", values="value")
    share = dict(zip(names, macs_up_to, strict=True))
    points = [(share[name], at_cut[name]) for name in names if name in at_cut]
    axis.plot(*zip(*points, strict=True), ".", color="grey", label="probe at a cut")
    arms = list(means.index)
    for arm, colour in show.colours_of(arms).items():
        place = means.macs[arm] / means.macs.max(), means.auroc[arm]
        points.append(place)
        axis.plot(*place, MARKERS[arm], color=colour, markersize=8, fillstyle="none", label=LABELS[arm])
    xy = np.array(points)
    front = pareto_front(xy[:, 0], xy[:, 1])
    axis.plot(xy[front, 0], xy[front, 1], color="black", linewidth=1, zorder=0, label="Pareto front")
    axis.set(title=title, xlabel="share of the whole network's MACs", xlim=(0, 1.04), ylim=(0.45, 1.01))


assert pareto_front(np.array([1, 2, 2, 3]), np.array([0.5, 0.7, 0.8, 0.6])) == [0, 2]
figure, axes = plt.subplots(1, 2, figsize=(9.6, 3.8), sharey=True)
draw_bargain(axes[0], probes, records[records.n == train_sizes[-1]], "this run")
real = [frame[frame.dataset == REAL[0]] for frame in (show.reference_records(NOTEBOOK, "probes"), kept)]
draw_bargain(axes[1], *real, "reference: chest X-rays")
axes[0].set_ylabel("mean AUROC on test images")
handles = {
    text: handle for axis in axes for handle, text in zip(*axis.get_legend_handles_labels(), strict=True)
}
figure.legend(handles.values(), handles.keys(), loc="upper center", ncols=4, bbox_to_anchor=(0.5, 0.02))
plt.tight_layout()
plt.show()

# %% [markdown]
# The front is drawn through means, and means have intervals: a point just below it is not beaten. In this run it holds
# probes alone: so few steps of fine-tuning buy no AUROC over a frozen network with a linear classifier at a good depth.
# In the reference it ends at the truncated network, just above the best probe. The three methods that keep all layers
# cost twice as much there and score no better.
#
# ## How far do the layers move?
#
# If lower layers are reused and upper ones rebuilt, fine-tuning should leave the former nearly as they were. *Linear
# centred kernel alignment* (CKA; Kornblith et al. 2019) compares two sets of features of the same images: with X and
# Y centred, it is |Y'X|² / (|X'X| |Y'Y|), which is 1 when one is a rotated and scaled version of the other.


# %%
def cka_by_hand(x: np.ndarray, y: np.ndarray) -> float:
    x, y = x - x.mean(0), y - y.mean(0)
    cross, own_x, own_y = (np.linalg.norm(a.T @ b) for a, b in ((x, y), (x, x), (y, y)))
    return float(cross**2 / (own_x * own_y))


rng = np.random.default_rng(0)
left, right = rng.normal(size=(60, 5)), rng.normal(size=(60, 7))
turned = 3 * left @ np.linalg.qr(rng.normal(size=(5, 5)))[0]
assert np.isclose(cka_by_hand(left, right), backbones.linear_cka(left, right))
assert np.isclose(cka_by_hand(left, turned), 1.0)
print("by hand and by the package: equal; a rotated and scaled copy has similarity 1")

# %% [markdown]
# The measure is not 0 for unrelated features when images are few. The *noise floor* is its value when the images of
# one side are shuffled, so that nothing is shared but the marginal shape. *How similar is each layer before and after
# full fine-tuning?* The networks are those of the study above, one line a seed, seen on test images.

# %% tags=["nbval-ignore-output"]
if "ftl" in methods:
    rate = rate_of(backbone, "ftl", train_sizes[-1])
    moved = [fine_tuned(backbone, "ftl", "", "pooled", rate, train_sizes[-1], seed) for seed in SEEDS]
    floors = np.concatenate([one["floor"] for one in moved], axis=1)
    figure, axis = plt.subplots(figsize=(8, 3.4))
    axis.plot(
        positions, np.transpose([one["similarity"] for one in moved]), ".-", color="tab:blue", alpha=0.6
    )
    axis.plot([], [], ".-", color="tab:blue", label="before against after fine-tuning")
    axis.fill_between(positions, floors.min(axis=1), floors.max(axis=1), color="grey", alpha=0.4,
                      label="noise floor: shuffled images")  # fmt: skip
    name_cuts(axis)
    axis.set_ylim(0, 1.05)
    axis.set_ylabel("linear CKA")
    axis.legend(loc="lower center", ncols=2, bbox_to_anchor=(0.5, 1.0))
    plt.tight_layout()
    plt.show()

# %% [markdown]
# Read it against the floor and not against 0. The curves start near 1 and fall towards the top: this is what the
# reuse of lower layers looks like. Raghu et al. (2019) and Peng et al. both report it, with another measure (SVCCA).
# It does *not* show that the upper layers are useless: a layer may move because it is being made useful. And it
# changes with the learning rate and the number of steps, as any measure of distance travelled must.
#
# ## What the paper's own margin is worth
#
# The published table (BIMCV chest radiographs, ResNet-50, read from an image by our register) gives means and
# standard deviations over runs, apparently three. *Is truncation, in that table, told from its rivals?* Welch's
# interval needs no more than those numbers.

# %%
TABLE = {
    "full fine-tuning": (0.849, 0.001),
    "layer-wise fine-tuning": (0.853, 0.005),
    "TransFusion": (0.856, 0.011),
    "truncated": (0.861, 0.013),
}
RUNS = 3  # per method: inferred from the folders of the public code
rows = []
for rival in list(TABLE)[:3]:
    (mean_a, sd_a), (mean_b, sd_b) = TABLE["truncated"], TABLE[rival]
    a, b = sd_a**2 / RUNS, sd_b**2 / RUNS
    freedom = (a + b) ** 2 / ((a**2 + b**2) / (RUNS - 1))
    margin = stats.t.ppf(0.975, freedom) * np.sqrt(a + b)
    check = stats.ttest_ind_from_stats(mean_a, sd_a, RUNS, mean_b, sd_b, RUNS, equal_var=False)
    assert np.isclose(check.pvalue, 2 * stats.t.sf((mean_a - mean_b) / np.sqrt(a + b), freedom))
    apart = np.hypot(sd_a, sd_b)
    needs = next(n for n in range(3, 2000) if evaluation.detectable_effect(apart, n) <= mean_a - mean_b)
    rows.append({"truncated minus": rival, "difference": mean_a - mean_b, "low": mean_a - mean_b - margin,
                 "high": mean_a - mean_b + margin, "p": check.pvalue, "seeds needed": needs})  # fmt: skip
show.TextTable(rows)

# %% [markdown]
# Every interval holds 0. The last column is how many seeds would detect each difference with power .8 if it were real
# and the two arms were run on independent seeds; if the two arms are correlated across seeds, fewer are needed. The
# published ranking may well be right. Three runs cannot tell.
#
# ### Does AUPRC see what AUROC does not (I14)?
#
# AUPRC is the area under the curve of precision against recall. The authors call it the tie-breaker where AUROC is
# level. The probes at all cuts are many models on the same images, so the claim can be examined: take all pairs of
# cuts whose AUROC differs by less than .005, and count how many differ in AUPRC by .01 or more. But any second metric
# would part some of them. The control is the same count the other way round: pairs level in AUPRC that AUROC parts.


# %% tags=["nbval-ignore-output"]
def ties(arm: str, seed: int, backbone: str) -> dict:
    """Share of pairs of cuts, level in one metric (.005), that the other one parts (.01); 0 where none is level."""
    if arm == "never":
        return {"told_apart": 0.0}
    level, other = ("auroc", "auprc") if arm == "auprc_among_auroc_ties" else ("auprc", "auroc")
    found = probed(backbone, train_sizes[-1], seed)
    pairs = np.transpose(np.triu_indices(len(found["cut"]), 1))
    tied = [(a, b) for a, b in pairs if abs(found[level][a] - found[level][b]) < 0.005]
    parted = [abs(found[other][a] - found[other][b]) >= 0.01 for a, b in tied]
    return {"told_apart": float(np.mean(parted)) if parted else 0.0}


TIES = ["auprc_among_auroc_ties", "auroc_among_auprc_ties"]
parted = study.Study(
    "ties",
    trial=ties,
    factors=BACKBONE,
    arms=[*TIES, "never"],
    **{**location, "directions": {"told_apart": "higher"}},
).run(False, workers=1)
show.side_by_side(
    show.plot_arms,
    parted,
    "told_apart",
    arms=TIES,
    notebook=NOTEBOOK,
    study="ties",
    labels=LABELS,
    datasets=REAL,
)

# %% [markdown]
# A share above 0 in the first row says that AUPRC parts some models that AUROC calls equal. It deserves the name of a
# tie-breaker only where it parts *more* than AUROC does the other way round. In the reference the two shares differ
# in either direction, data set by data set: on the chest X-rays AUPRC breaks no tie at all. The two are simply not
# the same number.
#
# ## Verdicts
#
# What the reference run says about each statement. *Exploratory* means that the rule was written after its records were
# taken: new seeds or new images have to confirm it.

# %% tags=["nbval-ignore-output"]
show.statement_sentences(NOTEBOOK)

# %% [markdown]
# The rules of the register, applied to the records that this run directory holds. Phantoms show how a method works
# and never count as evidence about medical images; parameters and operations are arithmetic, for which they do count.
# Fewer than five seeds never make a verdict.

# %% tags=["nbval-ignore-output"]
show.notebook_verdicts(NOTEBOOK)

# %% [markdown]
# ## What this does not show
#
# - **The paper's setting.** ResNet-50 at 224 pixels on tens of thousands of radiographs is another experiment than a small
#   network at low resolution. A cut at a given share of the depth sees a smaller part of a body in a larger image.
# - **Equal steps, not equal time.** All methods have the same budget of optimiser steps. A step of a cut network is
#   cheaper, so at equal time it could take more of them. Whether the budget was long enough for each method is a
#   question for the table of convergence; in short runs such as the default one, TransFusion's random upper part and
#   the network from random weights are at a disadvantage.
# - **The candidates come from the sweep.** It looks at frozen features, which may suit the cut network better than the
#   rivals that keep or rebuild what lies above. The candidates of full fine-tuning are learning rates, a different kind of freedom.
# - **One learning rate for the depth methods**, the same for head and body; the original code trains the body of layer-wise
#   fine-tuning at a tenth.
# - **A small grid.** Even with pilots every method chooses among three learning rates and nothing else is searched.
# - **Slim TransFusion only for ResNets.** In other families the random part keeps its width.
# - **The counter-evidence.** Raghu et al. (2019) find that with large data sets pretraining itself adds little, and that
#   what is reused lies in the lowest layers: in agreement with the idea behind truncation, and in doubt about how much
#   there is to gain.
# - **Similarity is not usefulness.** CKA says how far features moved, not whether they were needed.
#
# ## Exercises
#
# Each exercise has a check that says what it found and why an answer may be wrong. Set the answer, run the cell, and
# compare with the solution below it.
#
# **1. Two heads.** Write the number of head parameters for `c` channels, a map of `h` x `w` cells and `k` classes, for a
# pooled and for a flattened head.

# %%
answer_1 = None  # for example: lambda c, h, w, k: (..., ...)


def head_case(cut, classes: int) -> tuple:
    """Arguments, and the parameters of both heads counted in real networks cut there."""
    _, c, h, w = maps[cut.index].shape
    made = (
        truncation.truncate(pretrained, cut, num_classes=classes, head=head, seed=0, image_size=image_size)
        for head in ("pooled", "flattened")
    )
    return (c, h, w, classes), tuple(parameters_of(backbones.head_of(model.network)) for model in made)


check_1 = show.Check(
    1,
    wants="a function of (c, h, w, k) that returns two numbers: parameters of the pooled and of the flattened head",
    cases=[head_case(demo_cut, 2), head_case(cuts[2], 5)],
    misconceptions=[
        show.Misconception(lambda c, h, w, k: (c * k, c * h * w * k), "each class has a bias, too"),
        show.Misconception(lambda c, h, w, k: (c * h * w * k + k, c * k + k), "the pooled head comes first"),
        show.Misconception(lambda c, h, w, k: (c * k + k, h * w * k + k), "the cells of every channel count"),
    ],
    hint="a linear layer has a weight for each input and class, and a bias for each class",
)
check_1(answer_1)

# %% tags=["solution"]
check_1(lambda c, h, w, k: (c * k + k, c * h * w * k + k))

# %% [markdown]
# **2. Counting candidates.** A network has stages of `blocks = [1, 3, 4, 6, 3]` units (the first is the stem). How many
# networks does the two-stage search train if the best stage is stage `i`? Compare with tuning every cut.

# %%
answer_2 = None  # for example: lambda blocks, i: ...


def search_case(blocks: list[int], best: int) -> tuple:
    """Arguments, and the number of networks that the search really trains."""
    of_stage = [stage for stage, count in enumerate(blocks) for _ in range(count)]
    points = [backbones.CutPoint(i, f"{i}", f"{i}", stage, 8) for i, stage in enumerate(of_stage)]
    found = truncation.two_stage_search(points, lambda cut: float(cut.stage == best))
    return (blocks, best), found.candidates


check_2 = show.Check(
    2,
    wants="a function of (blocks, i) that returns a number of networks",
    cases=[search_case([1, 3, 4, 6, 3], i) for i in range(5)],
    misconceptions=[
        show.Misconception(
            lambda blocks, i: len(blocks) + blocks[i],
            "the last block of the best stage is tuned once, not twice",
        ),
        show.Misconception(lambda blocks, i: sum(blocks), "that is tuning every cut"),
        show.Misconception(lambda blocks, i: blocks[i], "the last block of every stage comes first"),
    ],
    hint="count the last block of every stage, then the other blocks of the best stage",
)
check_2(answer_2)

# %% tags=["solution"]
check_2(lambda blocks, i: len(blocks) + blocks[i] - 1)
print("tuning every cut takes", sum([1, 3, 4, 6, 3]))

# %% [markdown]
# **3. Seeds for a margin.** Two methods have standard deviations .013 and .011 between runs. Write a function of the
# correlation `r` between their scores within a seed that returns the standard deviation of the paired difference.

# %%
answer_3 = None  # for example: lambda r: ...


def spread_case(r: float) -> tuple:
    """The correlation, and the standard deviation from the covariance matrix."""
    covariance = np.array([[0.013**2, r * 0.013 * 0.011], [r * 0.013 * 0.011, 0.011**2]])
    contrast = np.array([1.0, -1.0])
    return (r,), float(np.sqrt(contrast @ covariance @ contrast))


check_3 = show.Check(
    3,
    wants="a function of r that returns a standard deviation",
    cases=[spread_case(r) for r in (0.0, 0.5, 0.9)],
    misconceptions=[
        show.Misconception(
            lambda r: np.sqrt(0.013**2 + 0.011**2 + 2 * r * 0.013 * 0.011), "that is the spread of the sum"
        ),
        show.Misconception(
            lambda r: np.sqrt(0.013**2 + 0.011**2), "this holds for independent runs; where does r come in?"
        ),
        show.Misconception(lambda r: 0.013**2 + 0.011**2 - 2 * r * 0.013 * 0.011, "that is the variance"),
    ],
    hint="the variance of a - b is var(a) + var(b) - 2 cov(a, b)",
    tolerance=1e-5,
)
check_3(answer_3)


# %% tags=["solution"]
def paired_sd(r: float) -> float:
    return np.sqrt(0.013**2 + 0.011**2 - 2 * r * 0.013 * 0.011)


check_3(paired_sd)
needed_at = {
    r: next(n for n in range(3, 999) if evaluation.detectable_effect(paired_sd(r), n) <= 0.005)
    for r in (0.0, 0.8)
}
print("seeds to detect .005, by correlation:", needed_at)

# %% [markdown]
# ## References
#
# - Gu, C. (2024). Enhancing medical image classification with convolutional neural networks through transfer learning: a
#   comprehensive review. *Applied and Computational Engineering* 35, 280-284. The survey under test.
# - Peng, L. et al. (2022). Rethinking transfer learning for medical image classification.
#   [arXiv 2106.05152](https://arxiv.org/abs/2106.05152); *BMVC* 2023. TruncatedTL.
# - Raghu, M. et al. (2019). [Transfusion: understanding transfer learning for medical imaging](https://arxiv.org/abs/1902.07208).
#   *NeurIPS*. TransFusion, and the counter-evidence.
# - Raghu, M. et al. (2017). [SVCCA: singular vector canonical correlation analysis for deep learning dynamics and
#   interpretability](https://arxiv.org/abs/1706.05806). *NeurIPS*.
# - Kornblith, S. et al. (2019). [Similarity of neural network representations revisited](https://arxiv.org/abs/1905.00414). *ICML*. Linear CKA.
# - Alain, G., Bengio, Y. (2017). [Understanding intermediate layers using linear classifier probes](https://arxiv.org/abs/1610.01644). *ICLR* workshop.
# - Cawley, G., Talbot, N. (2010). On over-fitting in model selection and subsequent selection bias in performance
#   evaluation. *JMLR* 11. The winner's curse of model selection.
