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
# # Interpretability: what an explanation can be trusted with
#
# A network says *malignant*. The next question is always *why*, and there are a dozen methods that answer with a coloured
# map. This notebook takes those maps seriously enough to test them. First on networks of two pixels, where the right
# answer is known on paper. Then on real networks, where nobody knows the right answer, so that each map has to beat
# maps that have not looked at the network at all.
#
# **Afterwards you will be able to**
#
# 1. name the four problems of Guidotti and colleagues, and say which of them a given method answers;
# 2. compute gradients, integrated gradients, occlusion and Shapley values on paper, and say where they differ;
# 3. write Grad-CAM yourself, and say how finely a map really resolves the image;
# 4. judge a map: against a mask, against the network, against random weights, and against a control;
# 5. find a shortcut that the test score hides, and say how a truncated network is easier to explain.
#
# You should know what a convolution, a gradient and AUROC are (notebook 01) and what a pretrained network is
# (notebook 02). The methods take about fifty minutes, the studies half an hour, the exercises a quarter.
#
# **The statements that this notebook tests**, in our own words and drawn from the register:

# %%
from medtl_core import reporting as show

show.statements_table("07_interpretability")

# %% [markdown]
# The rules behind these statements live in `claims.yaml`. Every study is shown twice: *this run* is what your machine
# measured with the parameters below, *reference* is a longer run on real images whose records come with the project.
# A statement of notebook 11, that reasons matter in diagnosis (C086), comes back here in the section on shortcuts.
#
# ## Parameters
#
# The defaults explain one network on phantoms and look for a planted shortcut; that is half a minute. `studies` names
# what else may be measured.

# %% tags=["parameters"]
dataset: str = "phantoms"  # archive to learn from; a data set with masks
domain: str = ""  # keep only this domain of the archive, empty for all of it; a domain
backbone: str = "tf_efficientnet_lite0"  # pretrained network, by its timm name; a network
cut_after: str = "blocks.3.2"  # block after which the network ends, empty for all of it; any
lower_cut: str = "blocks.2.1"  # a lower cut, for the section on truncation; any
image_size: int = 64  # pixels, side that images are brought to; 56 to 224
train_size: int = 300  # training images; 20 to 100000
val_size: int = 100  # validation images at most, used to choose the best epoch; 10 to 10000
test_size: int = 300  # test images at most; 20 to 100000
seeds: int = 3  # random seeds, each with its own training subset and images to explain; 1 to 50
first_seed: int = 0  # the first of them; 0 to 100000
fine_tune_steps: int = 0  # steps of fine-tuning after the linear probe, 0 for the probe alone; 0 to 100000
batch_size: int = 32  # images a step; 4 to 512
learning_rate: float = 0.0005  # AdamW's learning rate in fine-tuning; 0.000001 to 0.1
judged: int = 12  # images a seed whose maps are judged; 4 to 1000
few: int = 6  # images a seed where maps are drawn many times over; 2 to 1000
imitated: int = 400  # images whose answers a surrogate imitates, at most; 60 to 100000
phantom_images: int = 400  # phantoms of the planted shortcut, redrawn for each seed; 200 to 100000
methods: list[str] = [
    "gradient",
    "integrated_gradients",
    "guided_backpropagation",
    "grad_cam",
    "occlusion",
]  # methods that the studies compare; any
studies: list[str] = ["shortcut"]  # what is measured here, the rest is shown from the reference; any

# %% [markdown]
# ## Set-up

# %% tags=["nbval-ignore-output"]
from dataclasses import replace
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from skimage import feature, filters, measure
from sklearn import linear_model, pipeline, preprocessing, tree

# %% tags=["nbval-ignore-output"]
from medtl_core import backbones as networks
from medtl_core import data, evaluation, evidence, explanation, study, training, truncation

show.use_style()
judges = explanation.judges
NOTEBOOK = "07_interpretability"
CONTROLS = ["random_map", "sobel", "centre"]
LABELS = {
    "gradient": "gradients",
    "smoothgrad": "SmoothGrad",
    "integrated_gradients": "integrated gradients",
    "guided_backpropagation": "guided backpropagation",
    "grad_cam": "Grad-CAM",
    "hires_cam": "HiRes-CAM",
    "score_cam": "Score-CAM",
    "occlusion": "occlusion",
    "lime": "LIME",
    "kernel_shap": "KernelSHAP",
    "gradient_shap": "gradient SHAP",
    "random_map": "random map",
    "sobel": "edge detector",
    "centre": "middle of the image",
    "all_pairs": "all pairs of methods",
    "mass_in_mask": "share of the map on the object",
    "pointing_game": "share of maps that point at the object",
    "deletion": "mean probability during deletion (lower is better)",
    "insertion": "mean probability during insertion",
    "map_correlation": "rank correlation with the map before",
    "agreement": "rank correlation with other methods",
    "mark_hit": "share of maps that point at the mark",
    "edge_hit": "share of edge maps that point at the mark",
    "auroc_in_source": "AUROC where the mark goes with the class",
    "auroc_unbiased": "AUROC where marks are random",
    "mark_model": "the model of the mark",
    "lesion_model": "the model of the lesion",
    "network": "the network",
    "readable_model": "logistic regression on named features",
    "shallow_tree": "a tree of depth 3 on named features",
    "fidelity": "share of new images with the same answer",
    "majority": "share of the commonest answer",
    "depth": "depth of the tree",
    "whole": "the whole network",
    "cut": "the network of this lesson",
    "lower_cut": "a lower cut",
    "cam_gap": "Grad-CAM against HiRes-CAM (largest difference)",
    "randomised": "weights redrawn",
    "head": "head",
    "upper": "and upper\nstages",
    "all": "everything",
    "method": "method",
    "breast_ultrasound_128": "breast ultrasound",
    "white_blood_cells_96": "white blood cells",
    "nuclei_128": "nuclei",
}
STUDIES = ["judges", "sanity", "agreement", "shortcut", "surrogate", "transparent", "truncation"]
study.require_known("studies", studies, STUDIES)
study.require_known("methods", methods, explanation.method_names())
device = study.select_device()
study.seed_everything(0)
SEEDS = range(first_seed, first_seed + seeds)
print(f"{', '.join(studies)} on {dataset} at {image_size} px, {seeds} seeds, on {device}.")

# %% [markdown]
# ## The data
#
# The lesson needs images in which somebody has outlined the object: a lesion, a cell. Phantoms come with their mask.

# %% tags=["nbval-ignore-output"]
archive = data.sources.load(dataset)
parts = data.require_measurable(
    archive,
    domain=domain or None,
    train_sizes=[train_size],
    val_size=val_size,
    test_size=test_size,
    masks=True,
)
data.cards.card(archive, parts, data.sources.card(dataset))

# %% [markdown]
# *Where would you look?* Decide it now, for each class, before you see what the network does.

# %% tags=["nbval-ignore-output"]
used = np.sort(np.concatenate([parts.train, parts.val, parts.test]))  # all images, or those of one domain
data.cards.contact_sheet(archive.subset(used), per_class=5, seed=0)

# %% [markdown]
# A seed draws its own training subset, and its own test images to be explained. So the spread over seeds is also one
# over cases. Only images with an outlined object are judged.


# %%
def cases(part: str, n: int, seed: int) -> np.ndarray:
    """Cases for training, validation or test (the same for all seeds), or n of the test cases with a mask."""
    if part == "train":
        return data.nested_subset(archive.labels, parts.train, n, seed)
    if part == "judged":
        outlined = [case for case in cases("test", test_size, 0) if masks_of(np.array([case])).any()]
        return np.random.default_rng(seed).permutation(outlined)[:n]
    which = parts.val if part == "val" else parts.test
    return data.nested_subset(archive.labels, which, min(n, len(which)), seed if part == "val" else 0)


def pixels(index: np.ndarray) -> data.DeviceDataset:
    """The images of these cases at the size that the network gets."""
    return data.DeviceDataset.from_archive(archive, index, device, size=image_size)


def masks_of(index: np.ndarray) -> torch.Tensor:
    """Masks (N, H, W) of the object, booleans, at the size that the network gets."""
    masks = torch.from_numpy(archive.masks[index] > 0).float()[:, None]
    return torch.nn.functional.interpolate(masks, (image_size, image_size), mode="area")[:, 0] > 0.5


def pictures(images: torch.Tensor) -> np.ndarray:
    """Images uint8 (N, H, W), or (N, H, W, 3) in colour, for the page."""
    found = images.permute(0, 2, 3, 1).cpu().numpy()
    return found[..., 0] if found.shape[-1] == 1 else found


TEST = cases("test", test_size, 0)
CLASSES = archive.n_classes
example_cases = cases("judged", few, first_seed)
pd.DataFrame(
    {"training images of a seed": np.bincount(archive.labels[cases("train", train_size, 0)], minlength=CLASSES),
     "test images": np.bincount(archive.labels[TEST], minlength=CLASSES),
     "of them outlined": np.bincount(archive.labels[cases("judged", len(TEST), 0)], minlength=CLASSES)},
    index=pd.Index(archive.class_names, name="class"),
)  # fmt: skip

