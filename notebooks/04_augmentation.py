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
# # Augmentation: more images from the same images
#
# A lesion that is mirrored is still a lesion. Data augmentation turns such facts into training images: it changes an
# image in a way that, we believe, leaves its label true, and trains on the result. It costs nothing but a belief. This
# notebook builds the survey's four classes of augmentation, shows what each of them assumes, and then measures what
# they buy: against the same number of training steps on the same images, over seeds, with and without pretrained
# weights.
#
# **Afterwards you will be able to**
#
# 1. say for each transform what it assumes about the label, and find a task where the assumption is false;
# 2. write a rotation, an elastic warp and mixup yourself, and check that a warp does not fold;
# 3. compare a policy with its proper control, the same number of steps on repeated images;
# 4. separate three things that are often called one: a smaller gap, a better test score, more information;
# 5. say what augmentation adds to pretrained weights, and tell a sum of two gains from a synergy.
#
# You should know what a convolution, a training step and AUROC are (notebook 01), and what fine-tuning and a linear
# probe are (notebook 02). The methods take about forty minutes, the studies half an hour, the exercises a quarter.
#
# **The statements of the survey that this notebook tests**, in our own words and drawn from the register:

# %%
from medtl_core import reporting as show

show.statements_table("04_augmentation")

# %% [markdown]
# The rules behind these statements live in `claims.yaml`. Every study is shown twice: *this run* is what your machine
# measured with the parameters below, *reference* is a longer run on real images whose records come with the project.
#
# ## Parameters
#
# The defaults train a small network on sixty-four phantoms, with and without augmentation, and look at those networks
# under corruption; that is half a minute. `studies` names what else may be measured. What this run leaves out is
# shown from the reference.

# %% tags=["parameters"]
dataset: str = "phantoms"  # archive to learn from; a data set
domain: str = ""  # keep only this domain of the archive, empty for all of it; a domain
backbone: str = "tf_efficientnet_lite0"  # pretrained network of the factorial, by its timm name; a network
cut_after: str = "blocks.3.2"  # block after which the pretrained network ends, empty for all of it; any
image_size: int = 32  # pixels, side that images are brought to; 28 to 224
train_sizes: list[int] = [64]  # training images; all studies but one take the first size; 8 to 100000
val_size: int = 60  # validation images at most, used to choose the best epoch; 10 to 10000
test_size: int = 400  # test images at most, looked at once; 20 to 100000
seeds: int = 3  # random seeds, each with its own training subset and initialisation; 1 to 50
first_seed: int = 0  # the first of them; 0 to 100000
steps: int = 300  # optimiser steps of each training run at most, for every arm; 4 to 100000
patience: int = 100  # steps without a better epoch after which training ends, 0 for never; 0 to 100000
batch_size: int = 32  # images a step; 4 to 512
learning_rate: float = 0.003  # AdamW's learning rate, of every arm; 0.000001 to 0.1
arms: list[str] = ["basic"]  # policies of the first study, named in its section; any
studies: list[str] = [
    "transforms",
    "robustness",
]  # what is measured here, the rest is shown from the reference; any
pool: list[str] = [
    "phantoms_basic"
]  # ARCHIVE or ARCHIVE:DOMAIN of further images in the unlabelled pool; a source without labels

# %% [markdown]
# ## Set-up

# %% tags=["nbval-ignore-output"]
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import optuna
import pandas as pd
import torch
from scipy import ndimage, special
from sklearn import linear_model, preprocessing

# %% tags=["nbval-ignore-output"]
from medtl_core import augmentation as augment
from medtl_core import backbones as networks
from medtl_core import data, evaluation, evidence, study, training, truncation

show.use_style()
optuna.logging.set_verbosity(optuna.logging.WARNING)
policies = training.policies
NOTEBOOK = "04_augmentation"
LABELS = {
    "repeated": "the same images repeated",
    "basic": "basic: five transforms together",
    "flip": "flips",
    "rotation": "rotations",
    "scale": "changes of scale",
    "translation": "shifts",
    "crop": "crops",
    "gaussian_noise": "Gaussian noise",
    "blur": "blur",
    "intensity": "brightness",
    "gamma": "gamma",
    "contrast": "contrast",
    "elastic": "elastic maps",
    "bspline": "B-spline maps",
    "mixup": "mixup",
    "cutmix": "CutMix",
    "cutout": "cutout",
    "patch_swap": "swapped patches",
    "none": "no augmentation",
    "weak": "weak (.25)",
    "moderate": "moderate (.5)",
    "strong": "strong (1)",
    "n": "training images",
    "generalisation_gap": "training minus test AUROC",
    "shifted_auroc": "AUROC on corrupted test images",
    "log2_worth": "worth of augmentation (doublings)",
    "memorised": "accuracy on random labels",
    "log2_vendi": "effective number of images (log2)",
    "coverage": "share of held-out images that are covered",
    "severity": "severity",
    "corruption": "test images",
    "noise": "noise",
    "all_three": "pretrained, tuned, augmented",
    "no_pretraining": "without pretraining",
    "no_tuning": "without tuning (linear probe)",
    "no_augmentation": "without augmentation",
    "none_of_them": "random start, not augmented",
    "interaction": "gain together minus sum of the gains (AUROC)",
    "chosen": "chosen images",
    "random_images": "random images",
    "bayesian": "Bayesian optimisation",
    "random_search": "random search",
    "reinforced": "a policy found by reinforcement learning",
    "drawn": "the best of as many random policies",
    "chest_xray_64": "chest X-rays",
    "breast_ultrasound_128": "breast ultrasound",
    "white_blood_cells_96": "white blood cells",
}
STUDIES = [
    "transforms",
    "strength",
    "sizes",
    "memory",
    "robustness",
    "diversity",
    "sides",
    "factorial",
    "web",
    "policy_search",
]
study.require_known("studies", studies, STUDIES)
device = study.select_device()
study.seed_everything(0)
SEEDS = range(first_seed, first_seed + seeds)
print(f"{', '.join(studies)} on {dataset} at {image_size} px, {seeds} seeds, on {device}.")

# %% [markdown]
# ## The data

# %% tags=["nbval-ignore-output"]
archive = data.sources.load(dataset)
parts = data.require_measurable(
    archive, domain=domain or None, train_sizes=train_sizes, val_size=val_size, test_size=test_size
)
data.cards.card(archive, parts, data.sources.card(dataset))

# %% [markdown]
# *What do the classes look like, and what could be changed without changing the class?* Look for a direction that
# matters, a size, a grey level. Each of them will be a transform below.

# %% tags=["nbval-ignore-output"]
used = np.sort(np.concatenate([parts.train, parts.val, parts.test]))  # all images, or those of one domain
data.cards.contact_sheet(archive.subset(used), per_class=5, seed=0)

# %% [markdown]
# Patients stand on one side of the split only. A seed draws its own training subset and its own initial weights; all
# arms of a seed share both, so that their differences can be taken pair by pair.


# %%
def cases(part: str, n: int, seed: int) -> np.ndarray:
    """Cases for training (n of them), validation or test; test cases are the same for all seeds."""
    if part == "train":
        return data.nested_subset(archive.labels, parts.train, n, seed)
    which, most = (parts.val, val_size) if part == "val" else (parts.test, test_size)
    return data.nested_subset(archive.labels, which, min(most, len(which)), seed if part == "val" else 0)


def pixels(index: np.ndarray, values: np.ndarray | None = None) -> data.DeviceDataset:
    """The images of these cases (or `values` in their place), at the size that the network gets."""
    found = archive.subset(index) if values is None else replace(archive.subset(index), images=values)
    return data.DeviceDataset.from_archive(found, np.arange(len(index)), device, size=image_size)


