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
# # Orientation: one survey, its statements, and what it would take to decide them
#
# This project takes a five-page survey of transfer learning for medical image classification, splits it into its
# single statements, and asks of each: is it a definition, a method, a finding or a hope, and what would settle it? The
# other notebooks measure. This one draws the map. You will see which notebook tests what, meet the data, and turn the
# survey's vocabulary (domain, task, transfer, adaptation, shift) into code that returns an answer.
#
# Two questions run through this notebook: does a method count as transfer learning, and how far apart are two data
# sets? Both need a definition that a program can check. Three statements go beyond definitions and are put to the
# test: that learning needs test data that resemble the training data, that unlabelled images help where labels are
# few, and that adaptation helps when only the distribution of the inputs moves.
#
# **Afterwards you will be able to**
#
# 1. say what a domain and a task are, and place any method in the scheme of Pan and Yang;
# 2. measure how far two sets of images lie apart, by maximum mean discrepancy and by proxy A-distance, and say when the
#    distance is more than chance;
# 3. tell covariate, label and concept shift apart, and say which of them can be repaired without target labels;
# 4. train a semi-supervised classifier with a mean teacher, and compare it fairly with a supervised one;
# 5. read the register of statements, and tell evidence from citation.
#
# **The statements of the survey that this notebook answers**, in our own words and drawn from the register:

# %%
from medtl_core import reporting as show

show.statements_table("00_orientation")

# %% [markdown]
# ## Parameters
#
# The defaults are the `smoke` profile: digital phantoms from three simulated scanners, few seeds, half a minute.
# `medtl run 00_orientation -p dataset=chest_xray_64 -p seeds=5` replaces them, after checking each value against the
# type and range given here.

# %% tags=["parameters"]
dataset: str = "phantoms_shift"  # archive to learn from; a data set
domain: str = ""  # source domain, empty for the largest one (all images where there are none); a domain
compare: list[str] = ["phantoms_shortcut"]  # further archives, compared by their pixels; a data set
backbone: str = "tf_efficientnet_lite0"  # network whose frozen features are used, by its timm name; a network
image_size: int = 48  # pixels, side that images are brought to for the backbone; 28 to 224
train_size: int = 200  # labelled training images of the shift studies; 16 to 100000
test_size: int = 200  # test images of each domain at most; 20 to 10000
distance_size: int = 120  # images at most on each side of a distance between two sets; 20 to 1000
label_counts: list[int] = [50]  # labelled images of the study with few labels; 8 to 10000
pool_size: int = 600  # training images at most, labelled and unlabelled together; 20 to 100000
val_size: int = 60  # validation images at most, to choose among three candidates an arm; 10 to 10000
seeds: int = 3  # random seeds, each with its own training images; 1 to 50
toy_seeds: int = 10  # random seeds of the toy study of three kinds of shift; 1 to 1000
train_few_labels: bool = False  # run the study with few labels, too (a minute more); any
teacher_steps: int = 150  # optimiser steps of the mean teacher and of its control; 10 to 100000

# %% [markdown]
# ## Set-up

# %% tags=["nbval-ignore-output"]
import warnings
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn import decomposition, linear_model, model_selection, pipeline, preprocessing, semi_supervised

from medtl_core import backbones, data, evaluation, evidence, study, training, transfer

show.use_style()
NOTEBOOK = "00_orientation"
LABELS = {
    "within": "new images of the same source",
    "across": "images of the other source",
    "source_only": "no adaptation",
    "importance_weighted": "importance weighting",
    "prior_adapted": "re-estimated class shares",
    "target_oracle": "trained on target labels",
    "supervised": "logistic regression on the labels alone",
    "label_spreading": "label spreading",
    "self_training": "self-training",
    "supervised_network": "a network on the labels alone",
    "mean_teacher": "a mean teacher",
    "linear_probe": "a linear probe",
    "n_labelled": "labelled images",
    "shift": "kind of shift",
    "covariate": "covariate shift",
    "label": "label shift",
    "concept": "concept shift",
    "severity": "severity of the shift (0: none)",
    "phantoms_shift": "phantoms",
    "phantoms_toy_patients": "toy patients",
    "chest_xray_64": "chest X-rays",
    "breastmnist": "BreastMNIST",
    "kermany": "Kermany",
    "nih": "NIH",
    "scanner_a": "scanner A",
    "scanner_b": "scanner B",
    "scanner_c": "scanner C",
}
device = study.select_device()
study.seed_everything(0)
print(f"frozen features of {backbone} at {image_size} px, {seeds} seeds, on {device}; about half a minute")

# %% [markdown]
# ## The data
#
# One archive serves as the example. Where it has several domains (hospitals, scanners, stains), one is the *source*,
# from which everything is learnt, and the others are *targets*. Classes with fewer than ten source images are dropped;
# the next cell lists them. The card says what the archive holds, where it is from and what the audit found, and shows
# images of every class with the name of the domain above each. *Can your eye tell the domains apart?*

# %% tags=["nbval-ignore-output"]
LEAST = 10  # images that a class needs in the source
full = data.sources.load(dataset)
domains = [] if full.domains is None else np.unique(full.domains).tolist()
largest = max(domains, key=lambda name: (full.domains == name).sum()) if domains else ""
source = domain or largest
in_source = full.domains == source if domains else np.ones(full.n, dtype=bool)
kept = np.flatnonzero(np.bincount(full.labels[in_source], minlength=full.n_classes) >= LEAST)
archive = replace(
    full.subset(np.isin(full.labels, kept)),
    labels=np.searchsorted(kept, full.labels[np.isin(full.labels, kept)]),
    class_names=tuple(full.class_names[k] for k in kept),
)
parts = data.split(archive, seed=0, domain=source or None)
dropped = [name for name in full.class_names if name not in archive.class_names]
print(f"source: {source or 'all images'}; classes dropped: {', '.join(dropped) or 'none'}")
data.cards.card(archive, parts, data.sources.card(dataset), per_class=6)

# %% [markdown]
# If you can guess the domain from the picture, so can a network, and a network that can guess the hospital may use
# the hospital instead of the disease. We come back to this when distances are measured.
#
# *What else is there?* Every data set that can be used without a download, with its licence. An archive in the folder
# of `MEDTL_DATA` appears here by itself.

# %% tags=["nbval-ignore-output"]
local_cards, unusable = data.sources.registry.local_cards()
for name, reason in unusable.items():
    print(f"{name} cannot be used: {reason}")
show.TextTable(
    [
        {
            "data set": c.name,
            "images": c.n,
            "format": f"{c.size} px, {'grey' if c.channels == 1 else 'RGB'}",
            "classes": len(c.class_names),
            "licence": c.licence,
            "citation": c.citation,
        }
        for c in local_cards
    ]
)

# %% [markdown]
# ## The survey as a register
#
# The survey was read sentence by sentence. Each statement became an entry of the register: what it says, whether it is
# a definition, a description of a method, an empirical claim or a challenge, and how it is handled. *Test*: rules
# decide, from measurements. *Demonstration*: shown how it works. *Literature*: nothing can be measured here, so the
# entry says what the cited source says. *Correction*: wrong or garbled as written.
#
# *Which notebook answers which part of the survey?* Statements that wait have no rule yet: a notebook whose statements
# all wait has not been written.

# %%
register = evidence.load_register()


def state(claim) -> str:
    if claim.rules:
        return "decided by rules"
    return "cited" if claim.handling in ("literature", "correction") else "wait for a study"


entries = show.TextTable(
    [
        {"notebook": c.notebook, "section": c.section, "kind": c.kind, "state": state(c)}
        for c in register.entries
    ]
)
entries.pivot_table(index="notebook", columns="state", values="kind", aggfunc="count", fill_value=0)

# %% [markdown]
# *Where in the survey do the statements sit, and of what kind are they?* The numbers are those of the survey's
# sections; inherited statements come from the works that it cites.

# %%
entries.pivot_table(index="section", columns="kind", values="state", aggfunc="count", fill_value=0)

# %% [markdown]
# The fourth section, on augmentation and adaptation, holds more statements than any other, and with them most of the
# descriptions of methods. A description can be right or wrong in a way that a program shows at once. A claim of benefit
# ("enhances", "prevents", "ensures") needs a comparison, a control and repetition, and that is what the other notebooks
# spend their time on.
#
# ### What can only be cited
#
# Some statements are history, opinion or recommendation. For those the register records what the named source says,
# where it was read, and where the survey is loose. They count neither for nor against the survey's other claims.

