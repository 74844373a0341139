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
# The survey that this project puts to the test rests on one idea: a network that has learnt to tell a thousand kinds
# of photographs apart needs fewer medical images to learn the next task than a network that starts from nothing. This
# notebook takes the idea apart. You will look inside a pretrained network, write a linear probe and a fine-tuning
# loop yourself, meet the most common way of doing both wrong, and then measure, over training sizes and random seeds,
# how much the weights are worth.
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
from medtl_core import reporting as show

show.statements_table("02_fine_tuning")

# %% [markdown]
# The rules behind these statements live in `claims.yaml`; the verdicts at the end of this notebook are made from them
# and from the records that the studies below leave behind. Every study is shown twice: *this run* is what your
# machine measured with the parameters below, *reference* is a longer run on real images whose records come with the
# project.
#
# ## Parameters
#
# The defaults are the `smoke` profile: digital phantoms, three seeds, one training size. The budget of steps is small
# enough for half a minute, if not always large enough for the training to converge. What takes longer is shown from the
# reference run. `medtl run 02_fine_tuning --profile teach` trains it all; `-p dataset=breastmnist -p seeds=5` changes
# single values, after checking each against the type and range given here.

# %% tags=["parameters"]
dataset: str = "phantoms"  # archive to learn from; a data set
domain: str = ""  # keep only this domain of the archive, empty for all of it; a domain
backbone: str = "tf_efficientnet_lite0"  # network, by its timm name; a network
image_size: int = 40  # pixels, side that images are brought to; 28 to 224
train_sizes: list[int] = [128]  # training images, one learning curve point each; 8 to 100000
val_size: int = 40  # validation images at most, used to choose the best epoch; 10 to 10000
test_size: int = 200  # test images at most, looked at once; 20 to 100000
seeds: int = 3  # random seeds, each with its own training subset and initialisation; 1 to 50
first_seed: int = 0  # the first of them; 0 to 100000
steps: int = 80  # optimiser steps of each training run at most, for every arm and size; 4 to 100000
patience: int = 0  # steps without a better epoch after which training ends, 0 for never; 0 to 100000
batch_size: int = 32  # images a step; 4 to 512
learning_rate: float = 0.003  # AdamW's learning rate for whole networks, without pilots; 0.000001 to 0.1
pilot_seeds: int = 0  # pilot runs for each learning rate of the grid, 0 for the rate above; 0 to 10
cut_after: str = "blocks.3.2"  # block after which the study's networks end, empty for whole ones; any
scratch_networks: list[str] = [
    "scratch_small"
]  # what training from scratch may choose from (scratch_large); any
variants: list[str] = ["random_probe"]  # further arms at the smallest size, named in the study's section; any
backbones: list[str] = ["tf_efficientnet_lite0"]  # networks whose frozen features are compared; a network
related: str = "phantoms_shift"  # ARCHIVE or ARCHIVE:DOMAIN to pretrain on, of the same field; a source
unrelated: str = "phantoms_basic"  # ARCHIVE or ARCHIVE:DOMAIN to pretrain on, of another field; a source
pretrain_steps: int = 150  # optimiser steps of pretraining on these; 10 to 100000
target_auroc: float = 0.9  # test AUROC whose price in labelled images is measured; 0.5 to 1
cost_per_label: float = 5.0  # price of one labelled image, in the currency of your choice; 0.01 to 10000

# %% [markdown]
# ## Set-up

# %% tags=["nbval-ignore-output"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from scipy import stats
from sklearn import discriminant_analysis, linear_model, preprocessing

from medtl_core import backbones as networks
from medtl_core import data, errors, evaluation, evidence, study, training, transfer, truncation

show.use_style()
policies = training.policies
NOTEBOOK = "02_fine_tuning"
LABELS = {
    "scratch": "training from scratch",
    "scratch_large": "the large network from scratch",
    "scratch_small": "a small network from scratch",
    "linear_probe": "a linear probe",
    "full": "full fine-tuning",
    "mean_var": "only mean and variance of the weights",
    "random_probe": "linear probe on a random network",
    "last_stage": "tuning the last stage",
    "last_three": "tuning the last three stages",
    "probe_then_full": "probe first, then all",
    "discriminative": "slower rates for early layers",
    "medical": "tuning from related images",
    "medical_probe": "probe on related images' weights",
    "unrelated": "tuning from unrelated images",
    "n": "training images",
    "pretrained": "pretrained features",
    "random": "features of a random network",
    "effective_rank": "effective rank of the features",
    "log2_labels_needed": "images needed (log2)",
    "generalisation_gap": "training minus test AUROC",
    "censored": "share of runs whose need is only a bound",
    "negative_flips": "share of cases that get worse",
    "net_flips": "put right minus put wrong (share)",
    "reader": "a reader",
    "model": "the network alone",
    "team": "the team",
    "tf_efficientnet_lite0": "EfficientNet-Lite0",
    "mobilenetv2_100": "MobileNetV2",
    "vgg16": "VGG-16",
    "target_auroc": "target AUROC",
    "train_sizes": "sizes",
    "chest_xray_64": "chest X-rays",
    "kermany": "Kermany",
    "nih": "NIH",
    "breastmnist": "breast ultrasound (BreastMNIST)",
    "breast_ultrasound_128": "breast ultrasound",
    "white_blood_cells_96": "white blood cells",
}
device = study.select_device()
study.seed_everything(0)
SEEDS = range(first_seed, first_seed + seeds)
runs = seeds * (len(train_sizes) * 3 + len([arm for arm in variants if not arm.endswith("probe")]))
print(f"{runs} training runs of at most {steps} steps with {backbone} at {image_size} px, on {device}.")

# %% [markdown]
# ## The data
#
# Before any method comes the question of what the images are, how many there are, and whether the same patient or the
# same picture could stand on both sides of a split. The card below is what the registry knows; the audit looks at the
# pixels themselves.

# %% tags=["nbval-ignore-output"]
archive = data.sources.load(dataset)
parts = data.require_measurable(
    archive, domain=domain or None, train_sizes=train_sizes, val_size=val_size, test_size=test_size
)
data.cards.card(archive, parts, data.sources.card(dataset))

# %% [markdown]
# *What do the classes look like to the eye?* The grey range is stated above the sheet, since a stretched contrast can
# make an easy task out of a hard one.

# %% tags=["nbval-ignore-output"]
used = np.sort(np.concatenate([parts.train, parts.val, parts.test]))  # all images, or those of one domain
data.cards.contact_sheet(archive.subset(used), per_class=5, seed=0)

# %% [markdown]
# The images are divided once, by patient where patients are known, and the division stays the same for every seed.
# What a seed changes is the *training subset* drawn from the training part, and the initialisation. All methods of
# one seed see the same subset, so that their differences can be paired.


# %%
def cases(part: str, n: int, seed: int) -> np.ndarray:
    """Cases for training (n of them), validation or test; test cases are the same for all seeds."""
    if part == "train":
        return data.nested_subset(archive.labels, parts.train, n, seed)
    pool, most = (parts.val, val_size) if part == "val" else (parts.test, test_size)
    return data.nested_subset(archive.labels, pool, min(most, len(pool)), seed if part == "val" else 0)


def pixels(index: np.ndarray) -> data.DeviceDataset:
    """The images of these cases, at the size that the network gets."""
    return data.DeviceDataset.from_archive(archive, index, device, size=image_size)