TEST = cases("test", 0, 0)
CLASSES = archive.n_classes
pd.DataFrame(
    {"one seed's training images": np.bincount(archive.labels[cases("train", train_sizes[0], 0)], minlength=CLASSES),
     "test images": np.bincount(archive.labels[TEST], minlength=CLASSES)},
    index=pd.Index(archive.class_names, name="class"),
)  # fmt: skip

# %% [markdown]
# ## What augmentation assumes
#
# Call the image $x$, its label $y$ and the transform $t$. Augmentation trains on $(t(x), y)$ as if it were a further
# case. That is right if $P(y \mid t(x)) = P(y \mid x)$: the label must not depend on what $t$ changes. When it holds,
# the network is told something true about the task that a small data set cannot tell it. When it fails, the network
# is taught something false, and no amount of training repairs that. So the question before any transform is not "does
# it make the set larger" but "is it true here".
#
# There is a second condition, less often stated: $t(x)$ should look like an image that the network will meet. A chest
# X-ray upside down still shows pneumonia, but no radiograph arrives upside down, so capacity is spent on images that
# do not occur.
#
# Chlap and colleagues, whom the survey follows (C038), sort augmentation into four classes. The package declares for
# every transform what it assumes:

# %%
rows = [augment.describe(name) for name in augment.transform_names()]
show.TextTable(
    {
        "class": [row.kind for row in rows],
        "transform": [row.name.replace("_", " ") for row in rows],
        "strength 1 means": [row.strength for row in rows],
        "it assumes that": [row.assumption for row in rows],
    }
)

# %% [markdown]
# *What do they look like?* Each row is one transform of the same image, from nothing on the left to full strength on
# the right. Ask of every row: would I give this image the same label?

# %% tags=["nbval-ignore-output"]
drawn = cases("train", train_sizes[0], 0)
one_of_each = [drawn[archive.labels[drawn] == k] for k in (0, 1)]
example = pixels(np.array([one_of_each[0][0], one_of_each[1][0], one_of_each[0][1], one_of_each[1][1]]))
look = example.images.float() / 255
basic_and_deformable = augment.transform_names("basic") + augment.transform_names("deformable")
augment.examples_sheet(look, basic_and_deformable, strengths=[0.25, 0.5, 1.0], seed=0)

# %% [markdown]
# Three things are easy to overlook in such a sheet. A transform that *interpolates* also blurs, so that a rotation by a
# few degrees removes fine texture as well as a fixed orientation. A transform that brings in pixels from *outside* has
# to invent them: here the border is repeated, and where it is bright, streaks are its trace. And a transform that
# changes grey values is harmless only where grey values mean nothing. In CT they are Hounsfield units, a physical
# quantity, and water is always 0; in MRI they are arbitrary, and an augmentation of brightness tells the network just
# that.
#
# ## A rotation, by hand
#
# A geometric transform does not move pixels. It asks, for every pixel of the *output*, where in the input it comes
# from, and interpolates there. For a rotation by the angle $a$ about the centre $c$ the answer is
# $q = c + R(a)\,(p - c)$. Going backwards leaves no holes, and several transforms can be multiplied as matrices first,
# so that the image is resampled, and blurred, once.


# %%
def rotate_by_hand(image: np.ndarray, degrees: float) -> np.ndarray:
    """The image turned anticlockwise about its centre; what comes in from outside repeats the border."""
    a, centre = np.deg2rad(degrees), (np.array(image.shape) - 1) / 2
    backwards = np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])  # rows, then columns
    return ndimage.affine_transform(image, backwards, centre - backwards @ centre, order=1, mode="nearest")


corner = np.zeros((5, 5))
corner[0, 4] = 1.0  # top right
print(
    "a quarter turn anticlockwise takes the top right corner to the top left:",
    rotate_by_hand(corner, 90)[0, 0] > 0.99,
)
grey = look[0, 0].cpu().numpy()
show.strip(
    [grey, rotate_by_hand(grey, 15), rotate_by_hand(grey, 30), grey[:, ::-1]],
    ["as it is", "turned by 15 degrees", "by 30 degrees", "mirrored"],
)

# %% [markdown]
# ## Elastic maps, and when a map folds (C042)
#
# *Deformable* transforms bend the image. Simard and colleagues (2003) draw a displacement for every pixel from a
# uniform distribution, smooth it with a Gaussian of width $\sigma$, and multiply it by $\alpha$. Neighbouring pixels
# then move together, as soft tissue does.
#
# Too strong a displacement *folds*: two places of the body land on one pixel, in an order that no anatomy has. The
# test is the determinant of the Jacobian of $p \mapsto p + u(p)$, the local change of area. One means no change, below
# zero means that the map has turned over.


# %%
def elastic_by_hand(side: int, sigma: float, alpha: float, rng: np.random.Generator) -> np.ndarray:
    """Displacement (2, side, side), x then y, in pixels (Simard et al. 2003)."""
    noise = rng.uniform(-1, 1, (2, side, side))
    return alpha * ndimage.gaussian_filter(noise, (0, sigma, sigma), mode="constant")


def smallest_determinant(displacement: np.ndarray) -> float:
    return float(augment.jacobian_determinant(torch.from_numpy(displacement[None])).min())


SIDE = 56
rng = np.random.default_rng(0)
unit = elastic_by_hand(SIDE, sigma=8.0, alpha=1.0, rng=rng)
amounts = [0.0, 60.0, 136.0, 400.0]
table = {
    "alpha": amounts,
    "smallest determinant": [round(smallest_determinant(a * unit), 2) for a in amounts],
}
show.TextTable(table)

# %% [markdown]
# *Where does it fold?* The grid shows what the map does to straight lines; where they cross, it has folded.

# %% tags=["nbval-ignore-output"]
figure, axes = plt.subplots(1, 3, figsize=(9.6, 3.3))
rows_, columns_ = np.mgrid[:SIDE, :SIDE].astype(float)
for axis, alpha in zip(axes, amounts[1:], strict=True):
    x, y = columns_ + alpha * unit[0], rows_ + alpha * unit[1]
    for line in range(0, SIDE, 5):
        axis.plot(x[line], y[line], color="0.35", linewidth=0.8)
        axis.plot(x[:, line], y[:, line], color="0.35", linewidth=0.8)
    least = smallest_determinant(alpha * unit)
    axis.set_title(f"alpha {alpha:g}: smallest determinant {least:.2f}", fontsize=10)
    axis.set_aspect("equal")
    axis.invert_yaxis()
    axis.axis("off")
plt.tight_layout()
plt.show()

# %% [markdown]
# The package shrinks a field that folds until it no longer does. The identity below is recorded: over many draws at
# the strength that the studies use, neither elastic nor B-spline maps fold.

# %%
for name, make in {"elastic": augment.elastic, "bspline": augment.bspline}.items():
    field = make(64, (48, 48), 0.5, look, torch.Generator().manual_seed(0))
    least = float(augment.jacobian_determinant(field).min())
    evidence.record_check(NOTEBOOK, f"{name}_smallest_jacobian", least)
    print(f"{name}: smallest determinant above 0 in 64 maps: {least > 0}")

# %% [markdown]
# ## Mixing images and labels
#
# The third class does not keep the label; it changes it. *Mixup* (Zhang et al. 2018) averages two images and their
# one-hot labels with the same weight: $\tilde x = w\,x_1 + (1 - w)\,x_2$, $\tilde y = w\,y_1 + (1 - w)\,y_2$. *CutMix*
# (Yun et al. 2019) pastes a rectangle of one image into the other and weighs the labels by area. The loss becomes the
# cross-entropy against a soft target, $-\sum_k \tilde y_k \log p_k$.