# %%
show.TextTable(
    [
        {
            "id": c.id,
            "statement": c.statement,
            "handling": c.handling,
            "what the source says": c.source,
            "where the survey is loose": c.correction,
        }
        for c in register.of(NOTEBOOK)
        if not c.rules
    ]
).set_index("id")

# %% [markdown]
# Read the column on the right as a lesson in citing. The survey's numbers are mostly correct; what slips is the scope.
# A long history of image analysis becomes a long history of deep learning; one task with parity becomes "inevitably";
# and a whole paragraph follows a review that is missing from the reference list. The survey remains useful, but before
# you quote it, read the source that it names.

# %% [markdown]
# ## What transfer learning is (C015)
#
# Pan and Yang's definition needs two pairs. A **domain** is a feature space with a distribution of inputs over it,
# $D = \{X, P(X)\}$. A **task** is a label space with a predictive function, $T = \{Y, f\}$, where $f(x)$ stands for
# $P(y \mid x)$. Transfer learning is the attempt to improve the *target's* predictive function with what was learnt on
# a source, where
#
# $$D_S \neq D_T \quad\text{or}\quad T_S \neq T_T .$$
#
# The survey's rendering drops the word "target" and asks for both inequalities. The difference matters: under "both",
# domain adaptation, whose task is the same on both sides, would not be transfer learning at all.
#
# Three settings follow from which inequality holds and whose labels are known. In code it is a handful of branches:


# %%
def setting_by_hand(other_domain: bool, other_task: bool, source_labels: bool, target_labels: bool) -> str:
    if not (other_domain or other_task):
        return "no transfer"
    if other_task:
        if target_labels:
            return "inductive"
        return "outside the scheme" if source_labels else "unsupervised"
    return "transductive" if source_labels and not target_labels else "outside the scheme"


Domain, Task, setting_of = transfer.Domain, transfer.Task, transfer.setting_of
here, elsewhere = Domain("grey images", "hospital A"), Domain("grey images", "hospital B")
COMBINATIONS = [tuple(map(bool, case)) for case in np.ndindex(2, 2, 2, 2)]
for other_domain, other_task, s, t in COMBINATIONS:
    classes = ("cat", "dog") if other_task else ("ill", "healthy")
    placed = setting_of(
        (here, Task.of("healthy", "ill", labelled=s)),
        (elsewhere if other_domain else here, Task.of(*classes, labelled=t)),
    )
    assert placed.name == setting_by_hand(other_domain, other_task, s, t)
    assert placed.is_transfer == (other_domain or other_task)
print(f"{len(COMBINATIONS)} combinations: by hand and by the package, the same setting")

# %% [markdown]
# The fourth answer, "outside the scheme", is needed. Three situations satisfy the definition and fit none of the three
# settings: the same task in another domain whose target *has* labels (supervised adaptation), the same task in another
# domain without labels on either side, and a new task without a single target label, where the source has labels
# (zero-shot). The scheme is from 2010; a program finds the gaps that prose leaves open.
#
# *Does the code agree with the paper?* The examples that the paper itself gives for its settings, and the borderline
# cases around them:

# %%
words = {name: Domain("English words", name) for name in ("news", "reviews", "mail")}
german = Domain("German words", "news")
topics, topics_unlabelled = (Task.of("sport", "politics", labelled=known) for known in (True, False))
spam, spam_unlabelled = (Task.of("spam", "ham", labelled=known) for known in (True, False))
other_reader = Task.of("sport", "politics", predictive="another reader's view", labelled=True)
PAPER = [
    ("ordinary learning", (words["news"], topics), (words["news"], topics), "no transfer"),
    ("semi-supervised learning", (words["news"], topics), (words["news"], topics_unlabelled), "no transfer"),
    ("multi-task learning", (words["mail"], topics), (words["mail"], spam), "inductive"),
    ("self-taught learning", (words["news"], topics_unlabelled), (words["mail"], spam), "inductive"),
    ("same classes, other labelling", (words["news"], topics), (words["news"], other_reader), "inductive"),
    ("sample selection bias", (words["news"], topics), (words["reviews"], topics_unlabelled), "transductive"),
    ("cross-language classification", (words["news"], topics), (german, topics_unlabelled), "transductive"),
    (
        "self-taught clustering",
        (words["news"], topics_unlabelled),
        (words["mail"], spam_unlabelled),
        "unsupervised",
    ),
    ("supervised adaptation", (words["news"], topics), (words["reviews"], topics), "outside the scheme"),
    (
        "zero-shot classification",
        (words["news"], topics),
        (words["mail"], spam_unlabelled),
        "outside the scheme",
    ),
]
rows = [(name, expected, setting_of(s, t)) for name, s, t, expected in PAPER]
evidence.record_check(
    NOTEBOOK, "settings_as_in_paper", float(np.mean([found.name == expected for _, expected, found in rows]))
)
assert all(found.name == expected for _, expected, found in rows)
show.TextTable(
    [{"case": name, "setting": f.name, "spaces": f.spaces, "because": f.reason} for name, _, f in rows]
)

# %% [markdown]
# Semi-supervised learning comes out as *no transfer*: the labelled and the unlabelled texts are from one domain and
# serve one task. The survey's phrase about few labelled and many unlabelled data, which it presents as traditional
# machine learning, describes precisely this case; it is the subject of the last study below.
#
# ### Every method that the survey names (C057)
#
# The second axis of the scheme is *what* is carried over: cases (perhaps with weights), a representation, parameters,
# or relations. Placing a method takes four facts: the two domains, the two tasks, whose labels are known, and what
# crosses. The placement is our reading of the cited papers; the point of writing it as data is that you can disagree
# with one line and run the cell again.

# %%
photos = Domain("images", "ImageNet photographs")
scans, other_scans = Domain("images", "scans, centre A"), Domain("images", "scans, centre B")
mr, ct = Domain("volumes", "MRI"), Domain("volumes", "CT")
web, own = Domain("images", "found on the web"), Domain("images", "the small data set of [5]")
wares = Task.of("one class", "other classes", labelled=True)
objects = Task.of("dog", "teapot", "998 more", labelled=True)
disease, disease_unlabelled = (Task.of("healthy", "ill", labelled=known) for known in (True, False))
organs, organs_unlabelled = (Task.of("background", "organ", labelled=known) for known in (True, False))
PRETRAINED, ADAPTED, WITHIN = (
    ((photos, objects), (scans, disease)),
    ((scans, disease), (other_scans, disease_unlabelled)),
    ((scans, disease), (scans, disease)),
)
METHODS = [
    ("fine-tuning VGG, ResNet, Inception", PRETRAINED, ["weights"]),
    ("fine-tuned GoogLeNet, brain tumours [11]", PRETRAINED, ["weights"]),
    ("GoogLeNet features with SVM or kNN [11]", PRETRAINED, ["features"]),
    ("TruncatedTL [12]", PRETRAINED, ["weights"]),
    ("frozen VGG19, COVID-19 [13]", PRETRAINED, ["features"]),
    ("pretrained network, phase 1 of [5]", PRETRAINED, ["weights"]),
    ("web data augmentation, phase 2 of [5]", ((web, wares), (own, wares)), ["cases"]),
    ("importance weighting", ADAPTED, ["case weights"]),
    ("subspace alignment", ADAPTED, ["aligned features"]),
    ("subspace alignment, Alzheimer [16]", ADAPTED, ["aligned features"]),
    ("single-source adaptation", ADAPTED, ["aligned features"]),
    ("multi-source adaptation", ADAPTED, ["aligned features"]),
    ("deep (adversarial) adaptation", ADAPTED, ["aligned features", "weights"]),
    ("image-level adaptation by CycleGAN", ADAPTED, ["translated images"]),
    ("cross-modality segmentation [17]", ((ct, organs), (mr, organs_unlabelled)), ["translated images"]),
    ("basic and deformable augmentation", WITHIN, []),
    ("augmentation by DCGAN or ACGAN [4]", WITHIN, []),
    ("attention-guided CycleGAN for augmentation [15]", WITHIN, []),
    ("few labels and an unlabelled pool", ((scans, disease), (scans, disease_unlabelled)), []),
]
placed = [
    (name, setting_of(*pair), sorted(transfer.transfer_approaches(carried)))
    for name, pair, carried in METHODS
]
adaptation = [
    found for (_, found, _), (_, pair, _) in zip(placed, METHODS, strict=True) if not pair[1][1].labelled
]
adaptation = [found for found in adaptation if found.is_transfer]
evidence.record_check(
    NOTEBOOK,
    "adaptation_transductive",
    float(np.mean([found.name == "transductive" for found in adaptation])),
)
show.TextTable(
    [{"method": name, "setting": f.name, "what crosses": ", ".join(a) or "nothing"} for name, f, a in placed]
)