# %% [markdown]
# ## Four problems, not one (C085)
#
# Guidotti and colleagues (2018), whom the survey cites for the word *black box*, separate four questions. They are often
# mixed up, and a method that answers one of them says little about the others.

# %%
show.TextTable(
    {
        "problem": ["outcome explanation", "model explanation", "inspection", "transparent design"],
        "the question": [
            "why this answer for this image?",
            "what does the model do, as a whole, in terms that I can read?",
            "how does the answer change when I change one thing?",
            "why not build a model that can be read from the start?",
        ],
        "an answer has the form of": [
            "a map over the image",
            "a readable model that imitates it",
            "a curve, or a changed image",
            "rules, weights, similar cases",
        ],
        "here": [
            "attribution maps and their judges",
            "a surrogate tree",
            "the object is faded out",
            "named features, prototypes",
        ],
    }
)

# %% [markdown]
# Maps get most of this notebook, because they are what medicine uses most.
#
# ## Two pixels, answers on paper
#
# An *attribution* splits a score $f(x)$ among the pixels of $x$. Four ways, for two pixels $a$ and $b$ and a baseline
# of zeros, which stands for *no information*:
#
# - **gradient**: $\partial f / \partial a$, what an infinitesimal change would do;
# - **occlusion**: $f(a, b) - f(0, b)$, what is lost when the pixel is hidden;
# - **integrated gradients** (Sundararajan et al. 2017): $a \int_0^1 \partial_a f(t a, t b)\, dt$, the gradient collected on
#   the straight way from the baseline;
# - **Shapley value** (Lundberg and Lee 2017): what the pixel adds, averaged over the orders in which pixels can appear.
#
# The last two are *complete*: attributions sum to $f(x) - f(0)$. Four tiny networks show where the four disagree. Try
# the second one on paper before you run the cell.


# %%
class TwoPixels(torch.nn.Module):
    """Images (N, 1, 1, 2) -> logits (N, 2): nothing, and a function of the two pixels."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        score = self.function(x[:, 0, 0, 0], x[:, 0, 0, 1])
        return torch.stack([torch.zeros_like(score), score], dim=1)


relu = torch.relu
TOYS = {
    "3a - 2b": (lambda a, b: 3 * a - 2 * b, (1.0, 2.0)),
    "a + b, at most 1": (lambda a, b: 1 - relu(1 - a - b), (1.0, 1.0)),
    "a times b": (lambda a, b: a * b, (2.0, 3.0)),
    "the smaller of a and b": (lambda a, b: a - relu(a - b), (3.0, 1.0)),
}


def shapley_by_hand(f, a: float, b: float) -> tuple[float, float]:
    """Values of both pixels: the mean over the two orders of what each adds."""
    v = lambda x, y: float(f(torch.tensor(x), torch.tensor(y)))  # noqa: E731
    first = ((v(a, 0.0) - v(0.0, 0.0)) + (v(a, b) - v(0.0, b))) / 2
    return first, v(a, b) - v(0.0, 0.0) - first


def integrated_by_hand(f, a: float, b: float, steps: int = 10_000) -> tuple[float, float]:
    """Midpoint rule along the straight line from (0, 0) to (a, b)."""
    t = (torch.arange(steps) + 0.5) / steps
    at = torch.stack([t * a, t * b]).double().requires_grad_()
    (slopes,) = torch.autograd.grad(f(at[0], at[1]).sum(), at)
    return float(a * slopes[0].mean()), float(b * slopes[1].mean())


WAYS = {
    "gradient": {},
    "occlusion": {"patch": 1, "baseline": "zeros"},
    "integrated_gradients": {"steps": 500, "baseline": "zeros"},
    "kernel_shap": {"samples": 2, "segments": torch.tensor([[[0, 1]]]), "baseline": "zeros"},
}
rows, by_hand_gap = [], 0.0
for name, (function, point) in TOYS.items():
    x = torch.tensor(point).view(1, 1, 1, 2)
    found = {
        way: explanation.explain(TwoPixels(function), x, 1, way, **given).maps.flatten().tolist()
        for way, given in WAYS.items()
    }
    by_hand = {"integrated_gradients": integrated_by_hand, "kernel_shap": shapley_by_hand}
    gaps = [np.abs(np.subtract(found[way], hand(function, *point))).max() for way, hand in by_hand.items()]
    by_hand_gap = max(by_hand_gap, *gaps)
    told = {LABELS[way]: "{:.2f}, {:.2f}".format(*(round(v, 2) + 0.0 for v in found[way])) for way in WAYS}
    score = float(function(*torch.tensor(point)))
    rows.append({"network": name, "at (a, b)": str(tuple(map(int, point))), "score": round(score, 2), **told})
assert by_hand_gap < 0.01
show.TextTable(rows)

# %% [markdown]
# Only the linear network is beyond dispute. *Saturation* (second row) makes gradient and occlusion say that neither pixel
# matters, since one alone would do. In the third row occlusion blames each pixel for the whole score, so that its
# attributions sum to twice of it. In the last row all four are defensible and no two complete ones agree: integrated
# gradients give everything to $b$, which limits the score all along the way; Shapley halves it, since neither pixel
# achieves anything alone. **There is no one true attribution.** There are answers to different questions.
#
# *What does the integral collect?* The arrows are gradients along the way from the baseline, a cross is a gradient of zero.

# %% tags=["nbval-ignore-output"]
figure, axes = plt.subplots(1, 3, figsize=(10.2, 3.5), layout="constrained")
for axis, (name, (function, (a, b))) in zip(axes, list(TOYS.items())[1:], strict=True):
    far = 1.3 * max(a, b)
    grid = torch.linspace(0, far, 80)
    left, up = torch.meshgrid(grid, grid, indexing="xy")
    surface = axis.contourf(grid, grid, function(left, up), levels=12, cmap="Greys", alpha=0.7)
    axis.plot([0, a], [0, b], color="tab:blue", linewidth=1.2)
    axis.plot(a, b, "o", color="tab:blue")
    along = torch.stack([torch.linspace(0.08, 0.92, 6) * a, torch.linspace(0.08, 0.92, 6) * b])
    along.requires_grad_()
    (slopes,) = torch.autograd.grad(function(along[0], along[1]).sum(), along)
    arrows = slopes * 0.2 * far / max(float(slopes.norm(dim=0).max()), 1e-6)
    axis.quiver(
        *along.detach(),
        *arrows,
        color="tab:red",
        angles="xy",
        scale_units="xy",
        scale=1,
        width=0.018,
        zorder=3,
    )
    flat = slopes.norm(dim=0) == 0
    axis.plot(*along.detach()[:, flat], "x", color="tab:red", zorder=3)
    axis.set(title=name, xlabel="pixel a", aspect="equal")
    figure.colorbar(surface, ax=axis, shrink=0.8, label="score")
axes[0].set_ylabel("pixel b")
plt.show()

# %% [markdown]
# In the first panel the gradient is lost half-way: at the image itself there is none. That is the case for integration.
#
# ## A network to explain
#
# EfficientNet-Lite0 with ImageNet weights, cut after its fourth stage (notebook 03) with a linear head on the pooled
# maps. The head is a logistic regression on frozen features; with `fine_tune_steps` above 0 the whole network is then
# fine-tuned from there.


# %% tags=["nbval-ignore-output"]
def empty_network(cut: str, classes: int, seed: int) -> networks.Backbone:
    """The pretrained network up to a cut, with a linear head on pooled maps; `cut` empty: all of it."""
    found = networks.build(backbone, num_classes=classes, pretrained=True, seed=seed)
    end = cut or networks.cut_points(found.network)[-1]
    return truncation.truncate(found, end, num_classes=classes, seed=seed)


def probe(features: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights (K, D) and biases (K,) of a logistic regression; two classes share the odds evenly."""
    scale = preprocessing.StandardScaler().fit(features)
    fitted = linear_model.LogisticRegression(C=0.01, max_iter=2000).fit(scale.transform(features), labels)
    weights = fitted.coef_ / scale.scale_
    biases = fitted.intercept_ - weights @ scale.mean_
    if len(weights) == 1:
        weights, biases = np.vstack([-weights, weights]) / 2, np.append(-biases, biases) / 2
    return weights, biases


def with_head(model: networks.Backbone, weights: np.ndarray, biases: np.ndarray) -> networks.Backbone:
    head = model.network.get_classifier()
    head.load_state_dict({"weight": torch.from_numpy(weights), "bias": torch.from_numpy(biases)})
    return model