# %%
def mixup_by_hand(x: torch.Tensor, y: torch.Tensor, partner: torch.Tensor, w: torch.Tensor) -> tuple:
    """Images (N, C, H, W) and targets (N, K), each mixed with its partner by the weights w (N,)."""
    return (
        w[:, None, None, None] * x + (1 - w[:, None, None, None]) * x[partner],
        w[:, None] * y + (1 - w[:, None]) * y[partner],
    )


one_hot = torch.nn.functional.one_hot(example.labels, CLASSES).float()
mixed, soft = mixup_by_hand(look, one_hot, torch.tensor([1, 0, 3, 2]), torch.full((4,), 0.7))
assert torch.allclose(soft.sum(1), torch.ones(4))
draw = torch.Generator().manual_seed(1)
pasted = augment.AugmentationPolicy((augment.transform("cutmix", 1.0),))(look, one_hot, generator=draw)
assert torch.allclose(pasted.targets.sum(1), torch.ones(4))
names = archive.class_names
show.strip(
    [*(each[0, 0].cpu().numpy() for each in (look, mixed)), *(each[0].cpu().numpy() for each in pasted.images[:2])],
    ["one image", *(f"{title}: " + ", ".join(f"{value:.2f} {name}" for name, value in zip(names, target, strict=True))
     for title, target in (("mixup", soft[0].tolist()), ("CutMix", pasted.targets[0].tolist()),
                           ("CutMix", pasted.targets[1].tolist())))],
)  # fmt: skip

# %% [markdown]
# A mixed image belongs to no patient. Its use is of another kind: it asks the network to be linear between cases, and
# so keeps it from being too sure. Medical images raise an objection: a quarter of a lesion is not a quarter of a
# diagnosis. For CutMix the pasted area may hold all of the lesion or none. The studies will say whether it matters.
#
# The fourth class, *deep*, replaces images by those of a generator. Notebook 05 trains generators; here is only the
# place where one plugs in, `augment.Generator`.
#
# ## A policy is data
#
# A list of transforms with strengths and probabilities is a *policy*. Written as data it can be stored, compared and
# searched. The five transforms of `basic`, the policy of most studies:

# %%
POLICY = """
- {name: flip, strength: 1.0}
- {name: rotation, strength: 0.5}
- {name: scale, strength: 0.5}
- {name: translation, strength: 0.5}
- {name: intensity, strength: 0.5}
"""
BASIC = augment.AugmentationPolicy.from_yaml(POLICY)
first = BASIC(look, one_hot, generator=torch.Generator().manual_seed(5))
again = BASIC(look, one_hot, generator=torch.Generator().manual_seed(5))
print("the same seed gives the same batch:", torch.equal(first.images, again.images))
print("each image has its own draw:", not torch.allclose(*BASIC(look[[0, 0]], one_hot[[0, 0]], generator=torch.Generator().manual_seed(5)).images))  # fmt: skip

# %% [markdown]
# *How strong is strong?* Move the slider. Where no front end is running, the picture shows three strengths side by
# side.

# %% tags=["nbval-ignore-output"]
FULL_STRENGTH = [{**entry, "strength": 1.0} for entry in BASIC.to_dict()]
augment.strength_slider(look[0], augment.AugmentationPolicy.from_dict(FULL_STRENGTH), seed=1)

# %% [markdown]
# Training with a policy changes one line of the loop: between drawing a batch and normalising it, the batch is
# augmented. At strength zero nothing may change at all. That is worth a test, because an augmentation that also
# changes the order of the batches or the initial weights would compare two experiments, not two policies.

# %%
nothing = BASIC.scaled(0.0)
few = pixels(cases("train", 16, 0))
config = training.FitConfig(epochs=2, batch_size=8)
losses = []
for changed in (None, nothing.batch):
    model = networks.small_cnn(num_classes=CLASSES, seed=0)
    done = training.fit(
        model.network, policies.FULL, few, few, model.normalisation, config, seed=0, augmentation=changed
    )
    losses.append([epoch["train_loss"] for epoch in done.history])
identity_gap = evidence.record_check(
    NOTEBOOK, "strength_zero_loss_gap", float(np.abs(np.subtract(*losses)).max()), dataset=dataset
)
print("at strength 0 the training is the same as without augmentation:", identity_gap < 1e-5)

# %% [markdown]
# ## The study: what does each transform buy? (C034 to C041)
#
# The control matters more than the method. Augmentation is often compared with training that ends after the same
# number of *epochs over the original images*, while the augmented set counts as five times as large: five times the
# steps. Here every arm makes the same number of optimiser steps on batches of the same size. The control, `repeated`,
# sees the same images again and again; a policy sees each of them changed. Whatever differs is due to the change.
#
# The network is small and trained from nothing, on few images, which is where augmentation should help most. All arms
# share one learning rate; the best epoch is chosen on validation images that nothing augments.


# %% tags=["nbval-ignore-output"]
def one(name: str, strength: float) -> augment.AugmentationPolicy:
    return augment.AugmentationPolicy((augment.transform(name, strength),))


POLICIES = {
    "repeated": augment.AugmentationPolicy(),
    "basic": BASIC,
    "weak": BASIC.scaled(0.5),
    "moderate": BASIC,
    "strong": augment.AugmentationPolicy.from_dict(FULL_STRENGTH),
    "flip": one("flip", 1.0),
    "mixup": one("mixup", 1.0),
    "cutmix": one("cutmix", 1.0),
    "gaussian_noise": one("gaussian_noise", 1.0),
    **{name: one(name, 0.5) for name in ["rotation", "scale", "translation", "crop", "blur", "intensity", "gamma",
                                         "contrast", "elastic", "bspline", "cutout", "patch_swap"]},
}  # fmt: skip
study.require_known(
    "arms", arms, [name for name in POLICIES if name not in ("repeated", "weak", "moderate", "strong")]
)
SHIFTS = {"noise": [2, 4], "blur": [2, 4], "gamma": [2, 4]}  # corruptions of the test images, by severity