TEST = cases("test", 0, 0)
TRUTH = archive.labels[TEST]
groups = {"training pool": parts.train, "validation pool": parts.val, "test, as drawn": TEST}
pd.DataFrame(
    {name: np.bincount(archive.labels[index], minlength=archive.n_classes) for name, index in groups.items()},
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
# Why should weights from photographs help at all? The usual argument has two halves. The early layers answer to edges,
# colours and textures, which every image is made of. The later layers combine them into parts of objects, and there
# photographs and radiographs part ways. If that is right, transfer should help most where data are scarce, mostly
# through the early layers, and less and less as the target set grows large enough to learn them from. The study at the
# end speaks to the first and the last of these three predictions.
#
# The next cell prints where the weights came from. If pretrained weights cannot be had, medtl stops; it never
# continues with random ones.

# %%
CLASSES = archive.n_classes
pretrained = networks.build(backbone, num_classes=CLASSES, pretrained=True, seed=0)
random = networks.build(backbone, num_classes=CLASSES, pretrained=False, seed=0)
size_of = networks.cost.cost(pretrained.network, (1, 3, image_size, image_size))
show.TextTable(
    {
        "what": [
            "weights from",
            "parameters",
            "multiply-accumulates for one image",
            "input mean",
            "input standard deviation",
        ],
        "value": [
            pretrained.weights,
            f"{size_of.parameters:,}",
            f"{size_of.macs:,}",
            pretrained.normalisation.mean,
            pretrained.normalisation.std,
        ],
    }
)

# %% [markdown]
# Mean and standard deviation belong to the weights as much as the numbers themselves: the first layer expects inputs
# on the scale that it was trained with. Feeding it another scale loses accuracy without any error message, which is
# why medtl lets the normalisation travel with the weights.
#
# *What has the first layer learnt?* Each small square is one filter of the first convolution, as it looks at the red,
# green and blue channel. On the left the pretrained filters, on the right those of a random initialisation.


# %%
def filter_mosaic(network: torch.nn.Module, columns: int = 6, count: int = 30) -> np.ndarray:
    first = next(m for m in network.modules() if isinstance(m, torch.nn.Conv2d))
    filters = first.weight.detach().cpu().numpy()[:count].transpose(0, 2, 3, 1)
    low, high = filters.min(axis=(1, 2, 3), keepdims=True), filters.max(axis=(1, 2, 3), keepdims=True)
    tiles = np.pad((filters - low) / (high - low), ((0, 0), (0, 1), (0, 1), (0, 0)), constant_values=1)
    rows = [np.concatenate(tiles[i : i + columns], axis=1) for i in range(0, len(tiles), columns)]
    return np.concatenate(rows, axis=0)


show.strip(
    [filter_mosaic(pretrained.network), filter_mosaic(random.network)],
    ["pretrained", "random"],
    side=4.2,
    caption="each filter stretched to its own range",
)

# %% [markdown]
# In a network with large first kernels the pretrained filters are plainly edges and blobs. At three by three pixels
# one has to look harder: on the left many filters share a direction or a single colour, on the right nothing repeats.
# Edges and blobs are as useful in an X-ray as in a photograph, which is the intuitive case for transfer. It is only a
# case: what counts is whether features *deep* in the network, built for dogs and teapots, still say something about
# our classes.
#
# *What do the two networks see in the same image?* One image of the data set, and the mean over channels of the
# response at three depths. The image is enlarged for this picture, so that the deep maps have enough cells to look
# at.

# %% tags=["nbval-ignore-output"]
LOOK = 224  # pixels
one_image = data.DeviceDataset.from_archive(archive, parts.train[:1], device, size=LOOK)
x = one_image.inputs(slice(0, 1), pretrained.normalisation)
cuts = networks.cut_points(pretrained.network)
depths = {"early": cuts[1], "middle": cuts[len(cuts) // 2], "late": cuts[-2]}
figure, axes = plt.subplots(2, 4, figsize=(9.6, 5))
for row, (title, model) in enumerate({"pretrained": pretrained, "random": random}.items()):
    with torch.inference_mode():
        responses = networks.activations(model.network.to(device).eval(), x)
    axes[row, 0].imshow(archive.images[parts.train[0]], cmap="gray", vmin=0, vmax=255)
    axes[row, 0].set_title(
        f"{title}: input\n({'grey' if archive.channels == 1 else 'RGB'} 0 to 255)", fontsize=10
    )
    for axis, (name, depth) in zip(axes[row, 1:], depths.items(), strict=True):
        shown = responses[depth.index][0].float().mean(0).cpu().numpy()
        axis.imshow(shown, cmap="gray")
        axis.set_title(
            f"{name}, {shown.shape[0]} x {shown.shape[1]} cells\n({shown.min():.2g} to {shown.max():.2g})",
            fontsize=10,
        )
for axis in axes.flat:
    axis.set_xticks([])
    axis.set_yticks([])
    axis.grid(False)
plt.tight_layout()
plt.show()

# %% [markdown]
# The early maps of both networks are filtered copies of the image. In the middle the pretrained network still follows
# the outline of the object, while in the random network little of it is left. The late maps of either are too coarse
# to be read by eye. Whether they say something about *our* classes, no picture shows. A classifier can tell.
#
# ## A linear probe, by hand
#
# The cheapest way to use a pretrained network is not to train it at all. Send every image through it once, keep the
# *pooled features* (the average of the last feature maps over the image), and fit a linear classifier on them. The
# survey's sources call this off-the-shelf features or a feature extractor; today's usual name is *linear probe*.
#
# The features are the input of the head, so the head applied to them must give the network's own output. That is an
# identity, and identities are worth checking.

# %%
everything_needed = {part: cases(part, train_sizes[0], 0) for part in ("train", "test")}
fitted, tested = (pixels(index) for index in everything_needed.values())
features = {
    name: training.FeatureSet.of(m, fitted)
    for name, m in {"pretrained": pretrained, "random": random}.items()
}
on_test = {
    name: training.FeatureSet.of(m, tested)
    for name, m in {"pretrained": pretrained, "random": random}.items()
}
some = slice(0, 8)
with torch.inference_mode():
    by_hand = networks.head_of(pretrained.network)(features["pretrained"].features[some])
    by_network = pretrained.network.eval()(fitted.inputs(some, pretrained.normalisation))
deviation = evidence.record_check(
    NOTEBOOK, "head_on_features_max_abs_error", (by_hand - by_network).abs().max().item(), dataset=dataset
)
assert deviation < 1e-4
print(
    f"features of {len(fitted)} training images: {tuple(features['pretrained'].features.shape)}; "
    "head(features) equals network(image)"
)

# %% [markdown]
# *Do the features already separate the classes?* A linear discriminant projects the features to one number for each
# image. It is fitted on training images and drawn for the test images, which it has not seen. (AUROC is the
# probability that a randomly drawn case of one class scores above one of the other; .5 is a coin.)


# %% tags=["nbval-ignore-output"]
def array(values: torch.Tensor) -> np.ndarray:
    return values.cpu().numpy()


figure, axes = plt.subplots(1, 2, figsize=(9, 3), sharey=True)
for axis, (name, values) in zip(axes, features.items(), strict=True):
    lda = discriminant_analysis.LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    lda.fit(array(values.features), array(values.labels))
    found = evaluation.auroc(TRUTH, lda.predict_proba(array(on_test[name].features)))
    score = lda.decision_function(array(on_test[name].features)).reshape(len(TEST), -1)[:, -1]
    score = (score - score.mean()) / score.std()
    grid = np.linspace(-4, 4, 200)
    for label, class_name in enumerate(archive.class_names):
        if (label == TRUTH).sum() > 2:
            axis.fill_between(
                grid, stats.gaussian_kde(score[label == TRUTH])(grid), alpha=0.4, label=class_name
            )
    axis.set(
        title=f"{name}: test AUROC {found:.2f}", xlabel="discriminant score (standardised)", ylim=(0, None)
    )
axes[0].set_ylabel("density of test images")
axes[1].legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
plt.tight_layout()
plt.show()

# %% [markdown]
# The less the two curves overlap, the more a linear rule can do with these features. Random features are not empty: a
# random convolutional network keeps some texture statistics. They are the control that every claim about "knowledge"
# in pretrained weights has to beat, because without them one would mistake the merit of the architecture for the
# merit of the weights.
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
        loss = (
            torch.nn.functional.cross_entropy(x1 @ weights.T, y)
            + penalty / 2 * weights[:, :-1].square().sum()
        )
        loss.backward()
        return loss

    solver.step(closure)
    return weights.detach()


# %%
train_features, penalty = features["pretrained"].features, 0.1
scale = train_features.std(0).clamp_min(1e-6)
x_train = ((train_features - train_features.mean(0)) / scale).double().cpu()
x_test = ((on_test["pretrained"].features - train_features.mean(0)) / scale).double().cpu()
y_train = features["pretrained"].labels.cpu()
ours = softmax_regression(x_train, y_train, penalty)
# scikit-learn's model of two classes has one weight vector, penalised once instead of twice
strength = (2 if CLASSES == 2 else 1) / (penalty * len(y_train))
theirs = linear_model.LogisticRegression(C=strength, max_iter=10000, tol=1e-10).fit(x_train, y_train)
p_ours = torch.softmax(torch.nn.functional.linear(x_test, ours[:, :-1], ours[:, -1]), dim=1).numpy()
probe_gap = evidence.record_check(
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
def fresh_network() -> torch.nn.Module:
    study.seed_everything(0)
    return networks.build(backbone, num_classes=CLASSES, pretrained=True, seed=0).network.to(device)


def moved_buffers(network: torch.nn.Module, before: dict[str, torch.Tensor]) -> int:
    now = network.state_dict()
    return sum(not torch.equal(now[name], value) for name, value in before.items() if "running" in name)


def five_steps(network: torch.nn.Module, head: torch.nn.Module) -> None:
    optimiser = torch.optim.SGD(head.parameters(), lr=0.01)
    for i in range(5):
        batch = torch.arange(8 * i, 8 * (i + 1), device=device) % len(fitted)
        logits = network(fitted.inputs(batch, pretrained.normalisation))
        loss = torch.nn.functional.cross_entropy(logits, fitted.labels[batch])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


careless = fresh_network().requires_grad_(False)
networks.head_of(careless).requires_grad_(True)
careless.train()
before = {name: value.clone() for name, value in careless.state_dict().items()}
five_steps(careless, networks.head_of(careless))
statistics_of_network = sum("running" in name for name in before)
print(
    f"careless: {moved_buffers(careless, before)} of {statistics_of_network} batch-norm statistics have moved"
)

# %% [markdown]
# `policies.set_mode` puts what trains into training mode and everything frozen into evaluation mode. The same five
# steps, and nothing but the head has changed:

# %%
careful = fresh_network()
policies.set_mode(careful, policies.LINEAR_PROBE.phases(careful)[0])
before = {name: value.clone() for name, value in careful.state_dict().items()}
five_steps(careful, networks.head_of(careful))
changed = [name for name, value in careful.state_dict().items() if not torch.equal(value, before[name])]
print(f"careful: {moved_buffers(careful, before)} statistics have moved; changed are only {changed}")
evidence.record_check(NOTEBOOK, "frozen_statistics_moved", moved_buffers(careful, before), dataset=dataset)
assert moved_buffers(careful, before) == 0

# %% [markdown]
# The careless network gives other features than those that were cached, although "nothing but the head" was trained.
# Whoever then evaluates the cached features evaluates a network that no longer exists.
#
# ## Fine-tuning, by hand
#
# Full fine-tuning is ordinary training that starts somewhere better. The loop has five lines that matter: draw a
# batch, compute the loss, go back, step, and at the end of an epoch look at the validation images and remember the
# best weights. *Best* needs a definition; here it is the AUROC on validation images, and the loss among equals.
# Written out for a few epochs, with plain AdamW and a cosine schedule:


# %%
def fine_tune_by_hand(
    network, train, val, normalisation, *, epochs, batch_size, learning_rate, weight_decay, seed
):
    """Train all of `network`; return it with the weights of the epoch that is best on `val`."""
    decayed = [p for p in network.parameters() if p.ndim > 1]
    exempt = [p for p in network.parameters() if p.ndim <= 1]  # biases and batch-norm scales
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": exempt, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=learning_rate, fused=True)  # one kernel for all parameters
    updates = epochs * -(-len(train) // batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: 0.5 * (1 + np.cos(np.pi * step / updates))
    )
    order = torch.Generator().manual_seed(seed)
    best, best_weights = (-np.inf, -np.inf), {}
    for _ in range(epochs):
        network.train()
        for index in torch.randperm(len(train), generator=order).to(train.labels.device).split(batch_size):
            optimiser.zero_grad()
            logits = network(train.inputs(index, normalisation))
            torch.nn.functional.cross_entropy(logits, train.labels[index]).backward()
            optimiser.step()
            schedule.step()
        probabilities = training.predict(network, val, normalisation)
        truth = val.labels.cpu().numpy()
        rank = (
            evaluation.auroc(truth, probabilities),
            np.log(probabilities[np.arange(len(val)), truth]).mean(),
        )
        if rank > best:
            best = rank
            best_weights = {name: value.clone() for name, value in network.state_dict().items()}
    network.load_state_dict(best_weights)
    return network


# %% [markdown]
# The package's `fit` does the same and a little more: it checks that the loss stays finite, keeps a history, knows
# the policies of the next section and uses half precision on GPUs. On the same images and the same seed the two must
# give the same network.

# %%
demo_train, demo_val = (pixels(cases(part, min(48, train_sizes[0]), 0)) for part in ("train", "val"))
settings = {"epochs": 2, "batch_size": 16, "learning_rate": learning_rate, "weight_decay": 0.01}
hand_made = fine_tune_by_hand(
    fresh_network(), demo_train, demo_val, pretrained.normalisation, seed=0, **settings
)
packaged = fresh_network()
config = training.FitConfig(**settings)
training.fit(packaged, policies.FULL, demo_train, demo_val, pretrained.normalisation, config, seed=0)
by_hand, by_package = (
    training.predict(network, demo_val, pretrained.normalisation) for network in (hand_made, packaged)
)
loop_gap = evidence.record_check(
    NOTEBOOK, "loop_max_abs_error", float(abs(by_hand - by_package).max()), dataset=dataset
)
assert device.type == "cuda" or loop_gap < 1e-4  # on a GPU fit computes in half precision
print("the loop above and the package's fit give the same predictions")

# %% [markdown]
# ### Which epoch is the best one?
#
# It looks like a detail. *Do loss and AUROC agree about it?* A linear head is trained on the frozen features of a few
# dozen images, and looked at after every epoch on some hundreds of validation images (the AUROC of a few dozen scatters
# too much). A ring marks the epoch that each would choose. The dotted line is the loss of a network that knows nothing
# but the shares of the classes.

# %% tags=["nbval-ignore-output"]
few = pixels(cases("train", min(32, train_sizes[0]), 0))
many = pixels(data.nested_subset(archive.labels, parts.val, min(300, len(parts.val)), 0))
few, many = (training.FeatureSet.of(pretrained, images) for images in (few, many))
head = networks.head_of(fresh_network())
config = training.FitConfig(epochs=60, batch_size=batch_size, learning_rate=0.01)
history = training.fit(head, policies.SCRATCH, few, many, None, config, seed=0).history
shares = np.bincount(array(many.labels)) / len(many)
ignorance = float(-(shares * np.log(shares)).sum())
figure, axes = plt.subplots(1, 2, figsize=(9, 3), sharex=True)
ringed = {}
for axis, name, best in zip(axes, ("val_loss", "val_auroc"), (min, max), strict=True):
    ringed[name] = best(history, key=lambda epoch, name=name: epoch[name])
    axis.plot([epoch["epoch"] for epoch in history], [epoch[name] for epoch in history], "-")
    axis.plot(ringed[name]["epoch"], ringed[name][name], "o", markersize=12, fillstyle="none", color="black")
    axis.set_xlabel("epoch")
axes[0].axhline(ignorance, color="grey", linestyle=":")
axes[0].set(ylabel="cross-entropy, validation", yscale="log")
axes[1].set(ylabel="AUROC, validation", ylim=(0.5, 1))
plt.tight_layout()
plt.show()
by_loss, by_auroc = ringed["val_loss"], ringed["val_auroc"]
show.Prose(
    f"The loss is lowest after epoch {by_loss['epoch']:.0f} ({by_loss['val_loss']:.2f}, with AUROC "
    f"{by_loss['val_auroc']:.3f}). "
    f"AUROC is highest after epoch {by_auroc['epoch']:.0f} ({by_auroc['val_auroc']:.3f}), where the loss is "
    f"{by_auroc['val_loss']:.2f}; knowing only the shares of the classes has the loss {ignorance:.2f}."
)

# %% [markdown]
# The two disagree because they ask different things. AUROC asks whether the cases are ranked well. The loss also asks
# how sure the network is: with few training images it soon is too sure, and a confident mistake costs more than a
# modest one. So the loss can prefer a network that knows nothing to one that ranks the cases well, and a study that
# goes by it may compare fine-tuning with a baseline that has learnt nothing and report a huge benefit of transfer.
# When a published baseline from scratch stands at chance, ask how its epoch was chosen. The studies below judge by
# AUROC, so the epoch is chosen by AUROC, and by the loss among equals.

# %% [markdown]
# ## Policies: what trains, and how fast
#
# Between "only the head" and "everything" lies a family of choices. A *policy* names one: which parts train, in which
# phases, and with which fraction of the learning rate. *Last stages* thaws the top of the network; *probe then full*
# first fits the head and then thaws all, so that a random head does not wreck good features in the first steps;
# *discriminative rates* let early layers move more slowly than late ones.

# %%
POLICIES = {
    "probe": policies.LINEAR_PROBE,
    "last_stage": policies.last_stages(1),
    "last_three": policies.last_stages(3),
    "full": policies.FULL,
    "probe_then_full": policies.PROBE_THEN_FULL,
    "discriminative": policies.discriminative(),
}
network, rows = fresh_network(), []
for name, policy in POLICIES.items():
    for i, phase in enumerate(policy.phases(network), 1):
        policies.set_mode(network, phase)
        trainable = sum(p.numel() for p in network.parameters() if p.requires_grad)
        rates = sorted({group["lr_scale"] for group in phase.param_groups})
        rows.append(
            {
                "policy": LABELS["linear_probe" if name == "probe" else name],
                "phase": i,
                "share of epochs": phase.share,
                "trainable parameters": f"{trainable:,}",
                "share of network": f"{trainable / size_of.parameters:.1%}",
                "learning rate x": f"{rates[0]:.3g} to {rates[-1]:.3g}"
                if len(rates) > 1
                else f"{rates[0]:.3g}",
            }
        )
show.TextTable(rows)

# %% [markdown]
# Two things are easy to overlook in this table. The linear probe trains a vanishing share of the network, which is
# why it cannot overfit badly and cannot adapt much either. And discriminative rates train as many parameters as full
# fine-tuning: what differs is how far each is allowed to go, a soft form of freezing.
#
# *Where do the parameters sit, and how far do they travel when everything may move?* Freezing "most layers" and
# freezing "most parameters" are different things. On the right, the relative change of each stage's weights after the
# two epochs above.

# %% tags=["nbval-ignore-output"]
start = fresh_network()
per_stage = []
for old, new in zip(networks.stage_modules(start), networks.stage_modules(packaged), strict=True):
    a, b = (torch.cat([p.detach().flatten() for m in part for p in m.parameters()]) for part in (old, new))
    change = ((b - a).norm() / a.norm()).item()
    per_stage.append({"thousand parameters": len(a) / 1e3, "relative change of the weights": change})
per_stage = pd.DataFrame(per_stage, index=["stem", *[f"stage {i}" for i in range(1, len(per_stage))]])
figure, axes = plt.subplots(1, 2, figsize=(9.6, 3.2))
for axis, column, colour in zip(axes, per_stage, ("C0", "C1"), strict=True):
    axis.bar(per_stage.index, per_stage[column], color=colour)
    axis.set_ylabel(column)
    axis.tick_params(axis="x", rotation=60)
plt.tight_layout()
plt.show()

# %% [markdown]
# The parameters pile up at the deep end, so that tuning the last stages alone already trains a large part of them.
# Where the bars on the right are tallest, the pretrained weights suited the new task least, or the gradient was simply
# largest; this picture alone cannot tell the two apart. The notebook on truncation compares the features before and
# after training, layer by layer. This picture does show that a short fine-tuning is a small correction.
#
# ## The study: what is it that transfers?
#
# Everything so far was one run, and one run proves nothing: another seed would draw other training images, start
# another head and end a few hundredths higher or lower. With small training sets this scatter is of the same size as
# the effects that papers report. So the comparison is repeated over seeds, and it is the *spread of the differences*
# that decides.
#
# An *arm* is a start and a policy. These arms run at every size: **from scratch** (random weights, everything
# trains), **linear probe** (pretrained weights, only the head trains, on features computed once), **full
# fine-tuning** (pretrained weights, everything trains) and, as a control for the architecture, `random_probe`, the
# linear probe on a random network. A random network is drawn anew with every seed.
#
# From scratch comes in two sizes, because the obvious control is a weak one. A network that was designed for a million
# photographs has far too many parameters for a hundred images, and whoever has no pretrained weights would not choose
# it. So `scratch_large` trains the same network as fine-tuning does, `scratch_small` trains a network of three
# convolutions, and `scratch`, the arm that transfer has to beat, is whichever of the two is better *on the validation
# images* of the same seed. The default run has time for the small network alone; the reference trained
# both. The other arms take the experiment apart at the first size:
#
# - `mean_var` keeps mean and standard deviation of every pretrained tensor and throws the pattern away, which
#   separates good scaling from knowledge (Raghu et al. 2019);
# - `last_stage`, `last_three`, `probe_then_full` and `discriminative` are the policies from above;
# - `medical` and `unrelated` start from networks that were trained, from nothing, on another archive; `medical_probe`
#   is a linear probe on the former. A source of a few thousand images cannot rival
#   a million photographs; whether its *relatedness* makes up for its size is the question. `medtl pretrain` makes such
#   a source at the command line.
#
# Fairness is in the details. Every run has the same budget of optimiser steps, whatever its training size, so that a
# small set is not also a short training. It may end earlier, when the validation images have seen nothing better for
# a while (`patience`). The best epoch is chosen on validation images, and the test images are looked at once.
#
# Two things decide such comparisons more often than the methods do. The first is the **learning rate**. Every arm has a
# rate of its own for every size, chosen from the same small grid by validation AUROC. The choice is made once, on
# *pilot* seeds that are never part of the comparison. (Without pilots, as in the default run, all arms share one rate.)
# The head of a probe trains on cached features at ten times the rates of the grid: a single linear layer needs a larger
# rate than a whole network.
#
# The second is **convergence**. A network whose best epoch is its last would probably have become better still, and a
# comparison with it measures the budget and not the method. So every run records where in its budget the best epoch
# lay (`best_step_share`), and a table below says how often that was in the last tenth.

# %%
ARMS = {  # what an arm starts from, and its policy
    "scratch_large": ("random", "full"),
    "scratch_small": ("small", "full"),
    "linear_probe": ("pretrained", "probe"),
    "full": ("pretrained", "full"),
    "mean_var": ("moments", "full"),
    "random_probe": ("random", "probe"),
    "last_stage": ("pretrained", "last_stage"),
    "last_three": ("pretrained", "last_three"),
    "probe_then_full": ("pretrained", "probe_then_full"),
    "discriminative": ("pretrained", "discriminative"),
    "medical": ("medical", "full"),
    "medical_probe": ("medical", "probe"),
    "unrelated": ("unrelated", "full"),
}
MAIN = ["scratch", "linear_probe", "full"]
CONTROLS = ["scratch_large", "scratch_small"]
SCRATCH = [arm for arm in CONTROLS if arm in scratch_networks]  # `scratch` is the one that validation prefers
if not SCRATCH or set(scratch_networks) - set(CONTROLS):
    raise errors.MedtlError(
        f"scratch_networks: found {scratch_networks}, expected one or both of {', '.join(CONTROLS)}; "
        "change -p scratch_networks"
    )
study.require_known("variants", variants, [arm for arm in ARMS if arm not in {*MAIN, *CONTROLS}])


@study.Study.artifact
def source_weights(text: str, seed: int) -> dict:
    """A network trained from nothing on another archive: its tensors by name, and its input normalisation."""
    source = transfer.Source.parse(text)
    if source.dataset == dataset and source.domain in ("", domain):
        raise errors.MedtlError(
            f"source: found {text}, which holds the target itself; name another archive or domain"
        )
    made, card = transfer.pretrain(
        backbone, [source], image_size=image_size, steps=pretrain_steps, batch_size=batch_size, seed=seed
    )
    tensors = {f"tensor {name}": array(value) for name, value in made.network.state_dict().items()}
    return {**tensors, "mean": np.array(made.normalisation.mean), "std": np.array(made.normalisation.std),
            "val_auroc": np.array(card["val_auroc"])}  # fmt: skip


def begin(name: str, start: str, cut: str, seed: int) -> networks.Backbone:
    """The network `name`, up to `cut` if one is given, with the weights of `start` and a fresh head for this seed."""
    if start == "small":
        return networks.small_cnn(num_classes=CLASSES, seed=seed)
    model = networks.build(
        name, num_classes=CLASSES, pretrained=start in ("pretrained", "moments"), seed=seed
    )
    if start == "moments":
        transfer.mean_var_init(model.network, seed)
    if start in ("medical", "unrelated"):
        found = source_weights(related if start == "medical" else unrelated, 0)
        head = set(networks.head_of(model.network).parameters())
        own = dict(model.network.named_parameters())
        body = {
            key: torch.from_numpy(found[f"tensor {key}"])
            for key in model.network.state_dict()
            if own.get(key) not in head
        }
        model.network.load_state_dict(body, strict=False)
        norm = data.Normalisation(*(tuple(found[key].tolist()) for key in ("mean", "std")))
        model = networks.Backbone(name, model.network, norm, start)
    return truncation.truncate(model, cut, num_classes=CLASSES, seed=seed) if cut else model


# %% [markdown]
# A run's predictions are an *artefact*: several studies below look at the same ones. Artefacts and finished trials
# are kept under a key made of the code, the arguments, the data and the weights; neither is ever computed twice.


# %%
@study.Study.artifact
def frozen(name: str, start: str, cut: str, part: str, n: int, seed: int) -> dict:
    """Pooled features of one part's images in a network that nothing has trained; `seed` draws images and weights."""
    model = begin(name, start, cut, seed)
    return {"features": array(training.FeatureSet.of(model, pixels(cases(part, n, seed))).features)}


def features_of(name: str, start: str, part: str, n: int, seed: int, cut: str = "") -> training.FeatureSet:
    """Features with labels. Only a random start has other weights, and so other test features, with each seed."""
    drawn = 0 if part == "test" and start != "random" else seed
    values = frozen(name, start, cut, part, 0 if part != "train" else n, drawn)["features"]
    index = cases(part, n, seed)
    return training.FeatureSet(*(torch.from_numpy(a).to(device) for a in (values, archive.labels[index])))


@study.Study.artifact
def fitted_arm(arm: str, n: int, rate: float, seed: int) -> dict:
    """Train one arm on n images at one rate; its scores on training and test images, and how validation went."""
    start, policy = ARMS[arm]
    model = begin(backbone, start, cut_after, seed)
    network = model.network.to(device)
    if policy == "probe":
        network, rate = networks.head_of(network), 10 * rate
        train, val, test = (
            features_of(backbone, start, part, n, seed, cut_after) for part in ("train", "val", "test")
        )
    else:
        train, val, test = (pixels(cases(part, n, seed)) for part in ("train", "val", "test"))
    batches = -(-n // batch_size)
    config = training.FitConfig(
        epochs=max(2, -(-steps // batches)),
        batch_size=batch_size,
        learning_rate=rate,
        patience=-(-patience // batches) or None,
    )
    what = policies.FULL if policy == "probe" else POLICIES[policy]
    done = training.fit(network, what, train, val, model.normalisation, config, seed=seed)
    return {
        "scores": training.predict(network, test, model.normalisation),
        "train_scores": training.predict(network, train, model.normalisation),
        "val_auroc": np.array(done.best["val_auroc"]),
        "val_loss": np.array(done.best["val_loss"]),
        "best_epoch": np.array(done.best_epoch),
        "best_step_share": np.array(done.best_epoch / config.epochs),
        "steps": np.array(done.steps),
    }


RATES = [0.0003, 0.001, 0.003]
FIRST_PILOT = 90


@study.Study.artifact
def piloted(arm: str, n: int, seed: int) -> dict:
    """What each rate of the grid reaches on validation images, mean over the pilot seeds from `seed` on."""
    runs = [[fitted_arm(arm, n, rate, pilot) for pilot in range(seed, seed + pilot_seeds)] for rate in RATES]
    return {
        each: np.array([np.mean([one[each] for one in row]) for row in runs])
        for each in ("val_auroc", "val_loss")
    }


def rate_of(arm: str, n: int) -> float:
    """The learning rate of an arm at a size: the pilots' best by validation AUROC, by the loss among equals."""
    if not pilot_seeds:
        return learning_rate
    found = piloted(arm, n, FIRST_PILOT)
    return max(zip(found["val_auroc"], -found["val_loss"], RATES, strict=True))[-1]


def trained(arm: str, n: int, seed: int) -> dict:
    """One arm, trained on n images at its own rate; `scratch` is the better of two by validation AUROC."""
    if arm != "scratch":
        return fitted_arm(arm, n, rate_of(arm, n), seed)
    both = [trained(each, n, seed) for each in SCRATCH]
    return max(both, key=lambda one: (one["val_auroc"], -one["val_loss"]))


# %% [markdown]
# A study is a grid of arms, seeds and factors around a function, the *trial*. This one measures a trained arm:

# %% tags=["nbval-ignore-output"]
DIRECTIONS = {
    **dict.fromkeys(["auroc", "auprc", "accuracy", "balanced_accuracy", "val_auroc"], "higher"),
    **dict.fromkeys(
        ["threshold", "train_auroc", "train_accuracy", "net_flips", "worst_class_change", "effective_rank"],
        "higher",
    ),
    **dict.fromkeys(
        [
            "brier",
            "ece",
            "train_loss",
            "generalisation_gap",
            "failed",
            "epochs_to_best",
            "best_step_share",
            "steps",
        ],
        "lower",
    ),
    **dict.fromkeys(
        ["log2_labels_needed", "log2_labels_needed_censored", "cost", "censored", "depth", "negative_flips"],
        "lower",
    ),
}
place = {
    "notebook": NOTEBOOK,
    "seeds": SEEDS,
    "data": archive,
    "source_domain": domain,
    "target_domain": domain,
    "n_test": len(TEST),
    "directions": DIRECTIONS,
}


def trial(arm: str, seed: int, n: int) -> dict:
    """What an arm, trained on n images, does on test and on training images."""
    found, test = trained(arm, n, seed), cases("test", n, seed)
    truth, own = archive.labels[test], archive.labels[cases("train", n, seed)]
    measured, on_train = (
        evaluation.all_metrics(truth, found["scores"]),
        evaluation.all_metrics(own, found["train_scores"]),
    )
    of_true_class = found["train_scores"][np.arange(n), own]
    return {
        **{name: value for name, value in measured.items() if name in DIRECTIONS},
        "val_auroc": found["val_auroc"].item(),
        "train_auroc": on_train["auroc"],
        "train_accuracy": on_train["accuracy"],
        "train_loss": float(-np.log(np.clip(of_true_class, 1e-12, 1)).mean()),
        "generalisation_gap": on_train["auroc"] - measured["auroc"],
        "failed": float(measured["auroc"] < 0.6),
        "epochs_to_best": float(found["best_epoch"]),
        "best_step_share": float(found["best_step_share"]),
        "steps": float(found["steps"]),
        "predictions": study.Predictions(cases=test, labels=truth, scores=found["scores"]),
    }


def learning_curve(arms: list[str], sizes: list[int]) -> pd.DataFrame:
    return study.Study("learning_curve", trial=trial, arms=arms, factors={"n": sizes}, **place).run()


FROZEN = ["linear_probe", *(arm for arm in ["random_probe"] if arm in variants)]
others = [arm for arm in variants if arm not in FROZEN]
curves = [learning_curve(FROZEN, train_sizes)]  # what needs no training comes first
curves += [learning_curve(["full", *SCRATCH, "scratch"], train_sizes)]
records = pd.concat(curves, ignore_index=True)
smallest = records[records.n == train_sizes[0]]
if others:
    smallest = pd.concat([smallest, learning_curve(others, train_sizes[:1])])
CURVE = {"notebook": NOTEBOOK, "study": "learning_curve", "labels": LABELS}
show.side_by_side(show.plot_curves, records, "auroc", "n", x_scale="log2", arms=MAIN, **CURVE)

# %% [markdown]
# *Which learning rate did the pilots choose?* And was the budget long enough? A "no" in the last column says that in
# more than a fifth of the seeds training was still getting better when the budget ended.

# %% tags=["nbval-ignore-output"]
if pilot_seeds:
    FITTED = [*FROZEN, "full", *SCRATCH]
    chosen_rates = {LABELS[arm]: [f"{rate_of(arm, n):g}" for n in train_sizes] for arm in FITTED}
    display(show.TextTable(chosen_rates, index=pd.Index(train_sizes, name=LABELS["n"])))
display(show.convergence_table(records, labels=LABELS))
kept = show.convergence_table(show.reference_records(NOTEBOOK, "learning_curve"), labels=LABELS)
kept if len(kept) else show.Prose("The reference run was made before this was recorded.")

# %% [markdown]
# *What is the advantage of the weights worth?* In numbers, for every size and data set:

# %% tags=["nbval-ignore-output"]
show.in_both_runs(show.difference_sentence, records, "full", "scratch", "auroc", by="n", **CURVE)

# %% [markdown]
# How far training from scratch lies behind depends on how fair the control is. An earlier run compared with the large
# network after a few steps, and the advantage on chest X-rays seemed many times larger than it is now: it measured the
# weakness of the control. "Challenging", the survey's word for training from scratch (C018), can mean a worse mean, a
# larger spread, or runs that fail altogether: we call a run failed when its test AUROC stays below .6, hardly better
# than a coin.
#
# *How far is training from test?* On top the gap between training and test AUROC (C005), below it the accuracy on
# training images (C019), which can reach its ceiling by memorising alone.

# %% tags=["nbval-ignore-output"]
for metric in ("generalisation_gap", "train_accuracy"):
    display(show.side_by_side(show.plot_curves, records, metric, "n", x_scale="log2", arms=MAIN, **CURVE))

# %% [markdown]
# ### Is transfer better than scratch (C006), and frozen worse than tuned (C021)?
#
# Whether the intervals of two arms overlap does not settle the matter. The arms of one seed share their training
# images, so what counts is the *difference within each seed*. Its interval is the paired t-interval: the mean
# difference, plus or minus a t-quantile times the standard error. By hand, and by the package:


# %% tags=["nbval-ignore-output"]
def paired_interval_by_hand(treatment: np.ndarray, control: np.ndarray) -> tuple[float, float, float]:
    difference = np.asarray(treatment) - np.asarray(control)
    n = len(difference)
    half = stats.t.ppf(0.975, df=n - 1) * difference.std(ddof=1) / np.sqrt(n)
    return difference.mean(), difference.mean() - half, difference.mean() + half


if seeds > 1:
    largest = records[(records.n == train_sizes[-1]) & (records.metric == "auroc")]
    per_seed = largest.pivot(index="seed", columns="arm", values="value")
    package = evaluation.paired_t(per_seed["full"], per_seed["scratch"])
    hand = paired_interval_by_hand(per_seed["full"], per_seed["scratch"])
    assert np.allclose(hand, (package.estimate, package.low, package.high))
PAIRS = [("full", "scratch"), ("linear_probe", "scratch"), ("full", "linear_probe")]
show.side_by_side(
    show.plot_differences, records, PAIRS, "auroc", by="n", claim="C006",
    where=lambda table: table.n == (64 if 64 in set(table.n) else table.n.min()), **CURVE,
)  # fmt: skip

# %% [markdown]
# The grey band is the smallest effect that the register calls interesting. An interval to the right of it is what the
# word "effective" asks for. Its width tells how sure we are; with few seeds it is wide even when every single run
# points the same way.
#
# The last row of each group compares tuned with frozen. To the right, tuning has found something in the target images
# that the frozen features did not offer to a linear rule. To the left, moving all weights with few images has done
# more harm than good, and the cheap probe is also the better classifier. The survey's sources disagree: Kim et al.
# recommend frozen features to save cost (I01), Shin et al. found them the weakest of three (I02). What this run and the
# reference found:

# %% tags=["nbval-ignore-output"]
show.in_both_runs(show.difference_sentence, records, "full", "linear_probe", "auroc", by="n", **CURVE)

# %% [markdown]
# ### Taking the gain apart
#
# *Which part of full fine-tuning's result at the smallest size comes from the pattern in the weights, and which from
# scale, architecture, policy or source?* Each row is an arm minus training from scratch, on the same images.

# %% tags=["nbval-ignore-output"]
BROAD = "results/teach-cpu"  # the kept run in which all these arms were trained
wide = show.reference_records(NOTEBOOK, "learning_curve", reference=BROAD, datasets=["chest_xray_64"])
wide = wide[wide.n == wide.n.min()]
mine = [(arm, "scratch") for arm in ARMS if arm in (*MAIN, *variants)]
kept_pairs = [(arm, "scratch") for arm in ARMS if arm in set(wide.arm)]
show.panels(
    [
        lambda axes: show.plot_differences(
            smallest, mine, "auroc", claim="C006", labels=LABELS, axes=axes,
            title=f"this run: {train_sizes[0]} images",
        ),
        lambda axes: show.plot_differences(
            wide, kept_pairs, "auroc", claim="C006", labels=LABELS, axes=axes,
            title=f"reference: {wide.n.min():.0f} chest X-rays",
        ),
    ],
    same_range=True,
)  # fmt: skip

# %% [markdown]
# Read the reference from the bottom up. In this older run all arms had one rate and few steps, so that its control from
# scratch is a weak one: compare its rows with each other and not with the fair comparison above. A network that was
# pretrained on a few thousand other images, related or not, shows no clear gain over it: relatedness does not make up
# for the small source (C013), and neither source does harm (C093). The features of a random network and the bare mean
# and variance of the weights gain nothing: what counts is the *pattern* in the ImageNet weights, not their scale and
# not the architecture. All ways of using that pattern gain about the same, except the slow rates for early layers,
# which get less far in so few steps.
#
# Which depth of tuning is best can differ from task to task, so the depth that each seed would choose **on its
# validation images** becomes a record, and the register compares it between data sets (C023). How many labels an arm
# needs for a target (next section) is read off here as well.

# %% tags=["nbval-ignore-output"]
DEPTHS = ["linear_probe", "last_stage", "last_three", "full"]
CHOSEN_FROM = [arm for arm in DEPTHS if arm in (*MAIN, *variants)]


def depth_choice(arm: str, seed: int) -> dict:
    """The depth of tuning with the best validation AUROC: 0 head only, 1 last stage, 2 last three, 3 all."""
    best = max(CHOSEN_FROM, key=lambda each: trained(each, train_sizes[0], seed)["val_auroc"])
    return {"depth": float(DEPTHS.index(best))}


def need_of(arm: str, seed: int) -> dict:
    """Labels that one arm needs with one seed to reach the target, from that seed's own learning curve."""
    curve = [
        evaluation.auroc(archive.labels[cases("test", n, seed)], trained(arm, n, seed)["scores"])
        for n in train_sizes
    ]
    need, censored = evaluation.labels_needed(target_auroc, train_sizes, curve)
    return {
        "log2_labels_needed": np.log2(need),
        "log2_labels_needed_censored": float(censored),
        "cost": need * cost_per_label,
        "censored": float(censored),
    }


depths = study.Study("depth_choice", trial=depth_choice, arms=["validated"], **place).run(False, workers=1)
needs = None
if len(train_sizes) > 1:
    needs = study.Study("label_need", trial=need_of, arms=MAIN, **place).run(False, workers=1)
chosen = [LABELS[DEPTHS[int(depth)]] for depth in depths.value]
kept_depths = show.reference_records(
    NOTEBOOK, "depth_choice", reference=BROAD, datasets=["chest_xray_64"]
).value
counts = {LABELS[arm]: int((kept_depths == i).sum()) for i, arm in enumerate(DEPTHS)}
show.Prose(
    f"Validation chose, seed by seed: {', '.join(chosen)} (of {', '.join(LABELS[arm] for arm in CHOSEN_FROM)}). "
    f"Of the {len(kept_depths)} seeds of the reference on chest X-rays it chose "
    + ", ".join(f"{name} {count} times" for name, count in counts.items() if count)
    + "."
)

# %% [markdown]
# ### How many labels is a pretrained network worth? (C014, C019, C082)
#
# The second promise of transfer learning is economy: the same performance from fewer labelled images. Fix a target
# AUROC, read off each arm's learning curve how many images it needs, and compare on a logarithmic scale, where one
# unit is a factor of two. If a run reaches the target with the smallest set, that size is recorded and the true need is
# smaller; if it never does, the largest size is recorded and the true need is larger. Both are *censored*. It takes
# several training sizes, so the default run does not measure it.

# %% tags=["nbval-ignore-output"]
NEED = {"notebook": NOTEBOOK, "study": "label_need", "labels": LABELS}
for metric, bounds in {"log2_labels_needed": None, "censored": (0.0, 1.0)}.items():
    display(show.side_by_side(show.plot_arms, needs, metric, arms=MAIN, bounds=bounds, **NEED))
kept = [show.reference_records(NOTEBOOK, name) for name in ("label_need", "learning_curve")]
rows = []
for run, (found, curve) in {"this run": (needs, records), "reference": kept}.items():
    for (name, part), group in found.groupby(["dataset", "source_domain"]) if found is not None else ():
        least = curve[(curve.dataset == name) & (curve.source_domain == part)].n.min()
        per_run = group.pivot(index=["arm", "seed"], columns="metric", values="value")
        bound, at_start = per_run.censored == 1, np.isclose(per_run.log2_labels_needed, np.log2(least))
        for arm in MAIN:
            rows.append(
                {
                    "run": run,
                    "images": LABELS.get(name, name) + (f" ({LABELS.get(part, part)})" if part else ""),
                    "arm": LABELS[arm],
                    "seeds": len(bound[arm]),
                    "reached with the smallest set": (bound & at_start)[arm].sum(),
                    "never reached": (bound & ~at_start)[arm].sum(),
                }
            )
show.TextTable(rows)

# %% [markdown]
# The table counts the censored runs. A difference between two arms is no estimate where one of the needs is only a
# bound: it can be too large or too small. On the Kermany X-rays most runs reach the target with the smallest set, and
# on the NIH X-rays, whose target is lower, all do. These panels say only that. Where more than a fifth of an arm's
# seeds are censored, no verdict rests on it.
#
# ### Is it this backbone? (C020)
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


def family(arm: str, seed: int, backbone: str) -> dict:
    """Logistic regression on frozen features of one backbone, pretrained or random."""
    train, test = (features_of(backbone, arm, part, train_sizes[-1], seed) for part in ("train", "test"))
    scale = preprocessing.StandardScaler().fit(array(train.features))
    probe = linear_model.LogisticRegression(C=0.01, max_iter=2000)
    probe.fit(scale.transform(array(train.features)), array(train.labels))
    scores = probe.predict_proba(scale.transform(array(test.features)))
    return {
        "auroc": evaluation.auroc(array(test.labels), scores),
        "effective_rank": effective_rank(array(train.features)),
    }


def network_of(arm: str, seed: int) -> dict:
    """The pretrained network `arm`, so that networks can be compared with each other."""
    return family("pretrained", seed, arm)


assert np.isclose(effective_rank(np.vstack([np.eye(3), -np.eye(3)])), 3.0)  # three equal directions
had = []
for name in backbones:
    try:
        networks.weights_source(name)
        had.append(name)
    except errors.MedtlError as error:
        print(f"left out: {LABELS.get(name, name)} ({str(error).split(';')[0][:110]})")
families = study.Study(
    "families", trial=family, arms=["pretrained", "random"], factors={"backbone": had}, **place
).run(False, workers=1)
if len(had) > 1:
    study.Study("networks", trial=network_of, arms=had, **place).run(False, workers=1)
FAMILIES = {"notebook": NOTEBOOK, "study": "families", "labels": LABELS, "reference": BROAD}
show.side_by_side(show.plot_arms, families, "auroc", by="backbone", datasets=["chest_xray_64"], **FAMILIES)

# %% tags=["nbval-ignore-output"]
show.side_by_side(
    show.plot_arms, families, "effective_rank", by="backbone", datasets=["chest_xray_64"], **FAMILIES
)

# %% [markdown]
# The upper figure says whether the *weights* carry features: on the chest X-rays pretrained features lead for all three
# networks. The lower figure says how many directions the features span. The two do not go together: random features
# can span more directions than pretrained ones, and VGG-16, with the fewest, is among the best. Many directions are
# not yet useful directions.
#
# ## What it means for a case
#
# The survey's conclusion speaks of accurate outcomes *for each patient* and of *precise insights* for clinicians.
# Averages cannot answer either. A **negative flip** is a test case that scratch gets right and transfer gets wrong:
# it counts the patients for whom the better average was a change for the worse (C092); the *net* flips are the gain
# in accuracy.


# %% tags=["nbval-ignore-output"]
def consequences(arm: str, seed: int, n: int) -> dict:
    """What changes for single cases and classes when `arm` takes the place of training from scratch."""
    truth = archive.labels[cases("test", n, seed)]
    before, after = trained("scratch", n, seed)["scores"], trained(arm, n, seed)["scores"]
    right_before, right_after = before.argmax(1) == truth, after.argmax(1) == truth
    change = evaluation.recall_per_class(truth, after) - evaluation.recall_per_class(truth, before)
    return {
        "negative_flips": float((right_before & ~right_after).mean()),
        "net_flips": float(right_after.mean() - right_before.mean()),
        "worst_class_change": float(change.min()),
    }


per_case = study.Study(
    "consequences", trial=consequences, arms=["scratch", "full"], factors={"n": train_sizes}, **place
).run(False, workers=1)
FLIPS = {"notebook": NOTEBOOK, "study": "consequences", "labels": LABELS}
for metric, bounds in {"negative_flips": (0.0, 1.0), "net_flips": (-1.0, 1.0)}.items():
    display(
        show.side_by_side(
            show.plot_curves, per_case, metric, "n", x_scale="log2", arms=["full"], bounds=bounds, **FLIPS
        )
    )

# %% [markdown]
# In this run more cases are put right than wrong. In the reference the mean balance is negative on breast ultrasound
# and on the Kermany X-rays at the two smallest sizes, and positive on both with more images. Everywhere some of the
# cases that a network from scratch gets right are lost. That makes "each patient" false: it is a word about every case,
# and one counter-example refutes it.
#
# If the network is to assist (C017), one should look at the *team*: the network answers the half of the cases that it
# is surest of, a reader of stated accuracy answers the rest. The reader's accuracy is an assumption, so three are
# tried.


# %% tags=["nbval-ignore-output"]
def team(arm: str, seed: int, reader: float) -> dict:
    """Accuracy of the reader, of the network, and of both: the network answers the half that it is surest of.

    The team beats every reader whose accuracy is below the threshold, the network's own on that half.
    """
    truth, scores = TRUTH, trained("full", train_sizes[-1], seed)["scores"]
    right = scores.argmax(1) == truth
    surest = np.argsort(-scores.max(1), kind="stable")[: len(truth) // 2]
    together = (right[surest].sum() + reader * (len(truth) - len(surest))) / len(truth)
    accuracy = float({"reader": reader, "model": right.mean(), "team": together}[arm])
    return {"accuracy": accuracy, "threshold": float(right[surest].mean())}


deferral = study.Study(
    "deferral", trial=team, arms=["reader", "model", "team"], factors={"reader": [0.7, 0.8, 0.9]}, **place
).run(False, workers=1)
DEFERRAL = {"notebook": NOTEBOOK, "study": "deferral", "labels": LABELS}
show.side_by_side(
    show.plot_arms, deferral, "accuracy", by="reader", where=lambda table: table.reader == 0.8, **DEFERRAL
)

# %% tags=["nbval-ignore-output"]
for other in ("reader", "model"):
    display(
        show.in_both_runs(
            show.difference_sentence, deferral, "team", other, "accuracy", by="reader", **DEFERRAL
        )
    )

# %% [markdown]
# The figure takes a reader who is right in four cases of five. The team beats a reader exactly where the network, on
# the half that it is surest of, is right more often: that accuracy is the *threshold* in the records. A weaker reader
# may still do worse in the team than the network does alone. "A promising aid for those who read images" is therefore
# true for some pairs of reader and network and false for others, and a reader whose mistakes fall on the same hard
# cases would gain less.
#
# *Can the probability be believed?* The expected calibration error is the mean distance between the stated
# probability and the observed share of right answers; 0 is perfect (C097).

# %% tags=["nbval-ignore-output"]
show.side_by_side(show.plot_curves, records, "ece", "n", x_scale="log2", arms=MAIN, **CURVE)

# %% [markdown]
# *Does confidence sort the cases?* For this run, at the largest size and pooled over seeds: on the left the
# reliability of the probabilities (a calibrated network lies on the diagonal), on the right the error among the share
# of cases that the network is surest of (a useful confidence makes the curve fall to the left).

# %% tags=["nbval-ignore-output"]
figure, axes = plt.subplots(1, 2, figsize=(9.6, 3.6))
colours, errs = show.colours_of(MAIN), []
for arm in ("scratch", "full"):
    pooled = np.concatenate([trained(arm, train_sizes[-1], seed)["scores"] for seed in SEEDS])
    truth = np.tile(TRUTH, seeds)
    table = evaluation.reliability_table(truth, pooled, bins=10)
    table = table[table["count"] >= 10]
    axes[0].plot(table.confidence, table.accuracy, "o-", color=colours[arm], label=LABELS[arm])
    wrong = (pooled.argmax(1) != truth)[np.argsort(-pooled.max(1), kind="stable")]
    coverage = np.arange(1, len(wrong) + 1) / len(wrong)
    few, fifth = (
        len(wrong) // 20,
        len(wrong) // 5,
    )  # an error among fewer cases than a twentieth is mostly chance
    errs.append(
        f"With {LABELS[arm]} the error is {wrong[:fifth].mean():.0%} among the surest fifth of the cases and "
        f"{wrong.mean():.0%} among all."
    )
    axes[1].plot(coverage[few:], (np.cumsum(wrong) / np.arange(1, len(wrong) + 1))[few:], color=colours[arm])
axes[0].plot([0, 1], [0, 1], ":", color="grey", label="calibrated")
axes[0].set(
    xlabel="confidence (probability of the predicted class)",
    ylabel="accuracy",
    xlim=(0.3, 1.02),
    ylim=(0, 1.02),
)
axes[0].legend(loc="lower right")
axes[1].set(xlabel="share of cases answered, surest first", ylabel="error among them", ylim=(0, 0.7))
plt.tight_layout()
plt.show()
show.Prose(" ".join(errs))

# %% [markdown]
# On the diagonal a probability means what it says; below it, the network is right less often than it claims. A curve
# that falls to the left says that confidence is worth something for *ranking*. "Precise insights" (C097) thus need two
# checks, and neither is an AUROC.
#
# ## Verdicts
#
# First what the reference run says about each statement, in a sentence. *Exploratory* means that the rule was written
# after its records were taken: new seeds or new images have to confirm it. Then the rules of the register, applied to
# the records that this run directory holds. Phantoms show how a method works; they are never evidence about medical
# images. Fewer than five seeds never make a verdict.

# %% tags=["nbval-ignore-output"]
display(show.statement_sentences(NOTEBOOK))
show.notebook_verdicts(NOTEBOOK)

# %% [markdown]
# ## What this does not show
#
# - **One backbone, small images.** The default network is small and its inputs are far below the resolution that it
#   was trained at. Larger networks and larger images may behave differently.
# - **Small numbers of seeds and cases.** The interval over seeds speaks about repeating the training on this data set.
#   It does not speak about other hospitals. Where the test set is small, the choice of test cases adds uncertainty of
#   its own.
# - **A budget of steps.** In the default run all arms share one learning rate and one short budget. With `pilot_seeds`
#   and `patience`, as in the profile `reference`, every arm has its own rate and trains until validation stops
#   improving; the table of convergence says where even that was too short.
# - **A small grid.** Three learning rates and no other search: a better recipe may exist for every arm.
# - **The counter-evidence.** Raghu et al. (2019), whom the survey does not cite, trained on hundreds of thousands of
#   retinal images and found next to no gain from ImageNet weights at that size, and that what is reused sits in the
#   lowest layers (I15). Whether the gain shrinks with the training size is therefore part of the rule for C006.
# - **Phantoms.** Their lesions are drawn by a program. A network that does well on them has learnt that program.
#
# ## Exercises
#
# Each exercise has a check that says what it found and why an answer may be wrong. Set the answer, run the cell, and
# compare with the solution below it.
#
# **1. Counting parameters.** A linear head takes `d` features to `k` classes. How many parameters does it have? Write
# the formula, not the number.

# %%
answer_1 = None  # for example: lambda d, k: ...


def head_case(k: int) -> tuple:
    """Features and classes of a real head, and its parameters, counted."""
    head = networks.head_of(networks.build(backbone, num_classes=k, pretrained=False, seed=0).network)
    return (head.in_features, k), sum(p.numel() for p in head.parameters())


check_1 = show.Check(
    1,
    wants="a function of (d, k) that returns the number of parameters of the head",
    cases=[head_case(2), head_case(5)],
    misconceptions=[
        show.Misconception(lambda d, k: d * k, "each class has a bias, too"),
        show.Misconception(lambda d, k: d * k + 1, "there is one bias for each class, not one for all"),
        show.Misconception(lambda d, k: d * k + d, "biases belong to the outputs, not to the inputs"),
    ],
)
check_1(answer_1)

# %% tags=["solution"]
check_1(lambda d, k: d * k + k)

# %% [markdown]
# **2. Half an interval.** You measure a paired difference with standard deviation `s` over `n` seeds. Write a function
# that returns the half-width of its 95 % interval, and find out how many seeds are needed to bring it below .01 when
# `s` is .02.

# %%
answer_2 = None  # for example: lambda s, n: ...


def interval_case(n: int) -> tuple:
    """Spread and number of some values, and the half-width of their interval."""
    values = np.random.default_rng(n).normal(0, 0.02, n)
    interval = evaluation.mean_t(values)
    return (values.std(ddof=1), n), interval.estimate - interval.low


check_2 = show.Check(
    2,
    wants="a function of (s, n) that returns half the width of the interval",
    cases=[interval_case(3), interval_case(12)],
    misconceptions=[
        show.Misconception(
            lambda s, n: 1.96 * s / np.sqrt(n), "1.96 is for many seeds; few seeds need the t-quantile"
        ),
        show.Misconception(
            lambda s, n: stats.t.ppf(0.975, n) * s / np.sqrt(n), "n seeds leave n - 1 degrees of freedom"
        ),
        show.Misconception(
            lambda s, n: stats.t.ppf(0.95, n - 1) * s / np.sqrt(n), "95 % two-sided leaves 2.5 % at each end"
        ),
        show.Misconception(
            lambda s, n: stats.t.ppf(0.975, n - 1) * s, "the mean of n seeds scatters less than one seed"
        ),
    ],
)
check_2(answer_2)


# %% tags=["solution"]
def half_width(s: float, n: int) -> float:
    return stats.t.ppf(0.975, n - 1) * s / np.sqrt(n)


check_2(half_width)
print("seeds needed:", next(n for n in range(2, 100) if half_width(0.02, n) < 0.01))

# %% [markdown]
# **3. Thaw two stages more.** Which share of the network's parameters does the policy that thaws the last *two*
# stages train? Predict it from the two bars on the right end of the figure of the stages, then compute it with
# `policies.set_mode` as in the table of policies.

# %%
answer_3 = None  # a number between 0 and 1


def share_of(policy) -> float:
    """Share of the parameters that a policy trains in its first phase."""
    network = fresh_network()
    policies.set_mode(network, policy.phases(network)[0])
    return sum(p.numel() for p in network.parameters() if p.requires_grad) / size_of.parameters


check_3 = show.Check(
    3,
    wants="a share between 0 and 1",
    expected=share_of(policies.last_stages(2)),
    misconceptions=[
        show.Misconception(share_of(policies.last_stages(1)), "that is the last stage alone"),
        show.Misconception(share_of(policies.last_stages(3)), "those are the last three stages"),
        show.Misconception(100 * share_of(policies.last_stages(2)), "a share, not per cent"),
    ],
    hint="sum the parameters that require a gradient, and divide by all of them",
    tolerance=5e-4,
)
check_3(answer_3)

# %% tags=["solution"]
tuned = fresh_network()
policies.set_mode(tuned, policies.last_stages(2).phases(tuned)[0])
check_3(
    sum(p.numel() for p in tuned.parameters() if p.requires_grad) / sum(p.numel() for p in tuned.parameters())
)

# %% [markdown]
# ## References
#
# - Gu, C. (2024). Enhancing medical image classification with convolutional neural networks through transfer learning: a
#   comprehensive review. *Applied and Computational Engineering* 35, 280-284. The survey under test.
# - Kim, H. E. et al. (2022). [Transfer learning for medical image classification: a literature review](https://doi.org/10.1186/s12880-022-00793-7).
#   *BMC Medical Imaging* 22, 69. Recommends frozen features of deep networks.
# - Kumar, A. et al. (2022). [Fine-tuning can distort pretrained features and underperform out-of-distribution](https://arxiv.org/abs/2202.10054).
#   *ICLR*. Linear probe then fine-tuning.
# - Howard, J., Ruder, S. (2018). [Universal language model fine-tuning for text classification](https://arxiv.org/abs/1801.06146). *ACL*. Discriminative rates.
# - Raghu, M. et al. (2019). [Transfusion: understanding transfer learning for medical imaging](https://arxiv.org/abs/1902.07208). *NeurIPS*. Counter-evidence.
# - Shin, H. C. et al. (2016). [Deep convolutional neural networks for computer-aided detection](https://doi.org/10.1109/TMI.2016.2528162).
#   *IEEE TMI* 35(5), 1285-1298. Scratch, frozen and fine-tuned compared.
# - Tan, M., Le, Q. (2019). [EfficientNet: rethinking model scaling for convolutional neural networks](https://arxiv.org/abs/1905.11946). *ICML*. The family
#   of the default backbone.