@study.Study.artifact
def trained(cut: str, seed: int) -> dict:
    """All weights of the network of one seed in a row, and where in its budget the best epoch lay."""
    train, val = pixels(cases("train", train_size, seed)), pixels(cases("val", val_size, seed))
    model = empty_network(cut, CLASSES, seed)
    model.network.to(device)
    features = training.FeatureSet.of(model, train)
    with_head(model, *probe(features.features.cpu().numpy(), features.labels.cpu().numpy()))
    share = 0.0
    if fine_tune_steps:
        epochs = max(2, round(fine_tune_steps / -(-len(train) // batch_size)))
        config = training.FitConfig(
            epochs=epochs, batch_size=batch_size, learning_rate=learning_rate, warmup=0.1
        )
        done = training.fit(
            model.network, training.policies.FULL, train, val, model.normalisation, config, seed=seed
        )
        share = done.best_epoch / epochs
    weights = [value.flatten().float().cpu() for value in model.network.state_dict().values()]
    return {"weights": torch.cat(weights).numpy(), "best_step_share": np.array(share)}


def network_of(cut: str, seed: int) -> networks.Backbone:
    """The trained network of one seed, in evaluation mode."""
    model = empty_network(cut, CLASSES, seed)
    state, row = model.network.state_dict(), torch.from_numpy(trained(cut, seed)["weights"])
    pieces = row.split([value.numel() for value in state.values()])
    kept = {name: piece.view(value.shape).to(value.dtype)
            for (name, value), piece in zip(state.items(), pieces, strict=True)}  # fmt: skip
    model.network.load_state_dict(kept)
    model.network.to(device).eval()
    return model


def scored(cut: str, seed: int, index: np.ndarray) -> np.ndarray:
    """Class probabilities (N, K) of these cases."""
    model = network_of(cut, seed)
    return training.predict(model.network, pixels(index), model.normalisation)


model = network_of(cut_after, first_seed)
network = model.network
test_auroc = evaluation.auroc(archive.labels[TEST], scored(cut_after, first_seed, TEST))
print(f"AUROC of the network to be explained, on {len(TEST)} test images: {test_auroc:.2f}")

# %% [markdown]
# Explanations explain the *answer that was given*, so the target is the predicted class, right or wrong.
#
# ### Grad-CAM, by hand
#
# Grad-CAM (Selvaraju et al. 2017) takes the maps $A_k$ of one layer, weighs each by the mean gradient of the score,
# adds them and keeps what is positive: $\mathrm{ReLU}\big(\sum_k a_k A_k\big)$ with $a_k = \frac{1}{hw}\sum_{ij} \partial y / \partial A_k^{ij}$.
# The map is as coarse as the layer. At 64 pixels the last layer of the whole network has four cells in all, so the
# package picks the deepest layer with at least 8 x 8.


# %%
def layer_sides(network: torch.nn.Module, x: torch.Tensor) -> list[int]:
    """Side of the map after each unit of a network, in cells."""
    sides = []
    with torch.no_grad():
        for unit in network.units:
            x = unit(x)
            sides.append(x.shape[-1])
    return sides


def grad_cam_by_hand(network, x: torch.Tensor, target: torch.Tensor, end: int) -> torch.Tensor:
    """Maps (N, H, W) read after unit number `end`, for images x (N, C, H, W) and classes (N,)."""
    with torch.no_grad():
        for unit in network.units[: end + 1]:
            x = unit(x)
    maps = x.clone().requires_grad_()
    value = maps.clone()
    for unit in network.units[end + 1 :]:
        value = unit(value)
    score = network.forward_head(value).gather(1, target[:, None]).sum()
    (gradients,) = torch.autograd.grad(score, maps)
    weighed = (gradients.mean((2, 3), keepdim=True) * maps.detach()).sum(1, keepdim=True)
    return torch.nn.functional.interpolate(relu(weighed), (image_size, image_size), mode="bilinear")[:, 0]


example = pixels(example_cases)
x, masks = example.inputs(slice(None), model.normalisation), masks_of(example_cases)
with torch.no_grad():
    target = network(x).argmax(1)
sides = layer_sides(network, x[:1])
end = max(i for i, side in enumerate(sides) if side >= 8)
ours = grad_cam_by_hand(network, x, target, end)
theirs = explanation.explain(network, x, target, "grad_cam")
cam_gap = evidence.record_check(NOTEBOOK, "grad_cam_max_abs_error", float((ours - theirs.maps).abs().max()))
assert cam_gap < 1e-4
print("Grad-CAM by hand equals the package's:", cam_gap < 1e-4)
print("cells of the map:", " x ".join(map(str, theirs.grid)))

# %% [markdown]
# ### The gallery
#
# *Same image, same answer, many explanations.* Every map is divided by its own largest value. Below each name stand two
# numbers: the share of the map's positive part that lies on the object, and the mean probability of the answer while
# pixels are deleted in the order of the map (lower is better). The last three maps are controls: noise, an edge
# detector, and a bell in the middle of the image. None of them has seen the network.

# %% tags=["nbval-ignore-output"]
OPTIONS = {
    "smoothgrad": {"samples": 15},
    "integrated_gradients": {"steps": 20, "baseline": "blur"},
    "occlusion": {"patch": image_size * 3 // 16, "stride": image_size // 8, "baseline": "blur"},
    **dict.fromkeys(["lime", "kernel_shap", "gradient_shap"], {"baseline": "blur"}),
}


def explained(network, x: torch.Tensor, target: torch.Tensor, arm: str) -> explanation.Explanation:
    """Maps of a method or control, with settings that a laptop can afford."""
    return explanation.explain(
        network, x, target, "random" if arm == "random_map" else arm, **OPTIONS.get(arm, {})
    )


SHOWN = 2
rows_x, rows_target, rows_masks = x[:SHOWN], target[:SHOWN], masks[:SHOWN]
gallery, numbers = [], {}
for arm in [*explanation.method_names(), *CONTROLS]:
    found = explained(network, rows_x, rows_target, arm)
    gallery.append(found)
    said = {
        name: judges.judge(name, network, rows_x, rows_target, found, masks=rows_masks).mean
        for name in ("mass_in_mask", "deletion")
    }
    numbers[found.method] = {"on object": said["mass_in_mask"], "deletion": said["deletion"]}
for half in (gallery[:7], gallery[7:]):
    display(explanation.maps_figure(pictures(example.images[:SHOWN]), half, rows_masks.numpy(), numbers))

# %% [markdown]
# Methods that hide pixels need something to put in their place. Here it is the image without its details, a blurred
# copy. The choice is part of the question: *compared with what?*
#
# Notice how different they look. Those that go back to the pixels (gradients and their relatives) are grainy. Class
# activation maps are blobs of the size of a cell. Methods that hide pieces of the image are blocky. Gradient SHAP is a
# gradient method, but its map is summed over superpixels and so is blocky too. The look of a map says more about the
# method than about the network.
#
# *How much does the baseline matter?* Integrated gradients of one image against three ideas of *no information*: the
# grey that the normalisation calls zero, the mean of the image, and a blurred copy.

# %% tags=["nbval-ignore-output"]
against = {
    name: explanation.explain(
        network, x[:1], target[:1], "integrated_gradients", steps=50, baseline=name
    ).maps[0]
    for name in ("zeros", "mean", "blur")
}
show.strip(
    [(values / values.abs().max()).cpu().numpy() for values in against.values()],
    [f"baseline: {name}" for name in ("zero", "mean of the image", "blurred image")],
    masks=[masks[0].numpy()] * 3, colour_map="RdBu_r", value_range=(-1, 1), side=2.2,
    caption="each map over its largest absolute value",
)  # fmt: skip

# %% [markdown]
# A pixel that equals its baseline gets nothing, whatever it means: where the image is as black as the baseline, black
# cannot be evidence.
#
# *Play with it.* Choose a case, a method, a layer, and how strongly the map covers the image. Grad-CAM on earlier layers
# is finer, and its channels know less about the class. Where no front end is running, the still picture shows them
# side by side.

# %% tags=["nbval-ignore-output"]
last_of_size = {side: i for i, side in enumerate(sides) if side >= 8}
viewed = [explanation.explain(network, x, target, "grad_cam", layer=f"units.{i}")
          for _, i in sorted(last_of_size.items())]  # fmt: skip
viewed += [explained(network, x, target, arm) for arm in ("integrated_gradients", "occlusion")]
explanation.overlay(pictures(example.images), viewed)

# %% [markdown]
# ## Judges
#
# A map that convinces a reader has only convinced a reader. Four kinds of judge ask different things:
#
# | judge | question | what it cannot see |
# |---|---|---|
# | mass in mask, pointing game | does the map lie where a *person* would look? | a network may rightly look elsewhere |
# | deletion, insertion | does the order of the pixels matter to the *network*? | images with holes are unlike any image it knows |
# | weight randomisation | does the map depend on what was *learnt*? | a map can depend on it and still be wrong |
# | agreement | do *methods* say the same? | all can share a fault |
#
# The first is called *plausibility*, the second *faithfulness*. A shortcut is where the two part: a faithful map of a
# network that reads a mark is implausible, and that is its merit.
#
# *Deletion, drawn out* (Petsiuk et al. 2018): replace pixels by the mean of the image, those that the map ranks highest
# first, and follow the probability.


# %% tags=["nbval-ignore-output"]
def deletion_by_hand(network, x: torch.Tensor, target: int, values: torch.Tensor, steps: int = 20) -> float:
    """Area under the probability of one image x (1, C, H, W) while its pixels go, largest value first."""
    order = values.flatten().argsort(descending=True, stable=True)
    fill, height = x.mean((2, 3), keepdim=True), x.shape[-2]
    curve = []
    for step in range(steps + 1):
        gone = torch.zeros(len(order), dtype=torch.bool)
        gone[order[: round(step / steps * len(order))]] = True
        seen = torch.where(gone.view(1, 1, height, -1).to(x.device), fill, x)
        with torch.no_grad():
            curve.append(float(network(seen).double().softmax(1)[0, target]))
    return float(np.trapezoid(curve, dx=1 / steps))


followed = ["integrated_gradients", "grad_cam", "occlusion", "random_map", "sobel"]
judged_maps = {arm: explained(network, x, target, arm) for arm in followed}
judgements = {arm: judges.judge("deletion", network, x, target, found) for arm, found in judged_maps.items()}
first_map = judged_maps["occlusion"].maps[0]
deletion_gap = evidence.record_check(
    NOTEBOOK,
    "deletion_max_abs_error",
    abs(
        deletion_by_hand(network, x[:1], int(target[0]), first_map) - float(judgements["occlusion"].values[0])
    ),
)
assert deletion_gap < 1e-3
figure, axis = plt.subplots(figsize=(6.6, 3.4))
colours = show.colours_of(followed)
for arm, found in judgements.items():
    curve = found.details["curve"].mean(0)
    control = arm in CONTROLS
    axis.plot(np.linspace(0, 100, len(curve)), curve, color=colours[arm], linestyle="--" if control else "-",
              label=f"{LABELS[arm]} ({found.mean:.2f})")  # fmt: skip
axis.set(xlabel="pixels deleted (%)", ylabel="probability of the answer", ylim=(0, 1.02), xlim=(0, 100))
axis.legend(title="area under the curve", loc="center left", bbox_to_anchor=(1.02, 0.5))
axis.set_title(f"mean of {len(x)} images")
plt.tight_layout()
plt.show()

# %% [markdown]
# On the way every order leaves images with holes, unlike any that the network has seen. So the height of a curve means
# nothing by itself; only its distance to the dashed curves does. At the right all curves meet in what the network says
# of an image without content.
#
# ### The study: which maps beat a map that knows nothing? (R04, R05)
#
# Each seed trains a network and explains its own draw of test images, with every method and three controls.


# %% tags=["nbval-ignore-output"]
DIRECTIONS = {
    **dict.fromkeys(["mass_in_mask", "pointing_game", "insertion", "auroc", "fidelity", "majority", "agreement",
                     "mark_hit", "lesion_hit", "edge_hit", "auroc_in_source", "auroc_unbiased"], "higher"),
    **dict.fromkeys(["deletion", "map_correlation", "best_step_share", "cam_gap"], "lower"),
}  # fmt: skip
place = {
    "notebook": NOTEBOOK,
    "seeds": SEEDS,
    "data": archive,
    "source_domain": domain,
    "target_domain": domain,
    "n_test": judged,
    "directions": DIRECTIONS,
}
MEASURES = {
    "judges": ["mass_in_mask", "pointing_game", "deletion", "insertion"],
    "sanity": ["map_correlation"],
    "agreement": ["agreement"],
    "shortcut": ["mark_hit", "edge_hit", "auroc_in_source", "auroc_unbiased"],
    "surrogate": ["fidelity", "majority"],
    "transparent": ["auroc"],
    "truncation": ["auroc", "mass_in_mask", "cam_gap"],
}  # what each study is about, whether this run measures it or not


def run_if(name: str, trial, arms: list[str], **options) -> pd.DataFrame | None:
    """The study's records if `studies` asks for it, else None: the reference then stands alone."""
    found = study.Study(name, trial=trial, arms=arms, **{**place, **options})
    if name in studies:
        return found.run()
    found.declare(MEASURES[name])
    return None


def to_judge(cut: str, n: int, seed: int) -> tuple:
    """The network of a seed, images (n, C, H, W), its answers (n,) and masks (n, H, W)."""
    model, index = network_of(cut, seed), cases("judged", n, seed)
    x = pixels(index).inputs(slice(None), model.normalisation)
    with torch.no_grad():
        answers = model.network(x).argmax(1)
    return model.network, x, answers, masks_of(index)


def judge_trial(arm: str, seed: int) -> dict:
    """Means over a seed's images of four judges of one method or control."""
    network, x, answers, masks = to_judge(cut_after, judged, seed)
    found = explained(network, x, answers, arm)
    return {name: judges.judge(name, network, x, answers, found, masks=masks).mean
            for name in ("mass_in_mask", "pointing_game", "deletion", "insertion")}  # fmt: skip


judgement_records = run_if("judges", judge_trial, [*methods, *CONTROLS])
JUDGED = {"notebook": NOTEBOOK, "study": "judges", "labels": LABELS}
for metric in ("mass_in_mask", "deletion"):
    display(show.side_by_side(show.plot_arms, judgement_records, metric, **JUDGED))

# %% [markdown]
# The same in words. Each method is compared with each control within seeds; p values are corrected by Holm over all
# comparisons of one judge. *Better* and *worse* are said where the corrected p value is below .05, else *unclear*.


# %% tags=["nbval-ignore-output"]
def in_words(frame: pd.DataFrame, metric: str) -> list[dict]:
    """A row for each method: its mean, and how it compares with each control."""
    wide = frame[frame["metric"] == metric].pivot_table(index="seed", columns="arm", values="value")
    sign = 1 if frame.loc[frame["metric"] == metric, "direction"].iloc[0] == "higher" else -1
    tested = [arm for arm in explanation.method_names() if arm in wide]
    pairs = [(arm, control) for arm in tested for control in CONTROLS]
    differences = {pair: sign * (wide[pair[0]] - wide[pair[1]]).to_numpy() for pair in pairs}
    intervals = [evaluation.statistics.mean_t(values) for values in differences.values()]
    adjusted = evaluation.statistics.holm([one.p_value for one in intervals])
    word = {pair: "unclear" if not p < 0.05 else "better" if one.estimate > 0 else "worse"
            for pair, one, p in zip(pairs, intervals, adjusted, strict=True)}  # fmt: skip
    return [
        {"judge": LABELS[metric], "method": LABELS[arm], "mean": wide[arm].mean(),
         **{f"than {LABELS[control]}": word[arm, control] for control in CONTROLS}}
        for arm in tested
    ]  # fmt: skip


kept = show.reference_records(NOTEBOOK, "judges")
compared = {} if judgement_records is None else {"this run": judgement_records}
if kept is not None:
    compared |= {LABELS.get(name, name): frame for name, frame in kept.groupby("dataset", sort=False)}
enough = {name: frame for name, frame in compared.items() if frame["seed"].nunique() > 1}
for name, frame in enough.items():
    display(show.Prose(f"**{name}**, {frame['seed'].nunique()} seeds"))
    display(show.TextTable(row for metric in MEASURES["judges"] for row in in_words(frame, metric)))
if not enough:
    display(show.Prose("Neither this run nor the reference holds two seeds of this study."))

# %% [markdown]
# Ask of every published map: better than *what*? On images whose object is large and central, a bell in the middle of
# the image is a strong opponent, and it never looked.
#
# ### Does the map depend on what was learnt? (C087)
#
# Adebayo and colleagues (2018) redraw the weights, from the head downwards, and compare the map with that of the
# trained network. A map that stays the same cannot explain what was learnt. Compared are ranks of absolute values; a map
# that becomes flat counts as unrelated.


# %% tags=["nbval-ignore-output"]
@study.Study.artifact
def randomised_maps(arm: str, seed: int) -> dict:
    """Rank correlation (S, N) with the trained network's map when stages are random from the head down."""
    network, x, answers, _ = to_judge(cut_after, few, seed)
    found = explained(network, x, answers, arm)
    details = judges.judge("cascading_randomisation", network, x, answers, found, seed=seed).details
    return {"spearman": np.nan_to_num(details["spearman"].numpy()), "stages": np.array(details["stages"])}


shown_methods = ["gradient", "guided_backpropagation", "grad_cam", "sobel"]
cascade = {arm: randomised_maps(arm, first_seed) for arm in shown_methods}
figure, axis = plt.subplots(figsize=(8.4, 3.3))
colours = show.colours_of(shown_methods)
names = ["trained", *cascade["gradient"]["stages"]]
for arm, found in cascade.items():
    axis.plot(names, [1.0, *found["spearman"].mean(1)], marker="o", color=colours[arm], label=LABELS[arm])
axis.axhline(0, color="0.6", linewidth=0.8)
axis.set(ylabel="rank correlation", xlabel="weights redrawn, down to and including", ylim=(-0.25, 1.08))
axis.legend(loc="center left", bbox_to_anchor=(1.02, 0.5))
axis.set_title(f"one network, mean of {few} images")
plt.tight_layout()
plt.show()


# %% [markdown]
# The edge detector stays at 1 all the way: it explains the image. A method that stays near it does much the same. The
# study does this for every seed at three depths.


# %% tags=["nbval-ignore-output"]
def sanity_trial(arm: str, seed: int, randomised: str) -> dict:
    """Mean rank correlation after the head, the upper half of the stages, or all of them were redrawn."""
    ranks = randomised_maps(arm, seed)["spearman"]
    depth = {"head": 0, "upper": len(ranks) // 2, "all": len(ranks) - 1}[randomised]
    return {"map_correlation": float(ranks[depth].mean())}


sanity = run_if("sanity", sanity_trial, methods, factors={"randomised": ["head", "upper", "all"]}, n_test=few)
SANITY = {"notebook": NOTEBOOK, "study": "sanity", "labels": LABELS}
redrawn = ["head", "upper", "all"]
show.side_by_side(show.plot_curves, sanity, "map_correlation", "randomised", order=redrawn, **SANITY)

# %% [markdown]
# A caution from the authors' own errata: guided backpropagation is blind to the *upper* layers; when the lowest ones
# are redrawn too, its maps do change. Integrated gradients keep about one half of the correlation with everything
# redrawn: they multiply by the difference between the image and the baseline, and no weight changes that. And a low
# correlation is only half of a pass. Random weights make random maps for most methods; it does not follow that trained
# weights make true ones.
#
# ### Do methods agree? (C087)
#
# Two explanations of one answer should say the same. Krishna and colleagues (2022) call it the *disagreement problem*
# when they do not. The table holds the mean rank correlation of signed maps over the example images.

# %% tags=["nbval-ignore-output"]
cheap = ["gradient", "integrated_gradients", "guided_backpropagation", "grad_cam", "occlusion", "kernel_shap"]
known = {found.method: found for found in gallery}
agreement = judges.agreement_table([known[name] for name in cheap])
figure, axis = plt.subplots(figsize=(6.4, 4.4), layout="constrained")
picture = axis.imshow(agreement, cmap="RdBu_r", vmin=-1, vmax=1)
words_of = [LABELS[name] for name in cheap]
axis.set_xticks(range(len(cheap)), words_of, rotation=35, ha="right")
axis.set_yticks(range(len(cheap)), words_of)
for (row, column), value in np.ndenumerate(agreement.to_numpy()):
    axis.text(
        column,
        row,
        f"{round(value, 2) + 0.0:.2f}",
        ha="center",
        va="center",
        color="white" if abs(value) > 0.7 else "black",
    )
figure.colorbar(picture, label="rank correlation", shrink=0.85)
axis.grid(visible=False)
axis.set_title(f"mean of {SHOWN} images")
plt.show()


# %% tags=["nbval-ignore-output"]
@study.Study.artifact
def maps_of_all(seed: int) -> dict:
    """Maps (N, H, W) of every method for a few images of a seed."""
    network, x, answers, _ = to_judge(cut_after, few, seed)
    return {arm: explained(network, x, answers, arm).maps.cpu().numpy() for arm in methods}


def agreement_trial(arm: str, seed: int) -> dict:
    """Mean rank correlation of signed maps: of one method with the others, or over all pairs."""
    maps = {name: maps_of_all(seed)[name].reshape(few, -1) for name in methods}
    ranks = {name: pd.DataFrame(values.T).rank() for name, values in maps.items()}
    pairs = [pair for pair in combinations(methods, 2) if arm in ("all_pairs", *pair)]
    values = [ranks[a].corrwith(ranks[b]).fillna(0).mean() for a, b in pairs]
    return {"agreement": float(np.mean(values))}


agreements = run_if("agreement", agreement_trial, [*methods, "all_pairs"], n_test=few)
AGREEMENT = {"notebook": NOTEBOOK, "study": "agreement", "labels": LABELS}
show.side_by_side(show.plot_arms, agreements, "agreement", bounds=(-1.0, 1.0), **AGREEMENT)

# %% [markdown]
# ## Same score, different reasons (R03, and C086 again)
#
# Here is what explanations are for. On phantoms we build two models. The **lesion model** learns the lesion from images
# whose corner mark is stamped at random. The **mark model** learns to tell marked from unmarked images and has never
# been told about lesions. Then a hospital stamps the mark more often on the ill, just so often that both models should
# reach about the same AUROC there. How often is worked out on validation images, so with few seeds the two may still
# differ. Phantoms, marks and models are redrawn for every seed.
#
# So the score is a poor way to tell them apart. Can a map do it? The pointing game asks for the place where the map is
# highest: is it on the mark? A method *finds the shortcut* in a seed if it points there in half of the images more for
# the mark model than for the lesion model.


# %% tags=["nbval-ignore-output"]
from functools import cache


def stamped(plain, marked: np.ndarray, seed: int):
    """A copy of the archive with the corner mark on the images where `marked` (N,) is true."""
    images = plain.images.copy()
    data.phantoms.stamp_marks(images, marked, np.random.default_rng(seed))
    return replace(plain, images=images)


def frozen_features(images, seed: int) -> np.ndarray:
    body = empty_network(cut_after, 2, seed)
    found = data.DeviceDataset.from_archive(images, np.arange(images.n), device)
    return training.pooled_features(body, found).cpu().numpy()


MODELS = ["lesion_model", "mark_model"]


@study.Study.artifact
def hospital(seed: int) -> dict:
    """Heads of both models, the test images of the hospital that stamps by class, and scores in two hospitals."""
    rng = np.random.default_rng(seed)
    spec = replace(data.phantoms.SPECS["phantoms"], name="phantoms_sources", n=phantom_images, contrast=0.22,
                   size=image_size)  # fmt: skip
    plain = data.phantoms.draw(spec, seed)
    part = data.split(plain, seed=0)
    marks = rng.random(plain.n) < 0.5
    features = frozen_features(stamped(plain, marks, seed), seed)
    goals = {"lesion_model": plain.labels, "mark_model": marks.astype(int)}
    heads = {name: probe(features[part.train], goal[part.train]) for name, goal in goals.items()}

    def scores(name: str, x: np.ndarray) -> np.ndarray:
        weights, biases = heads[name]
        return torch.from_numpy(x @ weights.T + biases).softmax(1).numpy()

    skill, detection = (
        evaluation.auroc(goals[name][part.val], scores(name, features[part.val])) for name in MODELS
    )
    informedness = float(np.clip((skill - 0.5) / max(detection - 0.5, 1e-6), 0, 1))
    test = plain.subset(part.test)
    by_class = rng.random(test.n) < (1 + informedness * (2 * test.labels - 1)) / 2
    at_home = stamped(test, by_class, seed)
    home_features = frozen_features(at_home, seed)
    kept = {"labels": test.labels, "marked": by_class, "images": at_home.images, "lesions": test.masks,
            "marks": at_home.images != test.images}  # fmt: skip
    for name in MODELS:
        kept[f"{name} weights"], kept[f"{name} biases"] = heads[name]
        kept[f"{name} home"] = scores(name, home_features)
        kept[f"{name} random"] = scores(name, features[part.test])
    return kept


@cache  # a network is built once for all methods that explain it
def model_of_hospital(arm: str, seed: int) -> networks.Backbone:
    stage = hospital(seed)
    body = with_head(empty_network(cut_after, 2, seed), stage[f"{arm} weights"], stage[f"{arm} biases"])
    body.network.to(device).eval()
    return body


def staged(stage: dict, arm: str, seed: int, n: int) -> tuple:
    """One model as a network, and n images of ill patients with a mark: inputs, class, marks, lesions, pixels."""
    body = model_of_hospital(arm, seed)
    chosen = np.flatnonzero(stage["marked"] & (stage["labels"] == 1))[:n]
    ones = torch.ones(len(chosen), dtype=torch.int64, device=device)
    found = data.DeviceDataset(torch.from_numpy(stage["images"][chosen])[:, None].to(device), ones)
    where = (torch.from_numpy(stage[name][chosen] > 0) for name in ("marks", "lesions"))
    return body.network, found.inputs(slice(None), body.normalisation), ones, *where, stage["images"][chosen]


def shortcut_trial(arm: str, seed: int, method: str) -> dict:
    """AUROC of a model in both hospitals, and how often maps point at mark and lesion."""
    stage = hospital(seed)
    network, x, target, marks, lesions, _ = staged(stage, arm, seed, few)
    maps = explained(network, x, target, method)
    edges = explained(network, x, target, "sobel")

    def hits(found, masks: torch.Tensor) -> float:
        return judges.judge("pointing_game", network, x, target, found, masks=masks).mean

    return {
        "auroc_in_source": evaluation.auroc(stage["labels"], stage[f"{arm} home"]),
        "auroc_unbiased": evaluation.auroc(stage["labels"], stage[f"{arm} random"]),
        "mark_hit": hits(maps, marks),
        "lesion_hit": hits(maps, lesions),
        "edge_hit": hits(edges, marks),
    }


shortcut = run_if("shortcut", shortcut_trial, MODELS, factors={"method": methods}, n_test=few,
                  data=data.sources.load("phantoms_sources"), source_domain="", target_domain="")  # fmt: skip
SHORTCUT = {"notebook": NOTEBOOK, "study": "shortcut", "labels": LABELS}
one_method = {"where": lambda frame: frame["method"] == methods[0], "average_over": ["method"]}
for metric in ("auroc_in_source", "auroc_unbiased"):
    display(show.side_by_side(show.plot_arms, shortcut, metric, **one_method, **SHORTCUT))

# %% [markdown]
# The first figure is what a paper would report. The second is what happens in a hospital that stamps at random. Now the
# maps, which need no second hospital:

# %% tags=["nbval-ignore-output"]
show.side_by_side(show.plot_arms, shortcut, "mark_hit", by="method", **SHORTCUT)


# %% tags=["nbval-ignore-output"]
def found_by(frame: pd.DataFrame) -> pd.DataFrame:
    """Whether each method (columns) finds the shortcut in each seed (rows)."""
    hits = frame[frame["metric"] == "mark_hit"].pivot_table(
        index=["seed", "method"], columns="arm", values="value"
    )
    return (hits["mark_model"] - hits["lesion_model"]).ge(0.5).unstack("method")


FOUND = "share_of_seeds_that_find_the_mark"
evidence.declare_check(NOTEBOOK, FOUND)
for name, frame in (("This run", shortcut), ("Reference", show.reference_records(NOTEBOOK, "shortcut"))):
    if frame is None:
        continue
    found = found_by(frame)
    if name == "This run":
        evidence.record_check(NOTEBOOK, FOUND, float(found.any(axis=1).mean()), dataset="phantoms_sources")
    each = ", ".join(f"{LABELS[method]} in {int(found[method].sum())}" for method in found)
    display(show.Prose(f"**{name}.** One method or more finds the shortcut in {int(found.any(axis=1).sum())} of "
                       f"{len(found)} seeds: {each}."))  # fmt: skip

# %% [markdown]
# *What does a reader see?* Mean maps over the images of one seed. The anatomy moves from image to image and is smeared
# out, the mark hardly moves.

# %% tags=["nbval-ignore-output"]
stage = hospital(first_seed)
figure, axes = plt.subplots(2, 4, figsize=(10.2, 5.4), layout="constrained")
drawn_arms = ["grad_cam", "occlusion", "sobel"]
for row, arm in zip(axes, MODELS, strict=True):
    one, inputs, ones, marks, lesions, seen = staged(stage, arm, first_seed, few)
    row[0].imshow(seen.mean(0), cmap="gray", vmin=0, vmax=255)
    row[0].contour(lesions.float().mean(0), levels=[0.5], colors=["tab:orange"])
    row[0].set_title(f"{LABELS[arm]}:\nmean of {len(seen)} images,\nusual place of lesions", fontsize=9)
    for axis, name in zip(row[1:], drawn_arms, strict=True):
        values = explained(one, inputs, ones, name).maps
        values = values / values.abs().amax((1, 2), keepdim=True).clamp_min(1e-9)
        picture = axis.imshow(values.mean(0).cpu(), cmap="RdBu_r", vmin=-0.6, vmax=0.6)
        axis.set_title(f"{LABELS[name]}\n(mean map)", fontsize=9)
for axis in axes.flat:
    axis.axis("off")
figure.colorbar(picture, ax=axes, shrink=0.6, label="for the class (red), against (blue)")
plt.show()

# %% [markdown]
# The edge detector points at the same places for both models, as it must. A bright mark is also an edge, so that a map
# which merely shows edges would seem to find it. Where a method points at the mark for *both* models, it has found a
# bright spot and no reason. What convinces is the *difference* between two models whose images are the same.
#
# ## Inspection: change one thing
#
# A map is a summary of many changes of the image. Inspection makes one change, chosen by a person, and shows the
# answer. Here the object is faded into the grey of its surroundings, from as it is (1) to gone (0). The control fades
# a region of the same shape elsewhere, where the mask has been mirrored through the middle of the image.


# %% tags=["nbval-ignore-output"]
def faded(x: torch.Tensor, region: torch.Tensor, amount: float) -> torch.Tensor:
    """Images with their region at `amount` of its contrast to the ring around it (0: gone)."""
    inside = region[:, None].float().to(x.device)
    ring = torch.nn.functional.max_pool2d(inside, 9, stride=1, padding=4) - inside
    around = (x * ring).sum((2, 3), keepdim=True) / ring.sum((2, 3), keepdim=True).clamp_min(1)
    return torch.where(inside > 0, around + amount * (x - around), x)


def curve_of(region: torch.Tensor, amounts: list[float]) -> np.ndarray:
    """Probability (amounts, N) of the answer that the network gave to the untouched image."""
    with torch.no_grad():
        rows = [
            network(faded(x, region, amount)).softmax(1).gather(1, target[:, None])[:, 0]
            for amount in amounts
        ]
    return torch.stack(rows).cpu().numpy()


AMOUNTS = [0.0, 0.25, 0.5, 0.75, 1.0]
figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True)
regions = {"the object": masks, "a region of the same shape elsewhere": masks.flip(1, 2) & ~masks}
for axis, (name, region) in zip(axes, regions.items(), strict=True):
    curves = curve_of(region, AMOUNTS)
    axis.plot(AMOUNTS, curves, color="0.75", linewidth=1)
    axis.plot(AMOUNTS, curves.mean(1), color="tab:blue", linewidth=2.5, label="mean")
    axis.set(title=f"fading {name}", xlabel="contrast left (1: as it is)", ylim=(0, 1.02))
axes[0].set_ylabel("probability of the answer")
axes[0].legend(loc="lower right")
plt.tight_layout()
plt.show()
removed = explanation.counterfactual(network, x, lambda images: faded(images, masks, 0.0))
with torch.no_grad():
    changed = int(network(removed.images).argmax(1).ne(target).sum())
lost = -float(removed.change_of_probability.gather(1, target[:, None]).mean())
print(
    f"without the object the answer changes in {changed} of {len(x)} images; it loses {lost:.2f} of probability on average"
)

# %% [markdown]
# Grey lines are single images; a mean hides those that do not react at all. The right panel is the control. Only by as
# much as the left panel is steeper is it the object that counts, and not the hole. A generator that removes a lesion
# more skilfully (notebook 05) can take the place of `faded`; the question stays the same.
#
# ## Model explanation: can a person read a stand-in? (C085)
#
# A *surrogate* (Craven and Shavlik 1996) is a readable model that is trained on the network's *answers* instead of the
# labels. Its measure is *fidelity*: in which share of new images does it say what the network says? The tree gets
# features that have names: how large the outlined object is, how bright, how ragged, how textured. That is generous,
# since the network was not given the outline.


# %% tags=["nbval-ignore-output"]
NAMED = ["area", "solidity", "eccentricity", "raggedness", "contrast to surroundings", "inner texture", "brightness",
         "brightness range", "edge density", "homogeneity", "left-right asymmetry", "centre against border"]  # fmt: skip


def named_features(grey: np.ndarray, mask: np.ndarray) -> list[float]:
    """Twelve numbers of one image (H, W) in 0 to 1 and its mask; those of the object are 0 without one."""
    of_object = [0.0] * 6
    if mask.any():
        largest = max(measure.regionprops(measure.label(mask)), key=lambda region: region.area)
        ring = ~mask & (filters.gaussian(mask.astype(float), 3) > 0.05)
        outside = grey[ring].mean() if ring.any() else grey.mean()
        ragged = largest.perimeter**2 / (4 * np.pi * largest.area)
        of_object = [mask.mean(), largest.solidity, largest.eccentricity, ragged, grey[mask].mean() - outside,
                     grey[mask].std()]  # fmt: skip
    levels = (grey * 15).astype(np.uint8)
    pairs = feature.graycomatrix(levels, [1], [0, np.pi / 2], levels=16, symmetric=True, normed=True)
    quarter = len(grey) // 4
    middle = grey[quarter:-quarter, quarter:-quarter].mean()
    return [*of_object, grey.mean(), np.quantile(grey, 0.95) - np.quantile(grey, 0.05), filters.sobel(grey).mean(),
            feature.graycoprops(pairs, "homogeneity").mean(), np.abs(grey - grey[:, ::-1]).mean(),
            middle - grey.mean()]  # fmt: skip


@study.Study.artifact
def named_features_of(part: str, seed: int) -> dict:
    """Named features (N, D) of the training images of a seed, the test images, or new images to be imitated on."""
    index = {"train": cases("train", train_size, seed), "test": TEST, "new": new_cases(seed)}[part]
    grey = pixels(index).images.float().mean(1).cpu().numpy() / 255
    masks = masks_of(index).numpy()
    return {"features": np.array([named_features(g, m) for g, m in zip(grey, masks, strict=True)])}


def new_cases(seed: int) -> np.ndarray:
    """At most `imitated` outlined images that the network of this seed was not trained on."""
    new = np.setdiff1d(used, cases("train", train_size, seed))
    new = new[masks_of(new).flatten(1).any(1).numpy()]
    return np.random.default_rng(seed).permutation(new)[:imitated]


def readable_model(seed: int) -> pipeline.Pipeline:
    """Logistic regression on named features, trained on the same images and labels as the network."""
    rows, index = named_features_of("train", seed)["features"], cases("train", train_size, seed)
    fitted = pipeline.make_pipeline(
        preprocessing.StandardScaler(), linear_model.LogisticRegression(max_iter=2000)
    )
    return fitted.fit(rows, archive.labels[index])


def answers_of(arm: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Named features and answers for images that were not trained on, of classes answered four times or more."""
    new, rows = new_cases(seed), named_features_of("new", seed)["features"]
    told = scored(cut_after, seed, new).argmax(1) if arm == "network" else readable_model(seed).predict(rows)
    common = np.isin(told, np.flatnonzero(np.bincount(told) >= 4))
    return rows[common], told[common]


def surrogate_trial(arm: str, seed: int, depth: int) -> dict:
    """Fidelity of a tree to one model's answers, and the share of its commonest answer."""
    rows, told = answers_of(arm, seed)
    found = explanation.surrogate_tree(rows, NAMED, told, max_depth=depth, seed=seed)
    return {"fidelity": found.fidelity, "majority": found.majority}


shown_rows, shown_answers = answers_of("network", first_seed)
if np.unique(shown_answers).size > 1:
    shown_tree = explanation.surrogate_tree(shown_rows, NAMED, shown_answers, max_depth=2, seed=0)
    text = shown_tree.rules
    for number, name in reversed(list(enumerate(archive.class_names))):
        text = text.replace(f"class: {number}", f"says {name}")
    print(text)
    print(f"agrees with the network on {shown_tree.fidelity:.0%} of new images; "
          f"always saying the commonest answer agrees on {shown_tree.majority:.0%}")  # fmt: skip

# %% [markdown]
# Rules like these read well. Leaves with the same answer differ only in how sure they are. Whether the rules describe
# the network is what fidelity says (first figure), and it should be read beside the share of the commonest answer
# (second figure): always saying that answer needs no tree. The fair control is a tree that imitates a model which *is*
# readable, a logistic regression on the same named features: if the tree fails there too, the fault is the tree's.

# %% tags=["nbval-ignore-output"]
surrogates = run_if(
    "surrogate", surrogate_trial, ["network", "readable_model"], factors={"depth": [1, 2, 3, 5, 8]}
)
SURROGATE = {"notebook": NOTEBOOK, "study": "surrogate", "labels": LABELS}
display(show.side_by_side(show.plot_curves, surrogates, "fidelity", "depth", **SURROGATE))
display(show.side_by_side(show.plot_arms, surrogates, "majority", average_over=["depth"], **SURROGATE))

# %% [markdown]
# ## Transparent design: no black box to open
#
# The fourth answer avoids the question. Its price is what the readable model loses against the network, and nobody
# knows that price before it has been measured on the task at hand (Rudin 2019).


# %% tags=["nbval-ignore-output"]
def transparent_trial(arm: str, seed: int) -> dict:
    """AUROC on the test images, of the network, a readable model, or a shallow tree on the same features."""
    truth = archive.labels[TEST]
    if arm == "network":
        found, share = scored(cut_after, seed, TEST), float(trained(cut_after, seed)["best_step_share"])
    else:
        share = 0.0
        fitted = readable_model(seed)
        if arm == "shallow_tree":
            fitted = tree.DecisionTreeClassifier(max_depth=3, random_state=seed)
            index = cases("train", train_size, seed)
            fitted.fit(named_features_of("train", seed)["features"], archive.labels[index])
        found = fitted.predict_proba(named_features_of("test", 0)["features"])
    return {
        "auroc": evaluation.auroc(truth, found),
        "best_step_share": share,
        "predictions": study.Predictions(cases=TEST, labels=truth, scores=found),
    }


transparent = run_if("transparent", transparent_trial, ["network", "readable_model", "shallow_tree"],
                     n_test=len(TEST))  # fmt: skip
show.side_by_side(show.plot_arms, transparent, "auroc", notebook=NOTEBOOK, study="transparent", labels=LABELS)

# %% [markdown]
# In between stand **prototypes**: the answer is justified by training cases that the network finds most alike. A reader
# can check such a case, its report and its outcome. Distances are those of the features that the head receives.

# %% tags=["nbval-ignore-output"]
train_cases = cases("train", train_size, first_seed)
train_features, own_features = (
    training.pooled_features(model, pixels(index)).cpu().numpy() for index in (train_cases, example_cases[:2])
)
nearest = explanation.prototypes(own_features, train_features, k=3)
sheet, titles = [], []
for row, case in enumerate(example_cases[:2]):
    alike = train_cases[nearest.index[row]]
    sheet += list(pictures(pixels(np.concatenate([[case], alike])).images))
    titles += [f"new: {archive.class_names[archive.labels[case]]}"]
    titles += [f"alike: {archive.class_names[archive.labels[other]]}" for other in alike]
show.strip(sheet, titles, columns=4)

# %% [markdown]
# ## What truncation does to maps
#
# Notebook 03 cut networks to make them smaller. A cut also makes them easier to explain. If the head stands directly on
# the pooled map $A$, the logit *is* a sum over cells: $y = b + \frac{1}{hw}\sum_{ij}\big(\sum_k w_k A_k^{ij}\big)$. The inner bracket
# is the class activation map of Zhou et al. (2016), and nothing is approximated. The gradient of the score is then the
# same in all cells, so that Grad-CAM and HiRes-CAM must agree. With more layers above the map, neither holds.

# %% tags=["nbval-ignore-output"]
lower = network_of(lower_cut, first_seed)
with torch.no_grad():
    activation = lower.network.forward_features(x)
    head = lower.network.get_classifier()
    cam = torch.einsum("kc,nchw->nkhw", head.weight, activation)
    sum_gap = float((cam.mean((2, 3)) + head.bias - lower.network(x)).abs().max())
evidence.record_check(NOTEBOOK, "cam_sums_to_logit_max_abs_error", sum_gap)
assert sum_gap < 1e-3
print("the cells of the map sum to the logit:", sum_gap < 1e-3)
compared_maps = {}
for name, cut in {"whole": "", "cut": cut_after, "lower_cut": lower_cut}.items():
    one = network_of(cut, first_seed).network
    with torch.no_grad():
        answers = one(x[:2]).argmax(1)
    compared_maps |= {f"{LABELS[name]}: {LABELS[way]}": explanation.explain(one, x[:2], answers, way).maps
                      for way in ("grad_cam", "hires_cam")}  # fmt: skip
scaled = [values[i] / values[i].max().clamp_min(1e-9) for i in range(2) for values in compared_maps.values()]
show.strip([each.cpu().numpy() for each in scaled], list(compared_maps) * 2, columns=6, colour_map="viridis",
           value_range=(0, 1), masks=[m.numpy() for m in masks[:2].repeat_interleave(6, 0)],
           caption="each map over its largest value")  # fmt: skip


# %% [markdown]
# Each pair agrees in the lowest cut and comes apart above it. In the two upper networks the maps are read at 8 x 8
# cells, below the last layer. What does exactness cost in AUROC, and does it buy maps that lie better on the object?
# The reference of this study uses linear probes on frozen layers, while that of the transparent models above used
# fine-tuned networks. The AUROC of the two figures should not be compared.


# %% tags=["nbval-ignore-output"]
def truncation_trial(arm: str, seed: int) -> dict:
    """AUROC of a cut network, mass of its Grad-CAM on the object, and how far Grad-CAM is from HiRes-CAM."""
    cut = {"whole": "", "cut": cut_after, "lower_cut": lower_cut}[arm]
    network, x, answers, masks = to_judge(cut, judged, seed)
    cams = {way: explanation.explain(network, x, answers, way) for way in ("grad_cam", "hires_cam")}
    unit = {
        way: found.maps / found.maps.amax((1, 2), keepdim=True).clamp_min(1e-9) for way, found in cams.items()
    }
    found, truth = scored(cut, seed, TEST), archive.labels[TEST]
    return {
        "auroc": evaluation.auroc(truth, found),
        "mass_in_mask": judges.judge("mass_in_mask", network, x, answers, cams["grad_cam"], masks=masks).mean,
        "cam_gap": float((unit["grad_cam"] - unit["hires_cam"]).abs().amax((1, 2)).mean()),
        "best_step_share": float(trained(cut, seed)["best_step_share"]),
        "predictions": study.Predictions(cases=TEST, labels=truth, scores=found),
    }


truncated = run_if("truncation", truncation_trial, ["whole", "cut", "lower_cut"], n_test=len(TEST))
TRUNCATED = {"notebook": NOTEBOOK, "study": "truncation", "labels": LABELS}
for metric in ("auroc", "mass_in_mask"):
    display(show.side_by_side(show.plot_arms, truncated, metric, **TRUNCATED))

# %% [markdown]
# ## Verdicts
#
# First what the reference run says about each statement, in a sentence. Then the rules of the register, applied to
# the records that this run directory holds. Phantoms show how a method works; they are never evidence about medical
# images, with one exception: whether a *planted* mark is found can only be asked where one was planted.

# %% tags=["nbval-ignore-output"]
display(show.statement_sentences(NOTEBOOK))
show.notebook_verdicts(NOTEBOOK)

# %% [markdown]
# What follows for practice:
#
# - Ask which of the four problems is meant before you choose a method.
# - Never show one map. Show a count over many images, beside a control that has not seen the network.
# - State the baseline, the layer and the cells that a map really resolves.
# - Redraw the weights before you believe a method; it takes a minute.
# - Use maps to *suspect*: a map that points at a corner, image after image, is a reason to look for a shortcut. A map
#   that points at the lesion is no proof that the lesion was read as a physician would read it.
# - Where a readable model is as good, take it.
#
# ## What this does not show
#
# - **One family of networks.** Transformers and their attention maps are not here, and attention raises questions of
#   its own.
# - **Masks are not reasons.** A physician may need the margin of a lesion, its shadow, or what is *not* there. Mass in
#   mask rewards the inside only.
# - **Deletion makes unnatural images.** Part of every curve is the network's surprise. Remove-and-debias (ROAD), which
#   the package holds as well, lessens that and does not remove it.
# - **A mark of our making.** Real shortcuts are often diffuse, such as a scanner's texture, and no place on the image is
#   theirs. A map cannot point at them. Adebayo and colleagues (2020) found that people who look at maps mostly miss
#   spurious cues.
# - **No readers.** Whether explanations help physicians is a question for a trial with physicians. Several such studies
#   found more trust and no better decisions.
# - **The readable model was helped.** Its features rest on an outline by hand, and where normal images have none, it is
#   told that they are normal. Its AUROC says what such features are worth to a reader who draws outlines, and does not
#   show that it would replace the network.
# - **A tree is one readable model.** A longer list of features, or another kind of rule, could imitate better.
#
# ## Exercises
#
# Each exercise has a check that says what it found and why an answer may be wrong. Set the answer, run the cell, and
# compare with the solution below it.
#
# **1. Two players.** The score is `v0` with both pixels hidden, `va` with pixel a alone, `vb` with b alone, `vab` with
# both. Write the Shapley value of pixel a.

# %%
answer_1 = None  # for example: lambda v0, va, vb, vab: ...
check_1 = show.Check(
    1,
    wants="a function of (v0, va, vb, vab) that returns the Shapley value of pixel a",
    cases=[((0.0, 1.0, 1.0, 1.0), 0.5), ((0.0, 3.0, -4.0, -1.0), 3.0), ((1.0, 1.0, 2.0, 5.0), 1.5)],
    misconceptions=[
        show.Misconception(
            lambda v0, va, vb, vab: va - v0, "that is one of two orders: a may also come second"
        ),
        show.Misconception(lambda v0, va, vb, vab: vab - vb, "that is occlusion: a may also come first"),
        show.Misconception(
            lambda v0, va, vb, vab: (vab - v0) / 2, "half of the whole is right only if both are alike"
        ),
    ],
)
check_1(answer_1)

# %% tags=["solution"]
check_1(lambda v0, va, vb, vab: ((va - v0) + (vab - vb)) / 2)

# %% [markdown]
# **2. Counting coalitions.** KernelSHAP fits a model to coalitions of `m` superpixels. How many are there that are
# neither empty nor whole? Your answer also says why 200 samples for 64 superpixels are an estimate.

# %%
answer_2 = None  # for example: lambda m: ...
check_2 = show.Check(
    2,
    wants="a function of m that returns the number of coalitions that are neither empty nor whole",
    cases=[((2,), 2), ((3,), 6), ((10,), 1022)],
    misconceptions=[
        show.Misconception(lambda m: 2**m, "two of these are the empty and the whole coalition"),
        show.Misconception(lambda m: m * (m - 1), "a coalition may hold any number of superpixels, not two"),
        show.Misconception(lambda m: 2 * m, "each superpixel is in or out, independently of the others"),
    ],
)
check_2(answer_2)

# %% tags=["solution"]
check_2(lambda m: 2**m - 2)

# %% [markdown]
# **3. Fidelity beyond the obvious.** A tree agrees with the network on a share `f` of new images. Always giving the
# network's commonest answer agrees on a share `m`. Which share of the distance from `m` to full agreement does the tree
# make? (0: no better than a constant, 1: perfect.)

# %%
answer_3 = None  # for example: lambda f, m: ...
check_3 = show.Check(
    3,
    wants="a function of (f, m) that returns the share of the distance that the tree makes",
    cases=[((0.9, 0.8), 0.5), ((0.8, 0.8), 0.0), ((1.0, 0.6), 1.0)],
    misconceptions=[
        show.Misconception(lambda f, m: f - m, "divide by the distance that was left to make"),
        show.Misconception(lambda f, m: f / m, "a constant would get 1 that way, and it explains nothing"),
        show.Misconception(lambda f, m: f, "a constant answer has fidelity too"),
    ],
)
check_3(answer_3)

# %% tags=["solution"]
check_3(lambda f, m: (f - m) / (1 - m))

# %% [markdown]
# **4. How fine is a map?** A network halves the side of its maps `k` times. Images have `s` pixels a side. How many pixels
# of the image does one cell of the last map stand for?

# %%
answer_4 = None  # for example: lambda s, k: ...
check_4 = show.Check(
    4,
    wants="a function of (s, k) that returns the pixels of the image for each cell of the map",
    cases=[((64, 5), 1024), ((224, 5), 1024), ((64, 3), 64)],
    misconceptions=[
        show.Misconception(lambda s, k: 2**k, "that is the side of a cell; a cell has an area"),
        show.Misconception(lambda s, k: (s // 2**k) ** 2, "that is the number of cells"),
        show.Misconception(lambda s, k: s * s / 2**k, "both sides are halved each time"),
    ],
)
check_4(answer_4)

# %% tags=["solution"]
check_4(lambda s, k: 4**k)

# %% [markdown]
# ## References
#
# - Adebayo, J. et al. (2018). [Sanity checks for saliency maps](https://arxiv.org/abs/1810.03292). *NeurIPS*. Adebayo, J. et al.
#   (2020). [Debugging tests for model explanations](https://arxiv.org/abs/2011.05429). *NeurIPS*.
# - Craven, M. W., Shavlik, J. W. (1996). Extracting tree-structured representations of trained networks. *NeurIPS*.
# - Draelos, R. L., Carin, L. (2020). [Use HiResCAM instead of Grad-CAM](https://arxiv.org/abs/2011.08891).
# - Gu, C. (2024). Enhancing medical image classification with convolutional neural networks through transfer learning: a
#   comprehensive review. *Applied and Computational Engineering* 35, 280-284. The survey under test.
# - Guidotti, R. et al. (2018). [A survey of methods for explaining black box models](https://doi.org/10.1145/3236009). *ACM Computing
#   Surveys* 51(5). The four problems.
# - Krishna, S. et al. (2022). [The disagreement problem in explainable machine learning](https://arxiv.org/abs/2202.01602).
# - Lundberg, S. M., Lee, S.-I. (2017). [A unified approach to interpreting model predictions](https://arxiv.org/abs/1705.07874). *NeurIPS*.
# - Petsiuk, V., Das, A., Saenko, K. (2018). [RISE](https://arxiv.org/abs/1806.07421). *BMVC*. Deletion and insertion.
# - Ribeiro, M. T., Singh, S., Guestrin, C. (2016). [Why should I trust you?](https://arxiv.org/abs/1602.04938) *KDD*. LIME.
# - Rudin, C. (2019). [Stop explaining black box machine learning models for high stakes decisions](https://doi.org/10.1038/s42256-019-0048-x).
#   *Nature Machine Intelligence* 1, 206-215.
# - Selvaraju, R. R. et al. (2017). [Grad-CAM](https://arxiv.org/abs/1610.02391). *ICCV*. Zhou, B. et al. (2016).
#   [Learning deep features for discriminative localization](https://arxiv.org/abs/1512.04150). *CVPR*. Class activation maps.
# - Sundararajan, M., Taly, A., Yan, Q. (2017). [Axiomatic attribution for deep networks](https://arxiv.org/abs/1703.01365). *ICML*.
# - Zhang, J. et al. (2018). [Top-down neural attention by excitation backprop](https://arxiv.org/abs/1608.00507). *IJCV*. The pointing game.