def config_for(n: int) -> training.FitConfig:
    batches = -(-n // batch_size)
    return training.FitConfig(
        epochs=max(2, -(-steps // batches)),
        batch_size=batch_size,
        learning_rate=learning_rate,
        patience=-(-patience // batches) or None,
    )


def corrupted(kind: str, severity: int) -> data.DeviceDataset:
    """The test images under a corruption, as a scanner of another quality would show them."""
    return pixels(TEST, data.corruptions.corrupt(archive.images[TEST], kind, severity))


@study.Study.artifact
def fitted(policy: str, n: int, seed: int) -> dict:
    """A small network trained on n images under a policy; its scores on test, corrupted test and training images."""
    model = networks.small_cnn(num_classes=CLASSES, seed=seed)
    train, val, test = (pixels(cases(part, n, seed)) for part in ("train", "val", "test"))
    changed = POLICIES[policy].batch if POLICIES[policy].transforms else None
    config = config_for(n)
    done = training.fit(
        model.network, policies.FULL, train, val, model.normalisation, config, seed=seed, augmentation=changed
    )
    under = {
        f"{kind} {severity}": training.predict(model.network, corrupted(kind, severity), model.normalisation)
        for kind, severities in SHIFTS.items()
        for severity in severities
    }
    return {
        "scores": training.predict(model.network, test, model.normalisation),
        "train_scores": training.predict(model.network, train, model.normalisation),
        "best_step_share": np.array(done.best_epoch / config.epochs),
        **under,
    }


DIRECTIONS = {
    **dict.fromkeys(["auroc", "accuracy", "shifted_auroc", "train_auroc", "log2_worth", "log2_vendi", "coverage"],
                    "higher"),
    **dict.fromkeys(["interaction", "in_domain", "val_auroc"], "higher"),
    **dict.fromkeys(["generalisation_gap", "best_step_share", "memorised", "brier", "log2_worth_censored"], "lower"),
}  # fmt: skip
place = {
    "notebook": NOTEBOOK,
    "seeds": SEEDS,
    "data": archive,
    "source_domain": domain,
    "target_domain": domain,
    "n_test": len(TEST),
    "directions": DIRECTIONS,
}


def measured(found: dict, n: int, seed: int) -> dict:
    """AUROC on test, corrupted test and training images, and where in its budget the best epoch lay."""
    truth, own = archive.labels[TEST], archive.labels[cases("train", n, seed)]
    test, on_train = evaluation.auroc(truth, found["scores"]), evaluation.auroc(own, found["train_scores"])
    return {
        "auroc": test,
        "train_auroc": on_train,
        "generalisation_gap": on_train - test,
        "best_step_share": float(found["best_step_share"]),
        "predictions": study.Predictions(cases=TEST, labels=truth, scores=found["scores"]),
    }


def transform_trial(arm: str, seed: int) -> dict:
    """One policy at the smallest size."""
    return measured(fitted(arm, train_sizes[0], seed), train_sizes[0], seed)


TRANSFORMS = {"notebook": NOTEBOOK, "study": "transforms", "labels": LABELS}
transforms = None
if "transforms" in studies:
    transforms = study.Study("transforms", trial=transform_trial, arms=["repeated", *arms], **place).run()
show.side_by_side(show.plot_arms, transforms, "auroc", **TRANSFORMS)

# %% [markdown]
# The dots are single seeds, the bars 95 % intervals of the mean. Since all arms of a seed share their images, the
# differences within seeds are more exact than the two means are:

# %% tags=["nbval-ignore-output"]
kept = show.reference_records(NOTEBOOK, "transforms")
if transforms is not None:
    pairs = [(arm, "repeated") for arm in arms]
    display(show.plot_differences(transforms, pairs, "auroc", claim="C039", labels=LABELS, title="this run"))
if kept is not None:
    tested = [arm for arm in POLICIES if arm in set(kept["arm"])]
    named = {"control": "repeated", "arms": tested, "labels": LABELS, "title": "reference"}
    display(show.plot_grid(kept, "auroc", **named))

# %% tags=["nbval-ignore-output"]
show.in_both_runs(show.difference_sentence, transforms, "basic", "repeated", "auroc", **TRANSFORMS)

# %% [markdown]
# The phantoms are drawn so that position, orientation and size carry no label: a world in which every assumption of
# `basic` is true. Patients are not such a world. There the lung is always in the same place and the ultrasound beam
# always comes from above, so that the same policy has less to give.
#
# *Has every arm been trained long enough?* A policy makes the task harder and the training slower. If its best epoch
# lay at the end of the budget, a longer training would have helped it more than its control.

# %% tags=["nbval-ignore-output"]
for table_of in (transforms, kept):
    if table_of is not None:
        display(show.convergence_table(table_of, by=None, labels=LABELS))

# %% [markdown]
# ### How much is too much? (C037)
#
# The survey says that augmentation brings a model to its *best* performance. A transform at strength zero does
# nothing, and at a large enough strength it destroys the image; in between lies a best strength. The statement is
# about how `none`, `weak`, `moderate` and `strong` compare; all strengths of `basic` grow together.


# %% tags=["nbval-ignore-output"]
def strength_trial(arm: str, seed: int) -> dict:
    """The policy `basic` at one of four strengths."""
    return transform_trial("repeated" if arm == "none" else arm, seed)


MEASURES = {
    **dict.fromkeys(
        ["strength", "robustness", "sides", "combined", "initialisation", "tuning", "augmented"], ["auroc"]
    ),
    "policy_search": ["auroc"],
    "sizes": ["auroc", "generalisation_gap", "shifted_auroc"],
    "memory": ["memorised"],
    "diversity": ["log2_vendi", "coverage"],
    "synergy": ["interaction"],
    "web": ["auroc", "generalisation_gap"],
    "search": ["auroc", "generalisation_gap"],
}  # what each study is about, whether this run measures it or not


def run_if(name: str, trial, arms: list[str], part_of: str = "", **options) -> pd.DataFrame | None:
    """The study's records if `studies` asks for it, else None: the reference then stands alone."""
    found = study.Study(name, trial=trial, arms=arms, **place, **options)
    if (part_of or name) in studies:
        return found.run()
    found.declare(MEASURES[name])
    return None


DOSES = ["none", "weak", "moderate", "strong"]
strengths = run_if("strength", strength_trial, DOSES)
show.side_by_side(
    show.plot_arms, strengths, "auroc", arms=DOSES, notebook=NOTEBOOK, study="strength", labels=LABELS
)

# %% [markdown]
# ### Does it prevent overfitting, and what is it worth in images? (C034, C036, I09)
#
# Three statements share these networks. *Overfitting* is read off the gap between training and test AUROC. "Reduces"
# asks for a smaller gap; "prevents", the survey's word, asks for next to none. *Generalises* (I09) asks for a better
# score on test images, and on test images under another contrast, optics and noise.
#
# *Larger* is measured in the only unit that counts: how many real images would have done the same? Read the control's
# learning curve where it reaches the AUROC of `basic` at the smallest size. One doubling means that augmentation was
# worth as many images again as there were. Points at 0 and at the right end are bounds: a policy that harms also counts
# as 0, so the mean cannot show harm.


# %% tags=["nbval-ignore-output"]
def size_trial(arm: str, seed: int, n: int) -> dict:
    found = fitted(arm, n, seed)
    truth = archive.labels[TEST]
    under = [
        evaluation.auroc(truth, found[f"{kind} {level}"])
        for kind, levels in SHIFTS.items()
        for level in levels
    ]
    return {**measured(found, n, seed), "shifted_auroc": float(np.mean(under))}


def worth(arm: str, seed: int) -> dict:
    """Doublings of the training set that would bring the control to this arm's AUROC at the smallest size."""

    def test(policy: str, n: int) -> float:
        return evaluation.auroc(archive.labels[TEST], fitted(policy, n, seed)["scores"])

    curve = [test("repeated", n) for n in train_sizes]
    need, censored = evaluation.labels_needed(test(arm, train_sizes[0]), train_sizes, curve)
    return {"log2_worth": np.log2(need / train_sizes[0]), "log2_worth_censored": float(censored)}


sizes = run_if("sizes", size_trial, ["repeated", "basic"], factors={"n": train_sizes})
worths = None
if sizes is not None and len(train_sizes) > 1:
    worths = study.Study("worth", trial=worth, arms=["basic"], **place).run()
SIZES = {"notebook": NOTEBOOK, "study": "sizes", "labels": LABELS}
for metric in ("auroc", "generalisation_gap", "shifted_auroc"):
    display(show.side_by_side(show.plot_curves, sizes, metric, "n", x_scale="log2", **SIZES))

# %% tags=["nbval-ignore-output"]
show.side_by_side(show.plot_arms, worths, "log2_worth", notebook=NOTEBOOK, study="worth", labels=LABELS)

# %% [markdown]
# A gap can shrink in two ways: the test score rises, or the training score falls. Only the first is a gain. That is
# why the register asks for both, and why a regulariser that merely makes training harder does not pass.
#
# *Can the network still memorise?* The classic test (Zhang et al. 2017) gives random labels to the training images.
# Nothing can be learnt about them; whatever accuracy is reached is memory.


# %% tags=["nbval-ignore-output"]
def memory(arm: str, seed: int) -> dict:
    """Accuracy on training images whose labels were shuffled: memory and nothing else."""
    n = train_sizes[0]
    model = networks.small_cnn(num_classes=CLASSES, seed=seed)
    train = pixels(cases("train", n, seed))
    shuffled = data.DeviceDataset(
        train.images, train.labels[torch.randperm(n, generator=torch.Generator().manual_seed(seed))]
    )
    changed = POLICIES[arm].batch if POLICIES[arm].transforms else None
    training.fit(model.network, policies.FULL, shuffled, shuffled, model.normalisation, config_for(n), seed=seed,
                 augmentation=changed)  # fmt: skip
    scores = training.predict(model.network, shuffled, model.normalisation)
    return {"memorised": float((scores.argmax(1) == shuffled.labels.cpu().numpy()).mean())}


memories = run_if("memory", memory, ["repeated", "basic"])
show.side_by_side(show.plot_arms, memories, "memorised", notebook=NOTEBOOK, study="memory", labels=LABELS)

# %% [markdown]
# ### Does noise in training make a classifier robust? (C041)
#
# "Robust" needs an object: against *what*? The networks from above look at test images that are noisy, blurred, or of
# another gamma. A network trained on noise has been told about noise. Whether it also withstands blur is the question
# that decides if "robust" is the right word. The default run trains no network on noise, so look at the reference; with
# `gaussian_noise` among `arms` your own run has one, too.


# %% tags=["nbval-ignore-output"]
def robust(arm: str, seed: int, corruption: str, severity: int) -> dict:
    scores = fitted(arm, train_sizes[0], seed)[f"{corruption} {severity}"]
    return {"auroc": evaluation.auroc(archive.labels[TEST], scores)}


robust_arms = ["repeated", *(arm for arm in ("gaussian_noise", "basic") if arm in arms)]
robustness = run_if("robustness", robust, robust_arms,
                    factors={"corruption": list(SHIFTS), "severity": [2, 4]})  # fmt: skip
show.side_by_side(
    show.plot_arms, robustness, "auroc", by="corruption", average_over=["severity"],
    notebook=NOTEBOOK, study="robustness", labels=LABELS,
)  # fmt: skip

# %% [markdown]
# ### More diverse, but in what sense? (C040)
#
# The survey says that basic transforms make the data more diverse. Two measures, both in the feature space of a
# pretrained network. The *Vendi score* (Friedman and Dieng 2023) is the effective number of different images: the
# exponential of the entropy of the eigenvalues of the similarity matrix. Copies do not raise it. Features are first
# brought to mean 0 and standard deviation 1 over the held-out images, since raw features all point the same way and
# would make any set look like one image. *Coverage* (Naeem et
# al. 2020) is the share of held-out images with a training image nearer than their own fifth neighbour. The first
# says that the images differ, the second that they differ in a useful direction.


# %% tags=["nbval-ignore-output"]
def vendi(features: np.ndarray) -> float:
    """Effective number of different rows of (N, D), between 1 and N (cosine similarity)."""
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    share = np.clip(np.linalg.eigvalsh(unit @ unit.T / len(unit)), 1e-12, None)
    return float(np.exp(-(share * np.log(share)).sum()))


def coverage(made: np.ndarray, held_out: np.ndarray, k: int = 5) -> float:
    """Share of the held-out rows with a made row nearer than their own k-th neighbour."""

    def distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.sqrt(np.maximum((a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T, 0))

    radius = np.sort(distance(held_out, held_out), axis=1)[:, k]
    return float((distance(held_out, made).min(axis=1) < radius).mean())


assert np.isclose(vendi(np.eye(4)), 4)
assert np.isclose(vendi(np.ones((4, 3))), 1)
COPIES = 4


def deep_features(values: torch.Tensor) -> np.ndarray:
    """Pooled features (N, D) of images (N, C, H, W) in 0 to 1, in the pretrained network."""
    model = networks.build(backbone, num_classes=CLASSES, pretrained=True, seed=0)
    model = truncation.truncate(model, cut_after, num_classes=CLASSES, seed=0) if cut_after else model
    bytes_ = (values * 255).round().clamp(0, 255).to(torch.uint8)
    labels = torch.zeros(len(bytes_), dtype=torch.int64, device=bytes_.device)
    return training.FeatureSet.of(model, data.DeviceDataset(bytes_, labels)).features.cpu().numpy()


def diversity(arm: str, seed: int) -> dict:
    """Diversity of the training images and four further versions of each."""
    train = pixels(cases("train", train_sizes[0], seed))
    x = train.images.float() / 255
    y = torch.nn.functional.one_hot(train.labels, CLASSES).float()
    draw = torch.Generator(x.device).manual_seed(seed)
    made = torch.cat([x, *(POLICIES[arm](x, y, generator=draw).images for _ in range(COPIES))])
    held_out = pixels(cases("test", 0, 0)).images.float() / 255
    scale = preprocessing.StandardScaler().fit(outside := deep_features(held_out))
    features, outside = scale.transform(deep_features(made)), scale.transform(outside)
    return {"log2_vendi": np.log2(vendi(features)), "coverage": coverage(features, outside)}


diverse = run_if("diversity", diversity, ["repeated", "basic", "elastic", "mixup"])
DIVERSITY = {"notebook": NOTEBOOK, "study": "diversity", "labels": LABELS}
for metric in ("log2_vendi", "coverage"):
    display(show.side_by_side(show.plot_arms, diverse, metric, **DIVERSITY))

# %% [markdown]
# Neither measure looks at labels. A policy can raise both and still harm, by adding images that are different and wrong,
# and it can help without raising either. So diversity is a description of the images, and the AUROC above is the test.
#
# ### A task that a flip destroys (C039, R02)
#
# Here is the assumption of a flip, broken on purpose. Half of the images are mirrored, and the class is whether an
# image was mirrored. Chest X-rays allow this, because the heart lies on one side. A network that trains with flips is
# told that both classes are the same.


# %% tags=["nbval-ignore-output"]
def mirrored_half(part: str, seed: int) -> data.DeviceDataset:
    """Images of a part, every second one mirrored; the label says which."""
    found = pixels(cases(part, train_sizes[-1], seed))
    turned = torch.arange(len(found)) % 2
    images = found.images.clone()
    images[turned == 1] = images[turned == 1].flip(-1)
    return data.DeviceDataset(images, turned.to(found.labels.device))


def side_trial(arm: str, seed: int) -> dict:
    model = networks.small_cnn(num_classes=2, seed=seed)
    train, val, test = (mirrored_half(part, seed) for part in ("train", "val", "test"))
    changed = POLICIES[arm].batch if POLICIES[arm].transforms else None
    training.fit(model.network, policies.FULL, train, val, model.normalisation, config_for(len(train)), seed=seed,
                 augmentation=changed)  # fmt: skip
    scores = training.predict(model.network, test, model.normalisation)
    return {"auroc": evaluation.auroc(test.labels.cpu().numpy(), scores)}


sides = run_if("sides", side_trial, ["repeated", "flip"])
show.side_by_side(show.plot_arms, sides, "auroc", notebook=NOTEBOOK, study="sides", labels=LABELS)

# %% [markdown]
# Read the two arms together. The control shows that the task can be learnt from these images at all; without it, a
# result near one half would only say that the network is too small. The example is made up, and the mistake is not.
# Left and right matter in every report on paired organs, in the position of the heart, and in dextrocardia above all.
#
# ## With or without pretrained weights? (C030, C031, C081)
#
# The survey says that pretraining, fine-tuning and augmentation each help, and that they work "collectively" and in
# "synergy". Two by two by two arms decide: start from pretrained or random weights; tune everything or only a linear
# head; augment or repeat. A random start that is tuned is the small network of the studies above, since nobody would
# train the large one from nothing on so few images. A linear probe sees a fixed number of augmented versions of each
# image, under the same penalty per case as the probe that sees each image once.
#
# *Synergy* is a claim about an interaction: together the two must gain **more than the sum** of what each gains alone.
# If augmentation tells the network something that pretrained weights already know, the interaction is negative, and
# the two replace each other. Under full tuning the random start is another, smaller network. So the interaction also
# compares two architectures.


# %% tags=["nbval-ignore-output"]
VERSIONS = 8  # augmented versions of each image that a linear probe is trained on


def body(start: str, seed: int) -> networks.Backbone:
    model = networks.build(backbone, num_classes=CLASSES, pretrained=start == "pretrained", seed=seed)
    return truncation.truncate(model, cut_after, num_classes=CLASSES, seed=seed) if cut_after else model


@study.Study.artifact
def corner_of(start: str, tuning: str, policy: str, seed: int) -> dict:
    """Scores on the test images of one corner of the factorial, and where in the budget the best epoch lay."""
    n = train_sizes[0]
    changed = POLICIES[policy].batch if POLICIES[policy].transforms else None
    if (start, tuning) == ("random", "full"):
        found = fitted(policy, n, seed)
        return {name: found[name] for name in ("scores", "best_step_share")}
    model, config = body(start, seed), config_for(n)
    train, val, test = (pixels(cases(part, n, seed)) for part in ("train", "val", "test"))
    if tuning == "full":
        done = training.fit(
            model.network,
            policies.FULL,
            train,
            val,
            model.normalisation,
            config,
            seed=seed,
            augmentation=changed,
        )
        return {"scores": training.predict(model.network, test, model.normalisation),
                "best_step_share": np.array(done.best_epoch / config.epochs)}  # fmt: skip
    if changed is not None:
        x, y = train.images.float() / 255, torch.nn.functional.one_hot(train.labels, CLASSES).float()
        draw = torch.Generator(x.device).manual_seed(seed)
        made = torch.cat([POLICIES[policy](x, y, generator=draw).images for _ in range(VERSIONS)])
        bytes_ = (made * 255).round().clamp(0, 255).to(torch.uint8)
        train = data.DeviceDataset(bytes_, train.labels.repeat(VERSIONS))
    features, held = (training.FeatureSet.of(model, each) for each in (train, test))
    scale = preprocessing.StandardScaler().fit(features.features.cpu().numpy())
    # the loss is a sum over rows: without n / rows, augmented images would be penalised less per case
    probe = linear_model.LogisticRegression(C=0.01 * n / len(train), max_iter=2000)
    probe.fit(scale.transform(features.features.cpu().numpy()), features.labels.cpu().numpy())
    return {"scores": probe.predict_proba(scale.transform(held.features.cpu().numpy())),
            "best_step_share": np.array(0.0)}  # fmt: skip


def corner_auroc(start: str, tuning: str, policy: str, seed: int) -> dict:
    found = corner_of(start, tuning, policy, seed)
    truth = archive.labels[TEST]
    return {
        "auroc": evaluation.auroc(truth, found["scores"]),
        "best_step_share": float(found["best_step_share"]),
        "predictions": study.Predictions(cases=TEST, labels=truth, scores=found["scores"]),
    }


CORNERS = {
    "all_three": ("pretrained", "full", "basic"),
    "no_pretraining": ("random", "full", "basic"),
    "no_tuning": ("pretrained", "probe", "basic"),
    "no_augmentation": ("pretrained", "full", "repeated"),
    "none_of_them": ("random", "full", "repeated"),
}


def combined(arm: str, seed: int) -> dict:
    return corner_auroc(*CORNERS[arm], seed)


corners = run_if("combined", combined, list(CORNERS), part_of="factorial")
COMBINED = {"notebook": NOTEBOOK, "study": "combined", "labels": LABELS}
show.side_by_side(show.plot_arms, corners, "auroc", **COMBINED)


# %% [markdown]
# *Main effects and the interaction.* A main effect is the difference that one factor makes, averaged over the other
# two. The interaction is taken seed by seed: what both gain together, minus what each gains alone.


# %% tags=["nbval-ignore-output"]
def by_start(arm: str, seed: int, tuning: str, policy: str) -> dict:
    return corner_auroc(arm, tuning, policy, seed)


def by_tuning(arm: str, seed: int, start: str, policy: str) -> dict:
    return corner_auroc(start, arm, policy, seed)


def by_policy(arm: str, seed: int, start: str, tuning: str) -> dict:
    return corner_auroc(start, tuning, arm, seed)


def synergy(arm: str, seed: int) -> dict:
    """(pretrained and augmented - pretrained) - (augmented - neither), in AUROC, for one way of tuning."""
    gains = [
        corner_auroc(start, arm, "basic", seed)["auroc"] - corner_auroc(start, arm, "repeated", seed)["auroc"]
        for start in ("pretrained", "random")
    ]
    return {"interaction": gains[0] - gains[1]}


START, TUNING, CHANGE = ["pretrained", "random"], ["full", "probe"], ["basic", "repeated"]
starts = run_if(
    "initialisation", by_start, START, factors={"tuning": TUNING, "policy": CHANGE}, part_of="factorial"
)
run_if("tuning", by_tuning, TUNING, factors={"start": START, "policy": CHANGE}, part_of="factorial")
run_if("augmented", by_policy, CHANGE, factors={"start": START, "tuning": TUNING}, part_of="factorial")
together = run_if("synergy", synergy, TUNING, part_of="factorial")
show.side_by_side(
    show.plot_arms,
    together,
    "interaction",
    notebook=NOTEBOOK,
    study="synergy",
    labels=LABELS,
    bounds=(-1.0, 1.0),
)

# %% [markdown]
# ## Images from elsewhere (C095, I13)
#
# Han and colleagues (2018) add images from the web. Whatever is found is not labelled, and most of it is useless, so
# they keep the images that are most *valuable* to the classifier. A pool on this machine stands in for the web: the
# images that the training subset left out, without their labels, and images of other archives. Score each image of
# the pool by how sure a first classifier is and by how near it lies to the training images in feature space; take the
# best, with the label that the classifier gave them; train again. The control takes as many at random.


# %% tags=["nbval-ignore-output"]
def probe_on(features: np.ndarray, labels: np.ndarray, penalty: float = 100.0):
    """Class probabilities as a function of features, from logistic regression with an L2 penalty."""
    scale = preprocessing.StandardScaler().fit(features)
    fitted_probe = linear_model.LogisticRegression(C=1 / penalty, max_iter=2000)
    fitted_probe.fit(scale.transform(features), labels)
    return lambda others: fitted_probe.predict_proba(scale.transform(others))


@study.Study.artifact
def pool_features(name: str, seed: int) -> dict:
    """Features of at most 1,000 images of an archive, or of one domain of it."""
    source = data.sources.load(name.split(":")[0])
    index = np.arange(len(source.labels))
    if ":" in name:
        index = index[source.domains == name.split(":")[1]]
    index = np.random.default_rng(seed).permutation(index)[:1000]
    found = data.DeviceDataset.from_archive(source, index, device, size=image_size)
    x = found.images.float() / 255
    return {
        "features": deep_features(x if archive.channels == 3 or x.shape[1] == 1 else x.mean(1, keepdim=True))
    }


@study.Study.artifact
def own_features(part: str, n: int, seed: int) -> dict:
    index = cases(part, n, seed) if part != "rest" else np.setdiff1d(parts.train, cases("train", n, seed))
    return {"features": deep_features(pixels(index).images.float() / 255), "labels": archive.labels[index]}


def ranked_pool(own: dict, rest: dict, nearness: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features of the pool, guessed probabilities, and its images in the order of their value, best first.

    Value is the rank by the first classifier's confidence and, with the weight `nearness` (0 to 1), the rank by
    distance to the nearest training image.
    """
    around = np.concatenate([rest["features"], *(pool_features(name, 0)["features"] for name in pool)])
    guess = probe_on(own["features"], own["labels"])(around)
    spread = own["features"].std(0) + 1e-6
    distance = [np.sqrt((((each - own["features"]) / spread) ** 2).sum(1)).min() for each in around]
    sure, near = (order.argsort() for order in (guess.max(1).argsort(), np.argsort(distance)[::-1]))
    value = (1 - nearness) * sure + nearness * near
    return around, guess, value.argsort()[::-1]


def web(arm: str, seed: int) -> dict:
    """A linear probe on training images and, but for `none`, as many images of the pool with guessed labels."""
    n = train_sizes[0]
    own, test, rest = (own_features(part, n, seed) for part in ("train", "test", "rest"))
    features, labels, in_domain = own["features"], own["labels"], 0.0
    if arm != "none":
        around, guess, best_first = ranked_pool(own, rest, nearness=0.5)
        picked = best_first[:n]
        if arm == "random_images":
            picked = np.random.default_rng(seed).permutation(len(around))[:n]
        in_domain = float((picked < len(rest["features"])).mean())
        features, labels = (
            np.concatenate([features, around[picked]]),
            np.concatenate([labels, guess[picked].argmax(1)]),
        )
    # more rows make a larger loss: the penalty grows with them, so that it is the same per case in all arms
    predict = probe_on(features, labels, penalty=100.0 * len(labels) / n)
    scores = predict(test["features"])
    auroc = evaluation.auroc(test["labels"], scores)
    return {
        "auroc": auroc,
        "generalisation_gap": evaluation.auroc(own["labels"], predict(own["features"])) - auroc,
        "in_domain": in_domain,
        "predictions": study.Predictions(cases=TEST, labels=test["labels"], scores=scores),
    }


webs = run_if("web", web, ["none", "random_images", "chosen"])
WEB = {"notebook": NOTEBOOK, "study": "web", "labels": LABELS}
for metric in ("auroc", "generalisation_gap"):
    display(show.side_by_side(show.plot_arms, webs, metric, **WEB))

# %% [markdown]
# The other half of the method is a search for good settings by *Bayesian optimisation*: a model of what has been tried
# proposes what to try next. Here three settings are searched with twenty trials on validation images: the penalty of
# the probe, how many images of the pool to add, and how much nearness counts against confidence. The fair opponent is
# random search with as many trials.


# %% tags=["nbval-ignore-output"]
TRIALS = 20


def search(arm: str, seed: int) -> dict:
    """The best of `TRIALS` settings on validation images, proposed by a model (TPE) or at random; on test images."""
    n = train_sizes[0]
    own, val, test, rest = (own_features(part, n, seed) for part in ("train", "val", "test", "rest"))

    def probe(trial):
        around, guess, best_first = ranked_pool(own, rest, trial.suggest_float("nearness", 0, 1))
        picked = best_first[: trial.suggest_int("images", 0, 2 * n)]
        return probe_on(
            np.concatenate([own["features"], around[picked]]),
            np.concatenate([own["labels"], guess[picked].argmax(1)]),
            trial.suggest_float("penalty", 0.1, 10_000, log=True),
        )

    samplers = {"bayesian": optuna.samplers.TPESampler, "random_search": optuna.samplers.RandomSampler}
    tried = optuna.create_study(direction="maximize", sampler=samplers[arm](seed=seed))
    tried.optimize(
        lambda trial: evaluation.auroc(val["labels"], probe(trial)(val["features"])), n_trials=TRIALS
    )
    predict = probe(optuna.trial.FixedTrial(tried.best_params))
    scores = predict(test["features"])
    auroc = evaluation.auroc(test["labels"], scores)
    return {
        "auroc": auroc,
        "val_auroc": tried.best_value,
        "generalisation_gap": evaluation.auroc(own["labels"], predict(own["features"])) - auroc,
        "predictions": study.Predictions(cases=TEST, labels=test["labels"], scores=scores),
    }


searches = run_if("search", search, ["bayesian", "random_search"], part_of="web")
show.side_by_side(show.plot_arms, searches, "auroc", notebook=NOTEBOOK, study="search", labels=LABELS)

# %% [markdown]
# A guessed label of an image that the classifier is sure of adds little: the classifier knew it already. That is the
# weakness of all self-training, and the reason why *chosen* has to be compared with *random* and not only with none.
#
# ## A sentence that must be corrected (C033)
#
# The survey says that more samples are often produced by reinforcement learning. Nothing that it cites does so. The
# only sound link between the two is AutoAugment (Cubuk et al. 2019). There a controller, trained by reinforcement,
# *searches for a policy*, and the policy makes the samples. The register corrects the sentence and tests this reading.
#
# Here is such a search in small. A policy is two transforms, each with one of three strengths. The controller holds a
# probability for each choice. It draws a policy, a short training gives the reward (AUROC on validation images), and
# REINFORCE (Williams 1992) makes the choices of a policy more likely if its reward lay above the mean so far, and less
# likely if it lay below. At learning rate zero the probabilities stay equal: that is random search, the fair opponent
# with as many trainings. Each search ends with a full training under the best policy that it has seen.


# %% tags=["nbval-ignore-output"]
NAMES = ["flip", "rotation", "scale", "translation", "crop", "gaussian_noise", "blur", "intensity", "gamma", "contrast",
         "elastic", "cutout"]  # fmt: skip
CHOICES = [NAMES, [0.25, 0.5, 1.0]] * 2  # a transform, its strength, and both once more
POLICIES_TRIED = 16
CONTROLLER_RATES = {"reinforced": 1.0, "drawn": 0.0}


def search_policy(reward, rate: float, seed: int) -> list[int]:
    """The choices with the best reward among those that a controller draws; at rate 0 all are drawn uniformly."""
    generator = np.random.default_rng(seed)
    logits = [np.zeros(len(choices)) for choices in CHOICES]
    tried, rewards = [], []
    for _ in range(POLICIES_TRIED):
        chances = [special.softmax(values) for values in logits]
        tried.append([int(generator.choice(len(chance), p=chance)) for chance in chances])
        rewards.append(reward(tried[-1]))
        advantage = (rewards[-1] - np.mean(rewards)) / (np.std(rewards) + 1e-9)
        for values, chance, index in zip(logits, chances, tried[-1], strict=True):
            gradient = np.eye(len(chance))[index] - chance  # of the log probability of this choice
            values += rate * advantage * gradient
    return tried[int(np.argmax(rewards))]


def trained_under(choices: list[int], n: int, seed: int, share: float = 1.0) -> tuple[float, np.ndarray]:
    """Validation AUROC and test scores of a small network after a share of the budget under a policy."""
    first, its_strength, second, other_strength = (CHOICES[i][k] for i, k in enumerate(choices))
    policy = augment.AugmentationPolicy(
        (augment.transform(first, its_strength), augment.transform(second, other_strength))
    )
    model = networks.small_cnn(num_classes=CLASSES, seed=seed)
    train, val, test = (pixels(cases(part, n, seed)) for part in ("train", "val", "test"))
    config = config_for(n)
    config = replace(config, epochs=max(2, round(config.epochs * share)))
    training.fit(
        model.network,
        policies.FULL,
        train,
        val,
        model.normalisation,
        config,
        seed=seed,
        augmentation=policy.batch,
    )
    on_val, on_test = (training.predict(model.network, part, model.normalisation) for part in (val, test))
    return evaluation.auroc(archive.labels[cases("val", n, seed)], on_val), on_test


def policy_search(arm: str, seed: int) -> dict:
    """Search by short trainings, then one full training; `basic` was chosen by hand and is not searched."""
    n, truth = train_sizes[0], archive.labels[TEST]
    if arm == "basic":
        scores = fitted("basic", n, seed)["scores"]
    else:
        best = search_policy(
            lambda choices: trained_under(choices, n, seed, share=0.25)[0], CONTROLLER_RATES[arm], seed
        )
        scores = trained_under(best, n, seed)[1]
    return {
        "auroc": evaluation.auroc(truth, scores),
        "predictions": study.Predictions(cases=TEST, labels=truth, scores=scores),
    }


policies_found = run_if("policy_search", policy_search, ["reinforced", "drawn", "basic"])
show.side_by_side(
    show.plot_arms, policies_found, "auroc", notebook=NOTEBOOK, study="policy_search", labels=LABELS
)

# %% [markdown]
# With few validation images the reward is noisy, and whichever policy is luckiest looks best. A controller follows that
# luck. RandAugment (Cubuk et al. 2020) replaced the search by two numbers and a grid, and did as well.
#
# ## Verdicts
#
# First what the reference run says about each statement, in a sentence. Then the rules of the register, applied to
# the records that this run directory holds. Phantoms show how a method works; they are never evidence about medical
# images. Fewer than five seeds never make a verdict.

# %% tags=["nbval-ignore-output"]
display(show.statement_sentences(NOTEBOOK))
show.notebook_verdicts(NOTEBOOK)

# %% [markdown]
# What follows for practice: check the assumption of every transform against the task; compare with repeated images at
# the same number of steps; choose the strength on validation images; and measure augmentation on the pretrained
# network itself: here the two neither clearly replaced each other nor showed a synergy everywhere.
#
# ## What this does not show
#
# - **One small network, small images.** The single transforms are measured with three convolutions at low resolution.
#   Larger networks overfit more and may gain more.
# - **One learning rate.** All arms share it. A policy that wants another rate is at a disadvantage; the table of
#   convergence shows whether the budget was one as well.
# - **A policy chosen by hand.** `basic` is a common choice and was not tuned on any of these data sets. A search may
#   find a better one for each, and has to be paid for in validation images.
# - **A small search.** Three settings and twenty trials on frozen features. Han and colleagues search the settings of a
#   fine-tuning, which has more of them and costs more to try.
# - **The counter-evidence.** Reviews of augmentation, such as that of Chlap et al., collect papers that report gains;
#   a paper in which augmentation changed nothing is rarely written.
# - **Phantoms.** Every assumption of `basic` is true for them by construction.
#
# ## Exercises
#
# Each exercise has a check that says what it found and why an answer may be wrong. Set the answer, run the cell, and
# compare with the solution below it.
#
# **1. The label of a CutMix.** A rectangle of `h` by `w` pixels from a second image is pasted into an image with `H` by
# `W` pixels. Which weight does the *first* image's label get?

# %%
answer_1 = None  # for example: lambda h, w, H, W: ...
check_1 = show.Check(
    1,
    wants="a function of (h, w, H, W) that returns the weight of the first label",
    cases=[((10, 20, 40, 40), 1 - 200 / 1600), ((8, 8, 16, 16), 1 - 64 / 256)],
    misconceptions=[
        show.Misconception(
            lambda h, w, H, W: h * w / (H * W), "that is the weight of the image that was pasted"
        ),
        show.Misconception(lambda h, w, H, W: 1 - h / H, "area counts, not the side"),
        show.Misconception(lambda h, w, H, W: 0.5, "the weights follow the area"),
    ],
)
check_1(answer_1)

# %% tags=["solution"]
check_1(lambda h, w, H, W: 1 - h * w / (H * W))

# %% [markdown]
# **2. A folded line.** In one dimension the map is $p + a \sin(2 \pi p / L)$. Up to which amplitude `a` does it not fold?
# Give the largest such `a` as a function of `L`. Hint: the slope of the map is its Jacobian.

# %%
answer_2 = None  # for example: lambda L: ...
check_2 = show.Check(
    2,
    wants="a function of L that returns the largest amplitude without a fold",
    cases=[((10.0,), 10.0 / (2 * np.pi)), ((64.0,), 64.0 / (2 * np.pi))],
    misconceptions=[
        show.Misconception(
            lambda L: L / 2, "neighbours meet long before the displacement reaches half a period"
        ),
        show.Misconception(lambda L: L / np.pi, "the derivative of the sine brings a factor of 2 pi"),
        show.Misconception(lambda L: 2 * np.pi / L, "that is the slope for a = 1; solve it for a"),
    ],
)
check_2(answer_2)

# %% tags=["solution"]
check_2(lambda L: L / (2 * np.pi))

# %% [markdown]
# **3. Sum or synergy?** Without either, AUROC is `a`; with pretraining `p`; with augmentation `g`; with both `b`. Write
# the interaction. When it is 0, the gains add up; above 0 there is a synergy.

# %%
answer_3 = None  # for example: lambda a, p, g, b: ...
check_3 = show.Check(
    3,
    wants="a function of (a, p, g, b) that returns the interaction",
    cases=[((0.7, 0.8, 0.75, 0.85), 0.0), ((0.7, 0.8, 0.75, 0.81), -0.04), ((0.6, 0.7, 0.65, 0.9), 0.15)],
    misconceptions=[
        show.Misconception(
            lambda a, p, g, b: b - a, "that is the gain of both; subtract what each gains alone"
        ),
        show.Misconception(lambda a, p, g, b: b - max(p, g), "better than either alone is not yet a synergy"),
        show.Misconception(lambda a, p, g, b: b - p - g, "each gain is counted from a"),
    ],
)
check_3(answer_3)

# %% tags=["solution"]
check_3(lambda a, p, g, b: (b - p) - (g - a))

# %% [markdown]
# ## References
#
# - Chlap, P. et al. (2021). [A review of medical image data augmentation techniques for deep learning applications](https://doi.org/10.1111/1754-9485.13261).
#   *Journal of Medical Imaging and Radiation Oncology* 65(5), 545-563. The four classes.
# - Cubuk, E. D. et al. (2019). [AutoAugment](https://arxiv.org/abs/1805.09501). *CVPR*. Cubuk, E. D. et al. (2020).
#   [RandAugment](https://arxiv.org/abs/1909.13719). *NeurIPS*.
# - Friedman, D., Dieng, A. B. (2023). [The Vendi score](https://arxiv.org/abs/2210.02410). *TMLR*.
# - Gu, C. (2024). Enhancing medical image classification with convolutional neural networks through transfer learning: a
#   comprehensive review. *Applied and Computational Engineering* 35, 280-284. The survey under test.
# - Han, D., Liu, Q., Fan, W. (2018). [A new image classification method using CNN transfer learning and web data augmentation](https://doi.org/10.1016/j.eswa.2017.11.028).
#   *Expert Systems with Applications* 95, 43-56.
# - Naeem, M. F. et al. (2020). [Reliable fidelity and diversity metrics for generative models](https://arxiv.org/abs/2002.09797). *ICML*. Coverage.
# - Simard, P. Y., Steinkraus, D., Platt, J. C. (2003). Best practices for convolutional neural networks applied to
#   visual document analysis. *ICDAR*, 958-963. Elastic maps.
# - Yun, S. et al. (2019). [CutMix](https://arxiv.org/abs/1905.04899). *ICCV*.
# - Williams, R. J. (1992). [Simple statistical gradient-following algorithms for connectionist reinforcement
#   learning](https://doi.org/10.1007/BF00992696). *Machine Learning* 8, 229-256.
# - Zhang, C. et al. (2017). [Understanding deep learning requires rethinking generalization](https://arxiv.org/abs/1611.03530). *ICLR*. Random labels.
# - Zhang, H. et al. (2018). [mixup: beyond empirical risk minimization](https://arxiv.org/abs/1710.09412). *ICLR*.