# %% [markdown]
# Four observations. Using ImageNet weights is *inductive* transfer, since photographs and scans differ in domain and
# in task, and target labels are needed. Domain adaptation without target labels is *transductive*: the survey calls it
# a sub-technique of transfer learning, and the scheme agrees. And augmentation, with or without a GAN, is no transfer
# as long as the generator is trained on the same images; the survey says so itself for augmentation in general, and
# then lists it among the means of transfer. Last, adding labelled images from the web to a small labelled set is
# transfer by the definition and has no place in the scheme.
#
# *Does practice follow the scheme?* Pan and Yang also tabulate which approaches they found in which setting. A method
# that does not fit that table is one that came later.

# %%
used = [(f.name, a) for _, f, found in placed if f.name in transfer.APPROACHES_IN for a in found]
show.TextTable(
    [
        {
            "setting": setting,
            "approach": approach,
            "in the table of 2010": "yes" if approach in transfer.APPROACHES_IN[setting] else "no",
            "methods that the survey names": used.count((setting, approach)),
        }
        for setting, approach in sorted(set(used))
    ]
)

# %% [markdown]
# Deep adaptation is what the scheme did not foresee: it shares parameters between source and target encoder, which in
# 2010 was a matter of inductive transfer. And nothing that the survey names is unsupervised transfer or carries
# relations.
#
# ## How far apart are two domains?
#
# The definition says "if the domains differ". With samples in place of distributions, that is a statistical question,
# and it has two standard answers. Both need a representation. Pixels are one; the pooled features of a pretrained
# network are another, closer to what a classifier works with. The next cell chooses the images and sends each of them
# through the frozen network once, also the test images as *corrupted* by gamma, blur, noise and, in colour, stain,
# which a study below uses. The features are kept, so that the second run of this cell takes no time.


# %% tags=["nbval-ignore-output"]
def at_most(index: np.ndarray, n: int) -> np.ndarray:
    return data.nested_subset(archive.labels, index, n, 0) if len(index) > n else index


pool, val, test = (
    at_most(parts.train, pool_size),
    at_most(parts.val, val_size),
    at_most(parts.test, test_size),
)
everyone = np.unique(archive.labels)
others = {name: np.flatnonzero(archive.domains == name) for name in domains if name != source}
targets = {
    name: at_most(index, test_size)
    for name, index in others.items()
    if np.array_equal(np.unique(archive.labels[index]), everyone)
}
for name in sorted(set(others) - set(targets)):
    print(f"domain {name} lacks a class of the source and is no target here")
KINDS = data.corruptions.corruption_kinds(archive.channels)


def frozen_features(seed: int) -> dict[str, np.ndarray]:
    """Pooled features (n, D) of every set of images, by its name."""
    model = backbones.build(backbone, num_classes=2, pretrained=True, seed=seed)

    def features_of(index: np.ndarray, kind: str = "gamma", severity: int = 0) -> np.ndarray:
        cases = archive.subset(index)
        seen = replace(cases, images=data.corruptions.corrupt(cases.images, kind, severity))
        resident = data.DeviceDataset.from_archive(seen, np.arange(seen.n), device, image_size)
        return training.pooled_features(model, resident).cpu().numpy()

    plain = {"training": pool, "validation": val, "test": test} | {
        f"target {n}": i for n, i in targets.items()
    }
    corrupted = {f"{k} {level}": features_of(test, k, level) for k in KINDS for level in range(1, 5)}
    return {name: features_of(index) for name, index in plain.items()} | corrupted


features = study.Study.artifact(frozen_features)
frozen = features(0)
print(
    f"{len(pool)} training, {len(val)} validation, {len(test)} test images of the source; targets: {list(targets)}"
)

# %% [markdown]
# A warning before measuring. Several images of one patient are not several independent cases, and two samples with
# other shares of the classes differ for a reason that has nothing to do with the scanner. So for distances we take one
# image a patient and equally many of each class from both sides.
#
# ### Maximum mean discrepancy
#
# The idea: two distributions are equal if no smooth function has a different mean under them. With functions from the
# space of a kernel $k$ the largest difference of means has a closed form, and its unbiased estimate leaves out the
# pairs of a case with itself:
#
# $$\widehat{\mathrm{MMD}}^2 = \frac{1}{n(n-1)}\sum_{i \ne j} k(x_i, x_j) + \frac{1}{m(m-1)}\sum_{i \ne j} k(y_i, y_j)
# - \frac{2}{nm}\sum_{i,j} k(x_i, y_j).$$


# %%
def one_a_patient(index: np.ndarray) -> np.ndarray:
    """Positions within `index` of the first image of each group."""
    if archive.groups is None:
        return np.arange(len(index))
    return np.sort(np.unique(archive.groups[index], return_index=True)[1])


def matched(first: np.ndarray, second: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions in two sets of cases: one image a patient, as many of each class on both sides."""
    rng = np.random.default_rng(seed)
    sides = [rng.permutation(one_a_patient(index)) for index in (first, second)]
    labels = [archive.labels[index][side] for index, side in zip((first, second), sides, strict=True)]
    share = [
        min(distance_size // archive.n_classes, *((found == k).sum() for found in labels)) for k in everyone
    ]
    chosen = [
        np.concatenate([side[found == k][:count] for k, count in zip(everyone, share, strict=True)])
        for side, found in zip(sides, labels, strict=True)
    ]
    return chosen[0], chosen[1]


def mmd2_by_hand(x: np.ndarray, y: np.ndarray, bandwidth: float) -> float:
    def kernel(a, b):
        return np.exp(-((a[:, None] - b[None]) ** 2).sum(-1) / (2 * bandwidth**2))

    n, m = len(x), len(y)
    within_x = (kernel(x, x).sum() - n) / (n * (n - 1))
    within_y = (kernel(y, y).sum() - m) / (m * (m - 1))
    return within_x + within_y - 2 * kernel(x, y).mean()


scaler = preprocessing.StandardScaler().fit(frozen["training"])
i, j = matched(pool, test, seed=0)
x, y = (scaler.transform(f).astype(float) for f in (frozen["training"][i], frozen["test"][j]))
width = evaluation.median_bandwidth(x, y)
assert np.isclose(mmd2_by_hand(x[:40], y[:40], width), evaluation.mmd2(x[:40], y[:40], width))
print("by hand and by the package: the same MMD")

# %% [markdown]
# An MMD has no unit and no natural size, so the number alone says little. What makes it readable is a permutation
# test: mix the two samples, divide them at random, compute again, and see how often chance gives as much.
#
# *Do training and test images of the source differ? Do the domains?* Grey is what chance gives; the line is what was
# found. Both are in standard deviations of the permuted values, so that the panels can be compared.

# %% tags=["nbval-ignore-output"]
comparisons = {
    "source: training against test": (frozen["training"][i], frozen["test"][j]),
    "training against blurred test": (frozen["training"][i], frozen["blur 3"][j]),
}
for name in list(targets)[:2]:
    a, b = matched(pool, targets[name], seed=0)
    comparisons[f"source against {name}"] = (frozen["training"][a], frozen[f"target {name}"][b])
tested = {
    name: evaluation.mmd_test(scaler.transform(a), scaler.transform(b), permutations=300, seed=0)
    for name, (a, b) in comparisons.items()
}
figure, axes = plt.subplots(1, len(tested), figsize=(2.5 * len(tested), 2.8), sharex=True, squeeze=False)
for axis, (name, result) in zip(axes[0], tested.items(), strict=True):
    z = (np.append(result.null, result.statistic) - result.null.mean()) / result.null.std()
    axis.hist(z[:-1], bins=np.linspace(-4, 4, 17), color=show.colour_of("none"), label="permuted")
    axis.axvline(z[-1], color=show.colour_of("across"), linewidth=3, label="found")
    axis.set_title(f"{name.replace(' against', chr(10) + 'against')}\np = {result.p_value:.3f}", fontsize=9)
    axis.set_xscale("symlog", linthresh=5, subs=[2, 4, 6, 8])
    axis.set_xticks([-4, 0, 4, 20, 100], ["-4", "0", "4", "20", "100"])
    axis.set_xlabel("MMD$^2$ (SD of chance)")
axes[0, 0].set_ylabel("permutations")
axes[0, -1].legend(fontsize=8, loc="upper center")
plt.tight_layout()
plt.show()

# %% [markdown]
# The first panel is the control. Training and test images of one domain were divided at random, by patient where
# patients are known, and a test that often called them different would be broken. Where the line leaves the grey
# behind, the two samples are not from one distribution. The smallest p that can come out is set by the number of
# permutations, not by the data.
#
# With this test the definition becomes operational. Domains need no names: two samples and a level are enough.

# %% tags=["nbval-ignore-output"]


def told_apart(x: np.ndarray, y: np.ndarray) -> bool:
    return evaluation.mmd_test(x, y, permutations=300, seed=0).p_value <= 0.05


for name, (a, b) in comparisons.items():
    one, two = (Domain("features", "not known", scaler.transform(side)) for side in (a, b))
    found = setting_of((one, disease), (two, disease_unlabelled), told_apart)
    print(f"{name}: {found.name} ({found.reason})")

# %% [markdown]
# ### Proxy A-distance
#
# The second answer is blunter. Train a classifier to tell the two samples apart and see how often it errs on cases
# that it has not seen. An error of one half means that it cannot; an error of zero means that any image gives its
# origin away. The proxy A-distance puts this on a scale from 0 to 2:
#
# $$d_A = 2\,(1 - 2\,\mathrm{err}).$$
#
# Ben-David and colleagues use it because a bound on the target error contains it: source error, plus the distance, plus
# a term that no unlabelled data can reveal.


# %%
def proxy_a_distance_by_hand(x: np.ndarray, y: np.ndarray, folds: int = 5) -> float:
    cases, side = np.concatenate([x, y]), np.repeat([0, 1], [len(x), len(y)])
    told = np.empty(len(side), dtype=int)
    splitter = model_selection.StratifiedKFold(folds, shuffle=True, random_state=0)
    for train, held_out in splitter.split(cases, side):
        probe = pipeline.make_pipeline(
            preprocessing.StandardScaler(),
            linear_model.LogisticRegression(C=0.01, class_weight="balanced", max_iter=1000),
        )
        told[held_out] = probe.fit(cases[train], side[train]).predict(cases[held_out])
    error = np.mean([np.mean(told[side == s] != s) for s in (0, 1)])
    return 2 * (1 - 2 * error)


assert np.isclose(proxy_a_distance_by_hand(x, y), evaluation.proxy_a_distance(x, y))
print("by hand and by the package: the same proxy A-distance")

# %% [markdown]
# *How far do the domains of our archives lie apart, for the eye of a linear classifier on 16 x 16 pixels?* Each bar is
# one pair of domains; the grey bars are a control, a single domain divided at random.


# %% tags=["nbval-ignore-output"]
def tiny_pixels(found, index: np.ndarray) -> np.ndarray:
    return data.DeviceDataset.from_archive(found, index, "cpu", 16).images.flatten(1).numpy() / 255


def independent_cases(found, name: str, seed: int = 0) -> np.ndarray:
    index = np.random.default_rng(seed).permutation(np.flatnonzero(found.domains == name))
    if found.groups is not None:
        index = index[np.unique(found.groups[index], return_index=True)[1]]
    share = distance_size // found.n_classes
    return np.concatenate([index[found.labels[index] == k][:share] for k in range(found.n_classes)])


bars = []  # what is compared, its proxy A-distance, whether it is a control
for each in dict.fromkeys([dataset, *compare]):
    if each not in data.sources.registry.local_names():
        print(f"{each}: not on this machine, left out of the figure")
        continue
    found = full if each == dataset else data.sources.load(each)
    if found.domains is None:
        print(f"{each}: no domains, so no distance between them")
        continue
    drawn = {
        name: tiny_pixels(found, independent_cases(found, name)) for name in np.unique(found.domains).tolist()
    }
    names = list(drawn)
    pairs = [(one, two) for place, one in enumerate(names) for two in names[place + 1 :]]
    bars += [
        (f"{each}: {one} and {two}", evaluation.proxy_a_distance(drawn[one], drawn[two]), False)
        for one, two in pairs
    ]
    halves = np.array_split(np.random.default_rng(1).permutation(drawn[names[0]]), 2)
    bars.append((f"{each}: halves of {names[0]}", evaluation.proxy_a_distance(*halves), True))
if bars:
    what, distance, control = zip(*bars, strict=True)
    figure, axis = plt.subplots(figsize=(8, 0.35 * len(bars) + 1))
    colours = [show.colour_of("none" if plain else "across") for plain in control]
    axis.barh([text.replace("_", " ") for text in what], distance, color=colours)
    axis.invert_yaxis()
    axis.set_xlim(min(-0.5, *distance), 2)
    axis.axvline(0, color="black", linewidth=1)
    axis.set_xlabel("proxy A-distance (0: alike, 2: every image tells)")
    plt.show()

# %% [markdown]
# Cross-validation of a small sample scatters, so a control bar may stand a little to either side of zero. A bar near 2
# is a warning of its own: in such an archive "which hospital?" is an easier question than any about disease, and if
# class and hospital go together, a classifier will find the easier one. The reverse does not follow. Two domains that
# a linear probe cannot separate may still differ in something that a network sees.
#
# ## Study 1: does the loss grow with the distance? (C012)
#
# Conventional learning assumes that training and test data are drawn alike. Everybody agrees; the question is what a
# violation costs. We take a model that was trained on unshifted images and show it the same test images through ever
# worse acquisition: stronger gamma, wider blur, more noise and, in colour, a heavier stain. Severity 0 is no shift.
#
# *What do the shifts look like?*

# %% tags=["nbval-ignore-output"]
show.strip(
    [
        data.corruptions.corrupt(archive.images[test[:1]], kind, severity)[0]
        for kind in KINDS
        for severity in range(5)
    ],
    [f"{kind}, severity {severity}" for kind in KINDS for severity in range(5)],
    columns=5,
)

# %% [markdown]
# These shifts touch the acquisition and not the anatomy, so the true label of every image stays what it was. That
# makes them *covariate* shifts in the language of the next section, at least as long as the disease remains visible;
# the strongest blur may well erase what the label rests on, and then no method can bring it back.
#
# The study fits a linear probe on the frozen features of uncorrupted training images and measures, under each shift, the
# AUROC (the probability that an ill case gets a higher score than a healthy one: .5 is guessing, 1 is perfect), its drop
# from severity 0, and the two distances between training images and shifted test images. It repeats this for several
# *seeds*, each with training images of its own, because a single repetition cannot tell an effect from luck.


# %% tags=["nbval-ignore-output"]
CONDITIONS = [(kind, severity) for kind in KINDS for severity in range(5)]


def probe_of(seed: int):
    """A linear probe, fitted on the training images that the seed draws."""
    drawn = data.nested_subset(archive.labels, pool, min(train_size, len(pool)), seed)
    probe = pipeline.make_pipeline(
        preprocessing.StandardScaler(), linear_model.LogisticRegression(C=0.01, max_iter=2000)
    )
    return probe.fit(features(0)["training"][np.searchsorted(pool, drawn)], archive.labels[drawn])


def all_conditions(seed: int) -> dict[str, np.ndarray]:
    """AUROC, its drop and both distances of one probe, each (conditions,) in the order of CONDITIONS."""
    found, probe, truth = features(0), probe_of(seed), archive.labels[test]
    i, j = matched(pool, test, seed)
    near = probe[0].transform(found["training"][i])
    rows = {}
    for name in dict.fromkeys(
        "test" if severity == 0 else f"{kind} {severity}" for kind, severity in CONDITIONS
    ):
        far = probe[0].transform(found[name][j])
        score = evaluation.auroc(truth, probe.predict_proba(found[name]))
        rows[name] = score, evaluation.mmd2(near, far), evaluation.proxy_a_distance(near, far, seed=seed)
    table = np.array(
        [rows["test" if severity == 0 else f"{kind} {severity}"] for kind, severity in CONDITIONS]
    )
    drop = rows["test"][0] - table[:, 0]
    return {"auroc": table[:, 0], "auroc_drop": drop, "mmd2": table[:, 1], "proxy_a_distance": table[:, 2]}


under_shift = study.Study.artifact(all_conditions)


def graded_shift(arm: str, seed: int, shift: str, severity: int) -> dict:
    place = CONDITIONS.index((shift, severity))
    return {metric: float(values[place]) for metric, values in under_shift(seed).items()}


shared = {"notebook": NOTEBOOK, "data": archive, "source_domain": source, "n_test": len(test)}
graded = study.Study(
    "graded_shift",
    trial=graded_shift,
    arms=["linear_probe"],
    seeds=range(seeds),
    factors={"shift": KINDS, "severity": list(range(5))},
    directions={"auroc_drop": "lower", "mmd2": "lower", "proxy_a_distance": "lower"},
    **shared,
).run()

# %% [markdown]
# *What does each shift cost?* Left what this run has just measured, right the reference run, which is kept with the
# project. Lines are means over seeds, upright bars are 95 % intervals of the mean, small dots are single seeds.


# %% tags=["nbval-ignore-output"]
def drop_along_severity(records, **options) -> show.Drawing:
    """One line for each kind of shift, in the same order in every panel."""
    by_kind = records.assign(arm=records["shift"]).drop(columns="shift")
    return show.plot_curves(by_kind, "auroc_drop", "severity", arms=KINDS, **options)


CHEST = {"notebook": NOTEBOOK, "datasets": ["chest_xray_64"], "labels": LABELS}
show.side_by_side(drop_along_severity, graded, study="graded_shift", **CHEST)

# %% [markdown]
# *How much is lost under the strongest shift of each kind?*

# %% tags=["nbval-ignore-output"]
probe_drop = ("linear_probe", "auroc_drop")
strongest = {"by": "shift", "where": lambda records: records["severity"] == 4, "study": "graded_shift"}
show.in_both_runs(show.arm_sentence, graded, *probe_drop, **strongest, **CHEST)

# %% [markdown]
# On the chest X-rays gamma, which changes every grey value, costs almost nothing; blur and noise take most of what the
# probe had learnt. *Does the cost follow the distance?* The same drops, against the proxy A-distance that goes with
# them, one point for each seed and condition.

# %% tags=["nbval-ignore-output"]
runs = {
    "this run": graded,
    "reference: chest X-rays": show.reference_records(NOTEBOOK, "graded_shift", datasets=["chest_xray_64"]),
}
runs = {name: records for name, records in runs.items() if records is not None}
figure, axes = plt.subplots(1, len(runs), figsize=(4.9 * len(runs), 3.4), sharey=True, squeeze=False)
for axis, (name, records) in zip(axes[0], runs.items(), strict=True):
    wide = records.pivot_table(index=["shift", "severity", "seed"], columns="metric", values="value")
    for kind, marker in zip(KINDS, "osD^", strict=False):
        points = wide[wide.index.get_level_values("shift") == kind]
        axis.plot(
            points["proxy_a_distance"],
            points["auroc_drop"],
            marker,
            color=show.colour_of(kind),
            alpha=0.7,
            label=kind,
        )
    axis.axhline(0, color="black", linewidth=1)
    axis.set_title(name)
    axis.set_xlabel("proxy A-distance (2: every image tells)")
axes[0, 0].set_ylabel("drop in AUROC from severity 0")
axes[0, 0].legend()
plt.tight_layout()
plt.show()

# %% [markdown]
# Little is lost while the distance is small, and all large drops lie far to the right: distance predicts loss. But a
# large distance need not mean a large loss. On the chest X-rays the strongest gamma is almost as far away as a blur that
# costs several times as much. A distance measures that *something* changed, not whether it matters. Note also where the
# scale ends. Once every image can be told apart, the proxy A-distance stays at 2, however bad the images get.
#
# The register's rule needs one number a seed. The conditions of a seed are ranked by their proxy A-distance (ties, which
# occur at the end of the scale, by MMD), and Spearman's correlation of that rank with the drop is taken. Uncorrupted
# images enter once.


# %% tags=["nbval-ignore-output"]
def drop_by_distance(arm: str, seed: int, distance_rank: int) -> dict:
    """Drop in AUROC under the condition with that rank of distance, the nearest first."""
    found = under_shift(seed)
    once = [k for k, (kind, severity) in enumerate(CONDITIONS) if severity or kind == KINDS[0]]
    nearest_first = sorted(once, key=lambda k: (found["proxy_a_distance"][k], found["mmd2"][k]))
    return {"auroc_drop": float(found["auroc_drop"][nearest_first[distance_rank - 1]])}


by_rank = study.Study(
    "drop_by_distance",
    trial=drop_by_distance,
    arms=["linear_probe"],
    seeds=range(seeds),
    factors={"distance_rank": list(range(1, 4 * len(KINDS) + 2))},
    directions={"auroc_drop": "lower"},
    **shared,
).run()
rows = []
for name, records in {
    "this run": by_rank,
    "reference": show.reference_records(NOTEBOOK, "drop_by_distance"),
}.items():
    for place, part in records.groupby("dataset") if records is not None else ():
        ranks = part.pivot_table(index="seed", columns="distance_rank", values="value").T
        found = ranks.corrwith(ranks.index.to_series(), method="spearman")
        rows.append(
            {
                "run": name,
                "images": LABELS.get(place, place),
                "seeds": len(found),
                "mean": found.mean(),
                "smallest": found.min(),
                "largest": found.max(),
            }
        )
print("Spearman's correlation of distance rank and drop in AUROC")
show.TextTable(rows)

# %% [markdown]
# ### The shift that nobody simulated
#
# Graded shifts are our invention. An archive with several sources offers the real thing: the same probe, tested on new
# images of its own source and on images of another. *What does the change of source cost?*


# %% tags=["nbval-ignore-output"]
def domain_shift(arm: str, seed: int, target: str) -> dict:
    name, cases = ("test", test) if arm == "within" else (f"target {target}", targets[target])
    scores = probe_of(seed).predict_proba(features(0)[name])
    return {"auroc": evaluation.auroc(archive.labels[cases], scores)}


crossing = None
if targets:
    crossing = study.Study(
        "domain_shift",
        trial=domain_shift,
        arms=["within", "across"],
        seeds=range(seeds),
        factors={"target": list(targets)},
        **shared,
    ).run()
KEPT = {"notebook": NOTEBOOK, "labels": LABELS}
display(show.side_by_side(show.plot_arms, crossing, "auroc", by="target", study="domain_shift", **KEPT))
pair = ("across", "within", "auroc")
show.in_both_runs(show.difference_sentence, crossing, *pair, by="target", study="domain_shift", **KEPT)

# %% [markdown]
# A drop here has several possible causes at once. Between hospitals not only scanners change but also patients,
# referral, and the way labels were made. If the labels mean something else in the target, no alignment of images can
# repair the loss, and the next section shows why. Phantoms are kinder: their scanners differ in acquisition alone.
#
# ## Three kinds of shift, and which can be repaired (C058)
#
# The survey says that domain adaptation is for tasks that stay alike while the distribution changes. A joint
# distribution can change in several places, and the factorisations $P(x)P(y \mid x) = P(y)P(x \mid y)$ name them:
#
# - **covariate shift**: $P(x)$ changes, $P(y \mid x)$ stays. Other patients, same disease;
# - **label shift**: $P(y)$ changes, $P(x \mid y)$ stays. A screening clinic instead of a specialist one;
# - **concept shift**: $P(y \mid x)$ changes, $P(x)$ stays. Other readers, other criteria.
#
# On a small table all of these can be computed exactly. Eight kinds of "patient" differ in three binary features: a
# group, and two signs. In one group the disease shows in the first sign, in the other group in the second one.

# %%
PATIENTS = np.array(list(np.ndindex(2, 2, 2))) * 2 - 1  # group, first sign, second sign; each -1 or 1


def joint_table(second_group: float, swapped: bool = False) -> np.ndarray:
    """P(patient, disease), (8, 2): share of the second group, and whether the signs change their meaning."""
    group, first, second = PATIENTS.T
    p_patient = np.where(group > 0, second_group, 1 - second_group) / 4
    telling = np.where((group > 0) != swapped, second, first)
    p_disease = np.where(telling > 0, 0.9, 0.1)
    return p_patient[:, None] * np.stack([1 - p_disease, p_disease], axis=1)


SOURCE = joint_table(0.15)
rarer = SOURCE / SOURCE.sum(0) * [0.15, 0.85]
TARGETS = {"covariate": joint_table(0.85), "label": rarer, "concept": joint_table(0.15, swapped=True)}
named = {name: transfer.distribution_shift(SOURCE, table) for name, table in TARGETS.items()}
named["none"] = transfer.distribution_shift(SOURCE, SOURCE)
recognised = float(np.mean([found.name == name for name, found in named.items()]))
evidence.record_check(NOTEBOOK, "shift_kinds_recognised", recognised)
CHANGES = {True: "changes", False: "stays"}
show.TextTable(
    [
        {
            "made as": name,
            "recognised as": f.name,
            "P(x)": CHANGES[f.inputs],
            "P(y)": CHANGES[f.labels],
            "P(y|x)": CHANGES[f.concept],
            "P(x|y)": CHANGES[f.appearance],
        }
        for name, f in named.items()
    ]
)

# %% [markdown]
# Each row says which parts change. Label shift moves $P(y \mid x)$ too: a predictive function that was right in the
# source is wrong in the target, although the disease looks the same. In Pan and Yang's terms that is a change of task.
# Even so, two of the three shifts can be corrected *without a single target label*, each by what stays the same.
#
# **Covariate shift.** $P(y \mid x)$ stays, so count each source case by $w(x) = P_T(x) / P_S(x)$ (Shimodaira 2000). The
# ratio comes from a classifier that tells target from source, by Bayes' rule:


# %%
def importance_weights(source_x: np.ndarray, target_x: np.ndarray) -> np.ndarray:
    """w(x) = P(target | x) / P(source | x) * n_source / n_target, (n_source,), from a logistic classifier."""
    both = np.concatenate([source_x, target_x])
    side = np.repeat([0, 1], [len(source_x), len(target_x)])
    p_target = linear_model.LogisticRegression(C=100).fit(both, side).predict_proba(source_x)[:, 1]
    return p_target / (1 - p_target) * len(source_x) / len(target_x)


def draw_patients(table: np.ndarray, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    cell = rng.choice(table.size, size=n, p=table.ravel())
    return PATIENTS[cell // 2], cell % 2


dice = np.random.default_rng(0)
xs, xt = draw_patients(SOURCE, 20_000, dice)[0], draw_patients(TARGETS["covariate"], 20_000, dice)[0]
w = importance_weights(xs, xt)
exact = {-1: 0.15 / 0.85, 1: 0.85 / 0.15}
assert all(abs(w[xs[:, 0] == g].mean() / exact[g] - 1) < 0.1 for g in (-1, 1))
print(f"weights match the exact ones; {len(w):,} weighted cases count as {w.sum() ** 2 / (w**2).sum():,.0f}")

# %% [markdown]
# The last number is the effective sample size. Weighting pays for its correction with variance: most of the source
# counts for little, and a few cases have to speak for the target.
#
# **Label shift.** $P(x \mid y)$ stays, so only the share of each class, $P(y)$, has to be found. Bayes' rule turns a
# belief of the source model into one for other shares, and the mean belief over unlabelled target cases is a better
# guess of the shares. Repeat until nothing changes: this is the EM algorithm of Saerens and colleagues (2002). Lipton and
# colleagues (2018) solve the same problem from the confusion matrix.


# %% tags=["nbval-ignore-output"]
def with_shares(belief: np.ndarray, old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """P(y | x) (n, K) of a model whose classes had the shares `old` (K,), for the shares `new` (K,)."""
    weighted = belief * new / old
    return weighted / weighted.sum(axis=1, keepdims=True)


def target_shares(belief: np.ndarray, old: np.ndarray, rounds: int = 200) -> np.ndarray:
    """Shares of the classes (K,) among unlabelled target cases, from the source model's belief on them."""
    new = old
    for _ in range(rounds):
        new = with_shares(belief, old, new).mean(axis=0)
    return new


(x, y), (xt, _) = (draw_patients(table, 20_000, dice) for table in (SOURCE, TARGETS["label"]))
old = np.bincount(y) / len(y)
new = target_shares(linear_model.LogisticRegression().fit(x, y).predict_proba(xt), old)
assert abs(new[1] - TARGETS["label"].sum(axis=0)[1]) < 0.03
print(
    f"share of ill patients: {old[1]:.2f} in the source, {new[1]:.3f} estimated in the target without its labels"
)

# %% [markdown]
# *Which remedy repairs which shift?* The classifier is linear, so that it cannot express "one sign here, the other
# there" and has to choose whom to serve. The grey arm was trained on target labels, which adaptation does not have. Two
# things can go wrong and are measured apart: the ranking of the patients (AUROC), and their probabilities (**Brier
# score**, the mean squared error of the probabilities, 0 for perfect ones).


# %% tags=["nbval-ignore-output"]
def toy_shifts(arm: str, seed: int, shift: str) -> dict:
    rng = np.random.default_rng(seed)
    (x, y), (xt, yt), (x_test, y_test) = (
        draw_patients(table, n, rng)
        for table, n in ((SOURCE, 500), (TARGETS[shift], 500), (TARGETS[shift], 4000))
    )
    if arm == "target_oracle":
        fitted = linear_model.LogisticRegression().fit(xt, yt)
    else:
        weights = importance_weights(x, xt) if arm == "importance_weighted" else None
        fitted = linear_model.LogisticRegression().fit(x, y, sample_weight=weights)
    belief = fitted.predict_proba(x_test)
    if arm == "prior_adapted":
        old = np.bincount(y, minlength=2) / len(y)
        belief = with_shares(belief, old, target_shares(fitted.predict_proba(xt), old))
    values = evaluation.all_metrics(y_test, belief)
    return {name: values[name] for name in ("auroc", "accuracy", "brier")}


toy = study.Study(
    "toy_shifts",
    notebook=NOTEBOOK,
    trial=toy_shifts,
    arms=["source_only", "importance_weighted", "prior_adapted", "target_oracle"],
    seeds=range(toy_seeds),
    factors={"shift": list(TARGETS)},
    data=study.DataIdentity("phantoms_toy_patients", "drawn in the trial", synthetic=True),
    n_test=4000,
).run()
TOY = {"by": "shift", "study": "toy_shifts", **KEPT}
display(show.side_by_side(show.plot_arms, toy, "auroc", **TOY))
show.in_both_runs(show.difference_sentence, toy, "importance_weighted", "source_only", "auroc", **TOY)

# %% tags=["nbval-ignore-output"]
display(show.plot_arms(toy, "brier", by="shift", labels=LABELS, title="this run: toy patients"))
show.difference_sentence(toy, "prior_adapted", "source_only", "brier", by="shift", labels=LABELS)

# %% [markdown]
# Under covariate shift the weighted model serves the group that the target is made of, and closes most of the distance
# to the model with target labels. Under label shift the ranking was right all the time, so AUROC has nothing to gain;
# the probabilities were wrong, and re-estimated class shares bring them close to those of the grey arm, without a
# single target label. Under concept shift the inputs look alike on both sides, neither remedy finds anything to do, and
# the grey arm shows how much is lost: here target labels are needed.
#
# **Choose the remedy by what stays the same**, and say why you believe that it does: the remedy for the one shift does
# nothing for the other. A distance between images does not help to choose. Covariate and label shift both move $P(x)$,
# and the distance cannot tell which of them did.
#
# ## Study 2: few labels and many images (C011)
#
# Within one domain there is a cheaper source of knowledge than another domain: the images that nobody has labelled.
# Three classical ways to use them:
#
# - **label spreading** lets labels diffuse from case to case, the faster the more alike two cases are;
# - **self-training** labels the pool with its own confident predictions and trains again;
# - a **mean teacher** asks a network to give the same answer as a slowly moving average of itself, whatever noise
#   falls on the input.
#
# All three bet on the same assumption: that cases close together belong together. If it fails, unlabelled data can do
# harm.
#
# The mean teacher takes few lines. The student follows the gradient of cross-entropy on labelled cases plus a
# *consistency cost* on all cases, the squared difference between its soft-max output and the teacher's. The teacher is
# never trained; after each step it becomes $\theta' \leftarrow \alpha\theta' + (1-\alpha)\theta$. The weight of the
# consistency cost ramps up slowly, because at first the teacher knows nothing.

# %%
reduce = pipeline.make_pipeline(
    preprocessing.StandardScaler(), decomposition.PCA(min(64, len(pool) - 1), random_state=0)
).fit(frozen["training"])
unit = reduce.transform(frozen["training"]).std()
P, V, T = (reduce.transform(frozen[name]).astype(float) / unit for name in ("training", "validation", "test"))


def as_set(features: np.ndarray, labels: np.ndarray) -> training.FeatureSet:
    return training.FeatureSet(
        torch.from_numpy(features).float().to(device), torch.from_numpy(labels.astype(np.int64)).to(device)
    )


def fresh_network(seed: int) -> torch.nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = torch.nn.Linear(P.shape[1], 64), torch.nn.ReLU(), torch.nn.Linear(64, archive.n_classes)
        return torch.nn.Sequential(*layers).to(device)


def mean_teacher_by_hand(known, more, config, noise: float, seed: int) -> torch.nn.Module:
    student, teacher = fresh_network(0), fresh_network(0)
    draw = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(
        student.parameters(), config.learning_rate, weight_decay=config.weight_decay
    )
    for step in range(config.steps):
        some = torch.randint(len(known), (config.batch_size,), generator=draw)
        others = torch.randint(len(more), (config.batch_size,), generator=draw)
        x = torch.cat([known.features[some.to(device)], more.features[others.to(device)]])
        ours = student(x + noise * torch.randn(x.shape, generator=draw).to(device))
        with torch.no_grad():
            theirs = teacher(x + noise * torch.randn(x.shape, generator=draw).to(device))
        ramp = np.exp(-5 * (1 - min(1, step / (config.ramp_up * config.steps))) ** 2)
        consistency = ((ours.softmax(1) - theirs.softmax(1)) ** 2).mean()
        loss = (
            torch.nn.functional.cross_entropy(ours[: len(some)], known.labels[some.to(device)])
            + config.consistency * ramp * consistency
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        alpha = config.ema_decay if step else 0.0
        for old, new in zip(teacher.parameters(), student.parameters(), strict=True):
            old.data.mul_(alpha).add_(new.data, alpha=1 - alpha)
    return teacher


few = data.nested_subset(archive.labels, pool, min(label_counts[0], len(pool)), 0)
known = as_set(P[np.searchsorted(pool, few)], archive.labels[few])
more = as_set(P, np.zeros(len(P)))
config = transfer.MeanTeacherConfig(steps=20)
ours = mean_teacher_by_hand(known, more, config, 0.5, seed=1)
noisy = transfer.gaussian_noise(0.5)
theirs = transfer.train_mean_teacher(
    fresh_network(0), known, more, None, config, perturb=noisy, seed=1
).teacher
assert all(
    torch.allclose(a, b, atol=1e-4) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True)
)
print("20 steps by hand and by the package: the same teacher")

# %% [markdown]
# Fairness again decides what the comparison means. All arms see the same frozen features, reduced to their main
# components *on the whole pool*, so even the supervised arms profit a little from unlabelled images. Each arm tries
# three values of its most important setting, and the same validation images choose. And the mean teacher is not
# compared with logistic regression, which is another model, but with **a network on the labels alone**: the same
# network, noise, averaging and number of steps, with the consistency cost at zero.


# %%
def spread(spreading, y: np.ndarray, f: np.ndarray) -> np.ndarray:
    """Probabilities; a case too far away for any label to reach it gets the shares of the labelled classes."""
    scores = spreading.predict_proba(f)
    unreached = ~np.isfinite(scores).all(axis=1)
    scores[unreached] = np.bincount(y, minlength=scores.shape[1]) / len(y)
    return scores


def candidates(arm: str, train: np.ndarray, rest: np.ndarray, seed: int):
    """Three fitted functions from features to probabilities, one for each value of the arm's main setting."""
    x, y = P[train], archive.labels[pool[train]]
    both, partly = np.concatenate([x, P[rest]]), np.concatenate([y, np.full(len(rest), -1)])
    for level in range(3):
        base = linear_model.LogisticRegression(C=(0.01, 0.1, 1)[level], max_iter=2000)
        if arm == "supervised":
            yield base.fit(x, y).predict_proba
        elif arm == "self_training":
            yield semi_supervised.SelfTrainingClassifier(base, threshold=0.8).fit(both, partly).predict_proba
        elif arm == "label_spreading":
            gamma = (0.1, 0.3, 1)[level] / evaluation.median_bandwidth(P[train], P[rest]) ** 2
            spreading = semi_supervised.LabelSpreading(kernel="rbf", gamma=gamma, max_iter=200)
            spreading.fit(both, partly)
            yield lambda f, fitted=spreading, y=y: spread(fitted, y, f)
        else:
            setting = {"consistency": 0.0, "weight_decay": (0.01, 0.1, 1.0)[level]}
            if arm == "mean_teacher":
                setting = {"consistency": (3.0, 10.0, 30.0)[level]}
            config = transfer.MeanTeacherConfig(steps=teacher_steps, **setting)
            known, more = as_set(x, y), as_set(P[rest], np.zeros(len(rest)))
            result = transfer.train_mean_teacher(
                fresh_network(seed),
                known,
                more,
                None,
                config,
                perturb=transfer.gaussian_noise(0.5),
                seed=seed,
            )
            yield lambda f, teacher=result.teacher: training.predict(
                teacher, as_set(f, np.zeros(len(f))), None
            )


def few_labels(arm: str, seed: int, n_labelled: int) -> dict:
    study.seed_everything(seed)
    train = np.searchsorted(pool, data.nested_subset(archive.labels, pool, n_labelled, seed))
    rest = np.setdiff1d(np.arange(len(pool)), train)
    with warnings.catch_warnings():
        # Self-training says when no prediction is confident; it then is supervised learning.
        warnings.simplefilter("ignore")
        found = candidates(arm, train, rest, seed)
        best = max(found, key=lambda p: evaluation.auroc(archive.labels[val], p(V)))
        scores = best(T)
    return {
        "auroc": evaluation.auroc(archive.labels[test], scores),
        "predictions": study.Predictions(cases=test, labels=archive.labels[test], scores=scores),
    }


# %% [markdown]
# *Does the unlabelled pool help?* By default nothing is trained here, since an effect of this size cannot be seen in
# half a minute; `train_few_labels` turns the study on. The seeds are paired, so the figure shows differences within each
# seed. The grey band is the register's smallest effect of interest: a difference inside it would not matter.

# %% tags=["nbval-ignore-output"]
PAIRS = [
    ("label_spreading", "supervised"),
    ("self_training", "supervised"),
    ("mean_teacher", "supervised_network"),
]
few = None
if train_few_labels:
    few = study.Study(
        "few_labels",
        trial=few_labels,
        arms=["supervised", "label_spreading", "self_training", "supervised_network", "mean_teacher"],
        seeds=range(seeds),
        factors={"n_labelled": label_counts},
        **shared,
    ).run()
few_kept = {"by": "n_labelled", "study": "few_labels", **KEPT}
display(show.side_by_side(show.plot_differences, few, PAIRS, "auroc", claim="C011", **few_kept))
show.in_both_runs(show.difference_sentence, few, *PAIRS[2], "auroc", **few_kept)

# %% [markdown]
# Two things to keep in mind when reading the figure. First, the features come from a network that has seen a million
# labelled photographs: much of what unlabelled images could teach about edges and textures is already in them, so
# there is less left to gain than in the papers, which trained from scratch. Second, the validation images are labelled
# as well: the settings were chosen with more labels than the training set has. Where labels are truly few, that is not
# possible.
#
# ## Verdicts
#
# What the reference run says about each statement. *Exploratory* means that the rule was written after its records were
# taken: new seeds or new images have to confirm it.

# %% tags=["nbval-ignore-output"]
show.statement_sentences(NOTEBOOK)

# %% [markdown]
# The rules of the register, applied to the records of this run. Identities and the toy study concern methods, and are
# settled by any run. Statements about medical images need medical images: phantoms never count as evidence for them,
# and fewer than five seeds never make a verdict.

# %% tags=["nbval-ignore-output"]
show.notebook_verdicts(NOTEBOOK)

# %% [markdown]
# ## What this does not show
#
# - **Placement is interpretation.** Code makes the scheme unambiguous once the four facts are given; the facts about each
#   cited method are our reading, in several cases from abstracts. Whether grey scans repeated over three channels share
#   a feature space with photographs is a convention.
# - **Distances depend on the eye.** Features of a network trained on photographs are one eye among many. A distance of
#   zero for this eye is no proof of equal distributions, and a large one may concern what no classifier uses.
# - **Ranking a dozen conditions is not sampling hospitals.** Within one seed the conditions share test images and a
#   model, so the correlation describes these shifts on this archive. With a gentler or a harsher choice it may differ.
# - **A change of source confounds.** Where the label's meaning changes with the hospital, "the loss of AUROC" is not a
#   failure to generalise but a different question being asked.
# - **The toy is a toy.** Eight cells and a linear model were chosen so that weighting matters. With a model that can
#   express both rules, covariate shift costs less and weighting gains less.
# - **Semi-supervised learning on frozen features** leaves out what its authors find most useful: strong augmentation of
#   images, and training all layers. A negative result here does not speak about that.
#
# ## Exercises
#
# Each exercise has a check that runs and says what is wrong. Set the answer, run the cell, and compare with the solution
# below it.
#
# **1. Place a method.** A segmentation network is trained on labelled CT volumes. It is then applied to MR volumes of
# which twenty are labelled as well, and fine-tuned on them; the organs are the same. Give the setting by its name.

# %%
answer_1 = None

check_1 = show.Check(
    1,
    wants='one of "inductive", "transductive", "unsupervised", "no transfer" and "outside the scheme"',
    expected=setting_of((ct, organs), (mr, organs)).name,
    misconceptions=[
        show.Misconception("inductive", "inductive transfer has another task; are the organs other ones?"),
        show.Misconception("transductive", "in transductive transfer no target labels are known; count them"),
        show.Misconception("unsupervised", "unsupervised transfer has no labels on either side"),
        show.Misconception("no transfer", "one of the two pairs differs: compare CT and MR"),
    ],
)
check_1(answer_1)

# %% tags=["solution"]
check_1("outside the scheme")  # same task, other domain, but target labels: supervised adaptation

# %% [markdown]
# **2. From error to distance and back.** A probe tells two hospitals apart with an accuracy of 85 %. Which proxy
# A-distance is that? Write the formula as a function of the accuracy.

# %%
answer_2 = None  # for example: lambda accuracy: ...

check_2 = show.Check(
    2,
    wants="a function of the accuracy that returns the proxy A-distance",
    cases=[((0.85,), 1.4), ((0.5,), 0.0), ((1.0,), 2.0), ((0.6,), 0.4)],
    misconceptions=[
        show.Misconception(lambda a: 2 * (1 - 2 * a), "the formula takes the error, which is 1 - accuracy"),
        show.Misconception(lambda a: 2 * a - 1, "the scale ends at 2, not at 1"),
        show.Misconception(lambda a: 2 * a, "guessing, an accuracy of one half, is a distance of 0"),
    ],
    hint="put error = 1 - accuracy into the formula",
)
check_2(answer_2)

# %% tags=["solution"]
check_2(lambda accuracy: 2 * (2 * accuracy - 1))

# %% [markdown]
# **3. Make a label shift.** From the table `SOURCE`, of shape (8, 2), make a target table in which 30 % of the patients
# are ill (column 1) and in which the ill look as they did, and so do the healthy.

# %%
answer_3 = None  # an array (8, 2)

check_3 = show.Check(
    3,
    wants="an array of shape (8, 2) that sums to 1, with .3 in its second column",
    expected=SOURCE / SOURCE.sum(axis=0) * [0.7, 0.3],
    misconceptions=[
        show.Misconception(SOURCE * [0.7, 0.3], "that sums to one half: divide each column by its sum first"),
        show.Misconception(SOURCE / SOURCE.sum(axis=0) * [0.3, 0.7], "column 0 holds the healthy"),
        show.Misconception(SOURCE.sum(axis=1, keepdims=True) * [0.7, 0.3], "now ill and healthy look alike"),
        show.Misconception(SOURCE / SOURCE.sum(axis=0), "each column is P(x|y) now; give it its share"),
    ],
    hint="P(x, y) = P(x|y) P(y): keep the first factor and change the second",
)
check_3(answer_3)

# %% tags=["solution"]
check_3(SOURCE / SOURCE.sum(axis=0) * np.array([0.7, 0.3]))

# %% [markdown]
# **4. How long is the teacher's memory?** With decay $\alpha$ the teacher is a weighted average of past students. Write
# the weight that the student of `k` steps ago has in it (`k = 0`: the newest), for a teacher that has run for long.

# %%
answer_4 = None  # for example: lambda alpha, k: ...

check_4 = show.Check(
    4,
    wants="a function of (alpha, k) that returns a weight",
    cases=[((0.9, 0), 0.1), ((0.9, 3), 0.0729), ((0.99, 0), 0.01), ((0.5, 2), 0.125)],
    misconceptions=[
        show.Misconception(lambda alpha, k: alpha**k, "the weights of all students must sum to 1"),
        show.Misconception(lambda alpha, k: alpha * (1 - alpha) ** k, "alpha weighs the old teacher"),
        show.Misconception(lambda alpha, k: (1 - alpha) * alpha ** (k + 1), "the newest has k = 0, not 1"),
    ],
    hint="write the update twice and look at the factor of the student before the last",
)
check_4(answer_4)

# %% tags=["solution"]
check_4(lambda alpha, k: (1 - alpha) * alpha**k)

# %% [markdown]
# ## References
#
# - Gu, C. (2024). Enhancing medical image classification with convolutional neural networks through transfer learning: a
#   comprehensive review. *Applied and Computational Engineering* 35, 280-284. The survey under test.
# - Pan, S. J., Yang, Q. (2010). A survey on transfer learning. *IEEE TKDE* 22(10), 1345-1359. Definition 1 and the scheme.
# - Weiss, K., Khoshgoftaar, T. M., Wang, D. (2016). A survey of transfer learning. *Journal of Big Data* 3, 9. Homogeneous
#   and heterogeneous transfer.
# - Guan, H., Liu, M. (2022). Domain adaptation for medical image analysis: a survey. *IEEE TBME* 69(3), 1173-1185. Not
#   among the survey's references.
# - Gretton, A. et al. (2012). A kernel two-sample test. *JMLR* 13, 723-773. Maximum mean discrepancy.
# - Ben-David, S. et al. (2007). Analysis of representations for domain adaptation. *NeurIPS*. Proxy A-distance.
# - Moreno-Torres, J. G. et al. (2012). A unifying view on dataset shift in classification. *Pattern Recognition* 45(1).
# - Shimodaira, H. (2000). Improving predictive inference under covariate shift by weighting the log-likelihood function.
#   *Journal of Statistical Planning and Inference* 90(2), 227-244.
# - Saerens, M., Latinne, P., Decaestecker, C. (2002). Adjusting the outputs of a classifier to new a priori probabilities:
#   a simple procedure. *Neural Computation* 14(1), 21-41. Label shift corrected by EM.
# - Lipton, Z., Wang, Y.-X., Smola, A. (2018). Detecting and correcting for label shift with black box predictors. *ICML*.
# - Bickel, S., Brückner, M., Scheffer, T. (2007). Discriminative learning for differing training and test distributions.
#   *ICML*. Weights from a classifier.
# - Zhou, D. et al. (2004). Learning with local and global consistency. *NeurIPS*. Label spreading.
# - Tarvainen, A., Valpola, H. (2017). Mean teachers are better role models. *NeurIPS*.
