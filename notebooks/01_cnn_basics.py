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
# # Convolutional networks: what is in them, and what each part is good for
#
# Before weights can be transferred, there has to be a network that they fit into. The survey describes convolutional
# networks in four sentences: they are built of convolution, pooling and activation, they owe their success to their
# structure and to shared parameters, they need an activation function, and they beat everything that came before.
# Each of these sentences can be checked, and in this notebook you check them. First you write every building block in
# NumPy and compare it with the framework's. Then you take the blocks away one at a time and measure what is lost.
#
# **Afterwards you will be able to**
#
# 1. write convolution, pooling and activation as array arithmetic, and a convolution as one matrix product;
# 2. count parameters on paper, and say what weight sharing saves and what it assumes;
# 3. explain why a deep network without activations is no deeper than one layer;
# 4. test a building block by an ablation: same data, same budget, same number of candidates, over seeds;
# 5. say what "close to the Bayes error" means, and why it can be checked on phantoms and not on ImageNet.
#
# **The statements of the survey that this notebook tests**, in our own words and drawn from the register:

# %%
from medtl_core import reporting as show

show.statements_table("01_cnn_basics")

# %% [markdown]
# ## Parameters
#
# The defaults are the `smoke` profile: digital phantoms, few seeds, half a minute on a laptop. The networks here are
# small and always start from random weights; pretrained ones come in the next notebook.

# %% tags=["parameters"]
dataset: str = "phantoms_basic"  # archive to learn from; a data set
domain: str = ""  # keep only this domain of the archive, empty for all of it; a domain
image_size: int = 28  # pixels, side that images are brought to; 20 to 128
train_size: int = 300  # training images of the ablations; 16 to 100000
sharing_sizes: list[int] = [300]  # training images of the weight-sharing study, one point each; 16 to 100000
bayes_sizes: list[int] = [256, 1024]  # training images of the study with known Bayes error; 64 to 100000
ablations: bool = False  # also run the studies of activation, pooling and classical methods; any
test_size: int = 500  # test images at most; 20 to 100000
val_size: int = 100  # validation images at most, used to choose epoch and learning rate; 10 to 10000
seeds: int = 3  # random seeds, each with its own training subset and initialisation; 1 to 50
learning_rates: list[float] = [0.004]  # AdamW learning rates, each tried for every arm; 0.000001 to 0.1
steps: int = 500  # optimiser steps of each training run, the same for every arm; 10 to 100000
patience: int = 50  # steps without a better epoch after which a run ends, 0 for never; 0 to 100000
bayes_steps: int = 150  # optimiser steps of each run of the study with known Bayes error; 10 to 100000
batch_size: int = 32  # images a step; 4 to 512

# %% [markdown]
# ## Set-up

# %% tags=["nbval-ignore-output"]
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import torch
from skimage.feature import hog
from sklearn import ensemble, linear_model, pipeline, preprocessing, svm
from torch import nn

from medtl_core import data, evaluation, evidence, study, training

show.use_style()
NOTEBOOK = "01_cnn_basics"
LABELS = {
    "shared": "shared weights",
    "unshared": "unshared weights",
    "mlp": "a dense network",
    "unshared_same_width": "unshared weights, same width",
    "relu": "ReLU",
    "identity": "no activation",
    "sigmoid": "the sigmoid",
    "max_pool": "max-pooling",
    "strided": "strided convolution",
    "none": "no reduction",
    "cnn": "a convolutional network",
    "cnn_without_activation": "a linear network",
    "hog_svm": "an SVM on gradients",
    "pixel_forest": "a random forest on pixels",
    "pixel_logistic": "logistic regression on pixels",
    "linear": "a linear classifier",
    "bayes": "the ideal observer",
    "n": "training images",
    "shift_correlation": "correlation of the scores before and after a shift",
    "phantoms_basic": "phantoms",
    "phantoms_known_bayes": "textures",
    "breastmnist": "BreastMNIST",
    "chest_xray_64": "chest X-rays",
    "breast_ultrasound_128": "breast ultrasound",
    "white_blood_cells_96": "white blood cells",
}
KEPT = {"notebook": NOTEBOOK, "labels": LABELS}
CENTRED = data.Normalisation(mean=(0.5,), std=(0.5,))
device = study.select_device()
study.seed_everything(0)
print(f"small networks at {image_size} px, {steps} steps a run, {seeds} seeds, on {device}; half a minute")

# %% [markdown]
# ## The data
#
# The card says what the archive holds and where it is from, what the audit found (identical images, patients on both
# sides of the split), and *what the classes look like*.

# %% tags=["nbval-ignore-output"]
archive = data.sources.load(dataset)
parts = data.split(archive, seed=0, domain=domain or None)
data.cards.card(archive, parts, data.sources.card(dataset), per_class=5)

# %% [markdown]
# One image will serve as the example through the next sections. It is brought to the working size, as a single channel
# between 0 and 1.

# %%
images = data.DeviceDataset.from_archive(archive, np.arange(archive.n), device, size=image_size)
few_enough = len(parts.test) <= test_size
test = parts.test if few_enough else data.nested_subset(archive.labels, parts.test, test_size, 0)
example = images.images[int(parts.train[0])].float().mean(0).cpu().numpy() / 255
print("example image:", example.shape, "test images:", len(test))

# %% [markdown]
# ## Convolution
#
# A convolution layer slides a small window of weights, the *kernel*, over the image. At every position it multiplies
# the window with the pixels under it and adds up. Deep-learning frameworks do not flip the kernel first, so what they
# call convolution is a cross-correlation:
#
# $$y_{o,i,j} = b_o + \sum_{c}\sum_{u,v} w_{o,c,u,v}\; x_{c,\,i s + u,\; j s + v}$$
#
# with stride $s$. In NumPy one loop over the kernel's offsets is enough: each offset multiplies a shifted view of the
# whole image by one weight.


# %%
def convolve(x: np.ndarray, w: np.ndarray, b: np.ndarray, stride: int = 1) -> np.ndarray:
    """Images x (N, C, H, W), kernels w (O, C, K, K), bias b (O,) -> (N, O, H', W') with H' = (H - K) // stride + 1."""
    size = w.shape[-1]
    height, width = ((side - size) // stride + 1 for side in x.shape[-2:])
    y = np.zeros((len(x), len(w), height, width))
    for u in range(size):
        for v in range(size):
            patch = x[:, :, u : u + stride * height : stride, v : v + stride * width : stride]
            y += np.einsum("nchw,oc->nohw", patch, w[:, :, u, v])
    return y + b[:, None, None]


rng = np.random.default_rng(0)
x, w, b = rng.normal(size=(4, 3, 13, 11)), rng.normal(size=(5, 3, 3, 3)), rng.normal(size=5)
conv_error = max(
    float(
        abs(
            convolve(x, w, b, s) - nn.functional.conv2d(*map(torch.from_numpy, (x, w, b)), stride=s).numpy()
        ).max()
    )
    for s in (1, 2, 3)
)
evidence.record_check(NOTEBOOK, "conv_max_abs_error", conv_error)
assert conv_error < 1e-5
print("NumPy convolution equals torch's for strides 1, 2 and 3")

# %% [markdown]
# *What does a kernel do to an image?* Three kernels set by hand: an average, a vertical edge and a blob detector.

# %% tags=["nbval-ignore-output"]
KERNELS = {
    "average": np.full((3, 3), 1 / 9),
    "vertical edge (Sobel)": np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 4,
    "blob (Laplacian)": np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]]) / 4,
}
figure, axes = plt.subplots(1, 4, figsize=(10, 3))
axes[0].imshow(example, cmap="gray", vmin=0, vmax=1)
axes[0].set_title("input\n(0 to 1)", fontsize=10)
for axis, (name, kernel) in zip(axes[1:], KERNELS.items(), strict=True):
    response = convolve(example[None, None], kernel[None, None], np.zeros(1))[0, 0]
    axis.imshow(response, cmap="gray")
    axis.set_title(f"{name}\n({response.min():.2f} to {response.max():.2f})", fontsize=10)
for axis in axes:
    axis.axis("off")
plt.show()

# %% [markdown]
# The average loses detail and noise alike. The edge kernel is silent where the image is flat and answers strongly,
# with a sign, where it changes from left to right. The blob kernel answers to spots and fine texture. Each response
# is a new image, a *feature map*, and the next layer can look for patterns in all maps at once: an edge here and a
# blob there. Deep networks stack such layers, with an activation between them; a later section shows why the activation
# is needed.

# %% [markdown]
# The order of the sums does not matter, and there are many of them: this is why a convolution runs well on hardware
# that multiplies matrices. It is also why the number of *multiplications* of a network says as much about its cost as
# its number of parameters, a point that comes back when networks are truncated.
#
# A network does not get such kernels; it finds its own by gradient descent. But the operation is the same.
#
# ### A convolution is a matrix
#
# Convolution is linear, so it must be a matrix. Its rows all hold the same few numbers, each row shifted a little
# further, and zeros everywhere else: a *Toeplitz* structure. Two restrictions turn a dense layer into a convolution:
# most weights are zero (**local** connections), and the others repeat (**shared** weights).


# %%
def toeplitz_of(kernel: np.ndarray, height: int, width: int) -> np.ndarray:
    """Matrix T with T @ image.ravel() = (image convolved with kernel).ravel(), for a (K, K) kernel, stride 1."""
    size = len(kernel)
    rows, columns = height - size + 1, width - size + 1
    matrix = np.zeros((rows, columns, height, width))
    for i in range(rows):
        for j in range(columns):
            matrix[i, j, i : i + size, j : j + size] = kernel
    return matrix.reshape(rows * columns, height * width)


small = example[:9, :8]
kernel = rng.normal(size=(3, 3))
T = toeplitz_of(kernel, *small.shape)
direct = convolve(small[None, None], kernel[None, None], np.zeros(1))[0, 0]
toeplitz_error = float(abs(T @ small.ravel() - direct.ravel()).max())
evidence.record_check(NOTEBOOK, "toeplitz_max_abs_error", toeplitz_error)
assert toeplitz_error < 1e-5
print(f"matrix {T.shape}: {np.count_nonzero(T)} of {T.size} entries are not zero")
print(f"different weights: {len(np.unique(T)) - 1}")

# %% [markdown]
# *What does the matrix look like?* Each colour is one of the nine weights; white is zero.

# %%
figure, axis = plt.subplots(figsize=(8, 4.6))
shown = np.where(T == 0, np.nan, T)
picture = axis.imshow(shown, cmap="cividis", interpolation="nearest")
axis.set_xlabel("pixel of the input, row by row")
axis.set_ylabel("pixel of the output, row by row")
axis.grid(False)
figure.colorbar(picture, label="weight", shrink=0.8)
plt.show()

# %% [markdown]
# Read one row: it is the question that a single output unit asks. It ignores nearly all pixels (white); the others get
# nine weights. Read the next row: the same nine weights, one pixel further. A dense layer could fill the matrix with
# unrelated numbers. It would have to learn from data that most should be zero and the rest equal.
#
# The diagonal bands are the sharing: the same weight serves every position. This is an assumption about images, namely
# that a pattern means the same wherever it appears. It shows as *equivariance*: shifting the input shifts the output
# and changes nothing else. The check below compares interiors, because at the border new pixels come in.

# %%
shift = 2
wide = rng.normal(size=(1, 1, 20, 20))
kernel4 = rng.normal(size=(1, 1, 3, 3))
shifted_first = convolve(np.roll(wide, shift, axis=-1), kernel4, np.zeros(1))[..., shift:]
shifted_last = convolve(wide, kernel4, np.zeros(1))[..., :-shift]
equivariance_error = evidence.record_check(
    NOTEBOOK, "equivariance_max_abs_error", float(abs(shifted_first - shifted_last).max())
)
assert equivariance_error < 1e-12
print("shift then convolve equals convolve then shift")

# %% [markdown]
# Equivariance is a strong promise with small print. It holds for whole pixels, away from the border, and for one
# layer at stride one. Padding, strides and pooling each weaken it, so a trained network as a whole is only
# approximately indifferent to shifts. How much remains is an empirical question, which the first study measures.
#
# ### What sharing saves
#
# Take a layer from a grey image to 32 maps of the same size. The count is a matter of paper and pencil: a dense layer
# has a weight for every pair of input and output, an unshared local layer one for every output and window position, a
# convolution only the kernels.

# %%
side, maps, k = image_size, 32, 5
counts = {
    "dense": side**2 * maps * side**2 + maps * side**2,
    "local, unshared": maps * side**2 * k**2 + maps * side**2,
    "convolution": maps * k**2 + maps,
}
assert counts["convolution"] == sum(p.numel() for p in nn.Conv2d(1, maps, k).parameters())
saving = counts["dense"] / counts["convolution"]
print(f"the dense layer has {saving:,.0f} times the parameters of the convolution")
show.TextTable([{"layer": name, "parameters": f"{n:,}"} for name, n in counts.items()])

# %% [markdown]
# Fewer parameters need fewer examples, *if* the assumption behind the saving is true. For photographs it mostly is.
# In medical images it is less obvious: in a chest X-ray taken in a standard position, the heart is always in about
# the same place, and a weight that knows its place could use that. Whether sharing still wins is therefore not
# settled by counting.

# %% [markdown]
# ## Pooling
#
# Pooling replaces each small window of a map by one number, its maximum or its average. The map becomes smaller, the
# next layer sees more of the image, and small shifts of the input matter less.


# %%
def pool(x: np.ndarray, size: int, reduce=np.max) -> np.ndarray:
    """Non-overlapping windows: x (N, C, H, W) -> (N, C, H // size, W // size)."""
    n, c, height, width = x.shape
    cut = x[..., : height // size * size, : width // size * size]
    return reduce(cut.reshape(n, c, height // size, size, width // size, size), axis=(3, 5))


x = rng.normal(size=(2, 3, 9, 8))
pool_error = max(
    float(abs(pool(x, 2) - nn.functional.max_pool2d(torch.from_numpy(x), 2).numpy()).max()),
    float(abs(pool(x, 2, np.mean) - nn.functional.avg_pool2d(torch.from_numpy(x), 2).numpy()).max()),
)
evidence.record_check(NOTEBOOK, "pool_max_abs_error", pool_error)
assert pool_error < 1e-6
print("NumPy max and average pooling equal torch's")

# %% [markdown]
# *How much does pooling forgive a shift?* The example image is shifted by one to four pixels. The figure shows how far
# its edge map moves, relative to its size, before and after pooling windows of growing size.

# %% tags=["nbval-ignore-output"]
edges = KERNELS["vertical edge (Sobel)"][None, None]


def edge_map(image: np.ndarray, window: int) -> np.ndarray:
    response = abs(convolve(image[None, None], edges, np.zeros(1)))
    return pool(response, window) if window > 1 else response


figure, axis = plt.subplots(figsize=(6.5, 3.6))
for window in (1, 2, 4, 8):
    base = edge_map(example, window)
    moved = [
        np.linalg.norm(edge_map(np.roll(example, s, axis=1), window) - base) / np.linalg.norm(base)
        for s in range(5)
    ]
    axis.plot(range(5), moved, "o-", label="no pooling" if window == 1 else f"max over {window} x {window}")
axis.set_xlabel("shift of the input (pixels)")
axis.set_ylabel("|change| / |map|")
axis.set_xticks(range(5))
axis.legend(loc="upper left", bbox_to_anchor=(1, 1))
plt.show()

# %% [markdown]
# The wider the window, the flatter the curve. That forgiveness has a price, position is lost, and whether the bargain
# pays depends on the task. The pooling study below measures it.
#
# There is a second reason for pooling that has nothing to do with shifts: cost. Halving height and width divides the
# number of positions that the next layer has to visit by four, which leaves room for more maps.
#
# ## Activation
#
# The third block works on each number alone. Its job is to be *not linear*. The rectified linear unit cuts off what is
# negative; the older tanh and sigmoid squash into a bounded range.

# %%
ACTIVATIONS = {
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "identity": lambda x: x,
}
TORCH_ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "identity": nn.Identity}
x = rng.normal(size=1000) * 3
errors = {
    name: float(abs(f(x) - TORCH_ACTIVATIONS[name]()(torch.from_numpy(x)).numpy()).max())
    for name, f in ACTIVATIONS.items()
}
evidence.record_check(NOTEBOOK, "relu_max_abs_error", errors["relu"])
assert max(errors.values()) < 1e-6
print("NumPy activations equal torch's:", ", ".join(errors))

# %% [markdown]
# *Why has ReLU displaced the others?* Gradients travel backwards through every layer and are multiplied by the
# activation's slope each time. The left panel draws the functions, the right one their slopes.

# %%
grid = np.linspace(-5, 5, 401)
figure, axes = plt.subplots(1, 2, figsize=(9, 3.4))
for (name, function), style in zip(ACTIVATIONS.items(), ("-", "--", "-.", ":"), strict=True):
    look = {"color": show.colour_of(name), "label": LABELS.get(name, name)}
    axes[0].plot(grid, function(grid), style, **look)
    axes[1].plot(grid, np.gradient(function(grid), grid), style, **look)
axes[0].set_ylim(-1.5, 3)
axes[0].set_ylabel("output")
axes[1].set_ylabel("slope")
for axis in axes:
    axis.set_xlabel("input")
axes[0].legend(fontsize=9)
plt.tight_layout()
plt.show()

# %% [markdown]
# The sigmoid's slope never exceeds a quarter, so in ten layers the slopes alone shrink a gradient to less than a
# millionth; only large weights could make up for it. Tanh is better near zero and as bad far from it. ReLU passes the
# gradient unchanged wherever it is active.
#
# None of this makes ReLU right by definition. Its zero half can die: a unit that is negative for every image gets no
# gradient any more. And in a shallow network the product of slopes is short, so that the old functions may do just as
# well. The second study puts that to the test instead of repeating the rule.
#
# ### Without activation, depth collapses
#
# A composition of affine maps is affine. A network of convolutions, average pooling and a linear head, however deep,
# is therefore *one* matrix and *one* bias, which can be computed: send zero through the network for the bias, and each
# unit image for a column of the matrix. (Max-pooling would not do here: a maximum is itself not linear.)


# %%
def deep_affine_network(side: int) -> nn.Sequential:
    blocks = [
        nn.Conv2d(1, 6, 3),
        nn.AvgPool2d(2),
        nn.Conv2d(6, 8, 3),
        nn.Conv2d(8, 8, 3),
        nn.AvgPool2d(2),
        nn.Flatten(),
    ]
    body = nn.Sequential(*blocks)
    return nn.Sequential(
        body, nn.Linear(body(torch.zeros(1, 1, side, side)).shape[1], archive.n_classes)
    ).double()


network = deep_affine_network(20)
with torch.inference_mode():
    bias = network(torch.zeros(1, 1, 20, 20, dtype=torch.float64))
    matrix = network(torch.eye(400, dtype=torch.float64).reshape(400, 1, 20, 20)) - bias
    inputs = torch.randn(50, 1, 20, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    collapse_error = float((network(inputs) - (inputs.flatten(1) @ matrix + bias)).abs().max())
evidence.record_check(NOTEBOOK, "affine_collapse_max_abs_error", collapse_error)
assert collapse_error < 1e-4
layers = sum(isinstance(m, nn.Conv2d | nn.Linear) for m in network.modules())
print(f"{layers} layers without activation equal one affine map of shape {tuple(matrix.T.shape)}")

# %% [markdown]
# The collapse is a statement about what a network *can* express. Training has a say as well: the deep affine network
# has more parameters than the one matrix, and gradient descent in it takes another path to a solution, but every
# solution it can reach is a linear classifier. Any benefit of depth comes through the activations.
#
# ## A small network of one's own
#
# With the three blocks we can build the network that the studies below take apart. Two convolutions, each followed by
# an activation and a step down in resolution, and a linear head. What the survey's list of parts leaves out is the
# head itself and, in nearly all networks in use, normalisation layers.


# %%
class SmallCNN(nn.Module):
    """Two blocks of convolution, activation and down-sampling, and a linear head: (N, 3, H, W) -> (N, classes)."""

    def __init__(
        self, classes: int, side: int, activation: str = "relu", down: str = "max_pool", width: int = 16
    ):
        super().__init__()
        stride = 2 if down == "strided" else 1

        def block(channels: int, maps: int) -> list[nn.Module]:
            pooling = nn.MaxPool2d(2) if down == "max_pool" else nn.Identity()
            return [
                nn.Conv2d(channels, maps, 5, stride=stride, padding=2),
                TORCH_ACTIVATIONS[activation](),
                pooling,
            ]

        self.body = nn.Sequential(*block(3, width), *block(width, 2 * width))
        cells = self.body(torch.zeros(1, 3, side, side)).shape[-1]
        self.squeeze = nn.Sequential(nn.AdaptiveAvgPool2d(min(cells, 4)), nn.Flatten())
        self.head = nn.Linear(2 * width * min(cells, 4) ** 2, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.squeeze(self.body(x)))


CLASSES = archive.n_classes
on_paper = (5 * 5 * 3 + 1) * 16 + (5 * 5 * 16 + 1) * 32 + (32 * 16 + 1) * CLASSES
assert sum(p.numel() for p in SmallCNN(CLASSES, image_size).parameters()) == on_paper
print(f"small network: {on_paper:,} parameters, as counted on paper")

# %% [markdown]
# What follows is measurement, and measurement has a few customs worth keeping. The seed decides everything that is
# random about a run: which training images are drawn, how the weights start, in which order batches come. All arms of
# one seed share what they can share, above all the training images, so that a difference between two arms is not the
# luck of an easier subset. And the test images are looked at once, after every choice has been made on the validation
# images.
#
# Every study below trains networks in the same way: the same number of optimiser steps, the best epoch chosen on
# validation images, and the same learning rates tried for *every* arm, of which validation picks one. As many
# candidates for each, so that no arm wins because it was tuned more. (The smoke profile tries a single one.)
#
# Each network also records *when* its best epoch came, as a share of the budget. An arm that was still getting better
# when its budget ended has not converged, and a comparison with it decides nothing.


# %%
def train_and_predict(make_network, seed: int, n: int) -> tuple[np.ndarray, nn.Module, float]:
    """Train on `n` images with each learning rate, keep the better on validation.

    Returns test scores (N, K), the network, and its best epoch as a share of the budget, above 0 and up to 1.
    """
    train = images.select(data.nested_subset(archive.labels, parts.train, n, seed))
    at_most = min(val_size, len(parts.val))
    validation = images.select(data.nested_subset(archive.labels, parts.val, at_most, seed))
    batches = -(-n // batch_size)
    config = training.FitConfig(
        epochs=-(-steps // batches), batch_size=batch_size, patience=-(-patience // batches) or None
    )
    candidates = []
    for rate in learning_rates:
        study.seed_everything(seed)
        network, at_rate = make_network().to(device), replace(config, learning_rate=rate)
        result = training.fit(
            network, training.policies.SCRATCH, train, validation, CENTRED, at_rate, seed=seed
        )
        candidates.append((config.rank(result.best), -rate, network, result.best_epoch / config.epochs))
    *_, network, share = max(candidates, key=lambda candidate: candidate[:2])
    return training.predict(network, images.select(test), CENTRED), network, share


DIRECTIONS = {
    "auroc": "higher",
    "accuracy": "higher",
    "balanced_accuracy": "higher",
    "best_step_share": "lower",
}


def measured(scores: np.ndarray, best_step_share: float | None = None) -> dict:
    """AUROC, accuracy, balanced accuracy and convergence, with the predictions on the test images behind them."""
    values = evaluation.all_metrics(archive.labels[test], scores)
    kept = {name: values[name] for name in ("auroc", "accuracy", "balanced_accuracy")}
    if best_step_share is not None:  # a method that is fitted in one piece has no epochs
        kept["best_step_share"] = best_step_share
    return kept | {"predictions": study.Predictions(cases=test, labels=archive.labels[test], scores=scores)}


def compared(name: str, trial, arms: list[str], **more):
    """Run arms x seeds (x factors) of one trial function on this notebook's data set."""
    named = {"data": archive, "n_test": len(test), "seeds": range(seeds), "directions": DIRECTIONS}
    return study.Study(name, notebook=NOTEBOOK, trial=trial, arms=arms, **(named | more)).run()


def convergence(name: str, records, by: str | None = None) -> show.TextTable:
    """Whether each arm had converged: in the reference, or in this run where the reference does not say."""
    kept = show.convergence_table(show.reference_records(NOTEBOOK, name), by=by, labels=LABELS)
    return kept if len(kept) else show.convergence_table(records, by=by, labels=LABELS)


# %% [markdown]
# The cell above also hides the machinery that makes repeated runs cheap: a study keeps each finished trial under a
# key of code, arguments and data. Change a line of a trial, and exactly the trials that depend on it run again. Stop
# the notebook in the middle, and it continues where it was.

# %% [markdown]
# ## Study 1: local connections and shared weights (C008)
#
# Three *arms*, as the things compared are called, with about the same number of parameters: a convolutional network
# (**shared weights**), the same connections with a weight of its own at every position (**unshared weights**), and a
# **dense network**. Since sharing makes weights cheap, the convolutional network can afford many more maps. Could the
# gain come from width alone? A fourth arm tests this: **unshared, same width** has the convolution's number of maps and
# pays with many times its parameters.


# %%
class UnsharedConv2d(nn.Module):
    """A convolution whose weights differ at every position: (N, C, H, W) -> (N, O, H', W')."""

    def __init__(self, channels: int, maps: int, size: int, stride: int, side: int):
        super().__init__()
        self.size, self.stride, self.cells = size, stride, (side - size) // stride + 1
        bound = 1 / np.sqrt(channels * size**2)  # the framework's own initialisation of a convolution
        self.weight = nn.Parameter(
            torch.empty(self.cells**2, maps, channels * size**2).uniform_(-bound, bound)
        )
        self.bias = nn.Parameter(torch.empty(self.cells**2, maps).uniform_(-bound, bound))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        patches = nn.functional.unfold(x, self.size, stride=self.stride)  # (N, C * size^2, positions)
        y = torch.einsum("ncp,poc->nop", patches, self.weight) + self.bias.T
        return y.unflatten(2, (self.cells, self.cells))


def local_network(kind: str, widths: tuple[int, int]) -> nn.Sequential:
    """Two strided 5 x 5 / 3 x 3 layers with ReLU, and a linear head on all cells."""
    first_side = (image_size - 5) // 2 + 1
    second_side = (first_side - 3) // 2 + 1
    if kind == "shared":
        first, second = nn.Conv2d(3, widths[0], 5, stride=2), nn.Conv2d(widths[0], widths[1], 3, stride=2)
    else:
        first = UnsharedConv2d(3, widths[0], 5, 2, image_size)
        second = UnsharedConv2d(widths[0], widths[1], 3, 2, first_side)
    head = nn.Linear(widths[1] * second_side**2, CLASSES)
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.Flatten(), head)


def parameters_of(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


BUDGET = parameters_of(local_network("shared", (32, 64)))
HIDDEN = max(1, round(BUDGET / (3 * image_size**2 + 1 + CLASSES)))
UNSHARED_WIDTHS = min(
    ((a, b) for a in range(1, 9) for b in range(1, 33)),
    key=lambda widths: abs(parameters_of(local_network("unshared", widths)) - BUDGET),
)


def dense_network() -> nn.Sequential:
    first, second = nn.Linear(3 * image_size**2, HIDDEN), nn.Linear(HIDDEN, CLASSES)
    return nn.Sequential(nn.Flatten(), first, nn.ReLU(), second)


SHARING = {
    "shared": lambda: local_network("shared", (32, 64)),
    "unshared": lambda: local_network("unshared", UNSHARED_WIDTHS),
    "mlp": dense_network,
    "unshared_same_width": lambda: local_network("unshared", (32, 64)),
}
show.TextTable(
    [{"network": LABELS[arm], "parameters": f"{parameters_of(make()):,}"} for arm, make in SHARING.items()]
)

# %% [markdown]
# An unshared layer whose weights happen to be equal at all positions *is* a convolution, and that is how we check that
# the class above does what it says:

# %%
shared, unshared = nn.Conv2d(3, 4, 5, stride=2), UnsharedConv2d(3, 4, 5, 2, image_size)
with torch.no_grad():
    unshared.weight.copy_(shared.weight.flatten(1).expand_as(unshared.weight))
    unshared.bias.copy_(shared.bias.expand_as(unshared.bias))
    some = torch.randn(2, 3, image_size, image_size)
    unshared_error = evidence.record_check(
        NOTEBOOK, "unshared_max_abs_error", float((shared(some) - unshared(some)).abs().max())
    )
assert unshared_error < 1e-5
print("an unshared layer with equal weights equals the convolution")


# %% [markdown]
# The study measures AUROC, and how a network takes a shift of the test image by one to four pixels. Two measures of the
# latter are recorded: how often the *answer* stays the same, and how closely the *scores* of the shifted images follow
# those of the images as they were (their correlation over test images: 1 if shifts change nothing, 0 if the score of a
# shifted image says nothing about the score before).


# %%
def under_shifts(network: nn.Module, scores: np.ndarray) -> dict[str, float]:
    """Share of unchanged answers and mean correlation of scores (N, K), over shifts of 1 to 4 px in both axes."""
    still, same, alike = images.select(test), [], []
    for pixels in (1, 2, 3, 4):
        for axis in (-1, -2):
            moved = data.DeviceDataset(torch.roll(still.images, pixels, dims=axis), still.labels)
            shifted = training.predict(network, moved, CENTRED)
            same.append((shifted.argmax(1) == scores.argmax(1)).mean())
            before, after = scores - scores.mean(axis=0), shifted - shifted.mean(axis=0)
            spread = np.sqrt((before**2).sum(axis=0) * (after**2).sum(axis=0))
            # Scores that are the same for all images say nothing about any image: no correlation.
            alike.append(((before * after).sum(axis=0) / np.where(spread > 0, spread, 1)).mean())
    return {"shift_consistency": float(np.mean(same)), "shift_correlation": float(np.mean(alike))}


def weight_sharing(arm: str, seed: int, n: int) -> dict:
    scores, network, share = train_and_predict(SHARING[arm], seed, n)
    return (
        measured(scores, share)
        | under_shifts(network, scores)
        | {"parameters": float(parameters_of(network))}
    )


# %% [markdown]
# *Do shared weights beat unshared ones, and does the structure alone beat a dense network?* Left what this run has just
# measured, right the reference run, which is kept with the project. Each line shows the mean over seeds with the 95 %
# interval of that mean; small dots are single seeds.

# %% tags=["nbval-ignore-output"]
sharing = compared(
    "weight_sharing",
    weight_sharing,
    list(SHARING),
    factors={"n": sharing_sizes},
    directions=DIRECTIONS
    | {"shift_consistency": "higher", "shift_correlation": "higher", "parameters": "lower"},
)
show.side_by_side(show.plot_arms, sharing, "auroc", by="n", study="weight_sharing", **KEPT)

# %% [markdown]
# Shared weights have to earn their place by the *paired differences*: within one seed both arms saw the same training
# images, so their difference is free of the luck of the draw. The grey band is the smallest effect that the register
# calls interesting.

# %% tags=["nbval-ignore-output"]
PAIRS = [("shared", "unshared"), ("unshared", "mlp"), ("shared", "unshared_same_width")]
sharing_kept = {"by": "n", "study": "weight_sharing", **KEPT}
display(show.side_by_side(show.plot_differences, sharing, PAIRS, "auroc", claim="C008", **sharing_kept))
display(show.in_both_runs(show.difference_sentence, sharing, *PAIRS[0], "auroc", **sharing_kept))
show.in_both_runs(show.difference_sentence, sharing, *PAIRS[2], "auroc", **sharing_kept)

# %% [markdown]
# *Had all arms converged?* "No" in the last column says that in more than a fifth of the seeds the best epoch lay in
# the last tenth of the budget.

# %% tags=["nbval-ignore-output"]
convergence("weight_sharing", sharing, by="n")

# %% [markdown]
# On the phantoms shared weights win clearly, even against the unshared network of the same width with its many times
# the parameters: a lesion may lie anywhere, and a kernel that was learnt at one place serves at all others. In the
# reference they win nowhere clearly, and on breast ultrasound the wide unshared network is ahead. We do not know why;
# the chest X-rays, the most standardised images here, show almost no difference. Sharing is an assumption about images,
# and it pays where the assumption holds.
#
# ### A measure that rewards knowing nothing
#
# "A convolutional network gives the same answer for a shifted image" sounds easy to measure: count unchanged answers.
# *What does that count reward?* Each point below is one network of the reference run. Balanced accuracy, the mean of
# the hit rates of the classes, is one over the number of classes for a network that gives every image the same answer:
# .5 for the two classes of the chest X-rays, .33 for the three of breast ultrasound, .2 for the five of the white blood
# cells.

# %% tags=["nbval-ignore-output"]
kept = show.reference_records(NOTEBOOK, "weight_sharing")
if kept is None:
    print("No reference run holds this study yet.")
else:
    each = kept.pivot_table(index=["dataset", "arm", "n", "seed"], columns="metric", values="value")
    sets = list(each.index.unique("dataset"))
    figure, axes = plt.subplots(
        1, len(sets), figsize=(3.3 * len(sets) + 1.6, 3.4), sharey=True, squeeze=False, layout="constrained"
    )
    for axis, name in zip(axes[0], sets, strict=True):
        for kind, marker in zip(SHARING, "osD^", strict=True):
            points = each.loc[name, kind]
            look = {"color": show.colour_of(kind), "label": LABELS[kind], "markersize": 4}
            axis.plot(points["balanced_accuracy"], points["shift_consistency"], marker, **look)
        both = np.corrcoef(each.loc[name]["balanced_accuracy"], each.loc[name]["shift_consistency"])[0, 1]
        axis.set_title(f"reference: {LABELS.get(name, name)}\n(correlation {both:.2f})")
        axis.set_xlabel("balanced accuracy")
    axes[0, 0].set_ylabel("share of answers that stay\nunder shifts of 1 to 4 px")
    axes[0, -1].legend(loc="upper left", bbox_to_anchor=(1, 1))
    plt.show()

# %% [markdown]
# The most consistent networks are those that have learnt least: a constant answer never changes. A measure of stability
# must not reward that. The correlation of scores does not: where all images get the same score, there is nothing to
# correlate, and it counts as 0. *Which network's scores survive a shift, then?*

# %% tags=["nbval-ignore-output"]
display(
    show.plot_arms(sharing, "shift_correlation", by="n", labels=LABELS, bounds=(None, 1.0), title="this run")
)
show.difference_sentence(sharing, *PAIRS[0], "shift_correlation", by="n", labels=LABELS)

# %% [markdown]
# To a dense network, which has no notion of neighbourhood, a shifted image is another image. A convolution has the same
# kernels wherever the pattern has moved. Read any verdict that rests on the share of unchanged answers with the scatter
# of points above in mind.
#
# ## Study 2: which activation? (C010)
#
# The same network with four activations. That some activation is needed is a theorem, shown above; what the theorem
# does not say is how much it matters on these images, nor whether ReLU is better than the older choices in a network
# as shallow as this one. Expect no collapse in the arm without activation: its max-pooling is itself non-linear.
#
# The next three studies compare arms that lie close together. Half a minute cannot tell them apart, so by default
# nothing is trained and the reference alone is shown; `ablations` runs them here.


# %% tags=["nbval-ignore-output"]
def activation_trial(arm: str, seed: int) -> dict:
    scores, _, share = train_and_predict(
        lambda: SmallCNN(CLASSES, image_size, activation=arm), seed, train_size
    )
    return measured(scores, share)


ACTIVATION_ARMS = ["relu", "tanh", "sigmoid", "identity"]
activations = compared("activation", activation_trial, ACTIVATION_ARMS) if ablations else None
display(show.side_by_side(show.plot_arms, activations, "auroc", study="activation", **KEPT))
ON_ACTIVATION = [("relu", other) for other in ("identity", "tanh", "sigmoid")]
activation_kept = {"claim": "C010", "study": "activation", **KEPT}
display(show.side_by_side(show.plot_differences, activations, ON_ACTIVATION, "auroc", **activation_kept))
convergence("activation", activations)

# %% [markdown]
# In the reference the sigmoid falls far behind on every data set; on the chest X-rays it was still improving when its
# budget ended, as the table says. ReLU has no clear advantage over tanh. The arm without activation, with max-pooling
# as its only bend, is even a little ahead of ReLU on the X-rays; on the white blood cells it is a little behind. So
# these images do not show that ReLU is the right choice. The last study of this notebook has a task in which no
# *linear* network gets anywhere.
#
# ## Study 3: is pooling essential? (C009)
#
# Three ways to go down in resolution: max-pooling after each convolution, a stride of two *in* the convolution, and no
# reduction at all until the head averages. All three have the same number of parameters, because pooling has none. They
# differ in one more thing: without a reduction the kernels of the second layer see a smaller part of the image, because
# nothing has brought distant pixels closer. Receptive field and pooling change together here.


# %% tags=["nbval-ignore-output"]
def pooling_trial(arm: str, seed: int) -> dict:
    scores, _, share = train_and_predict(lambda: SmallCNN(CLASSES, image_size, down=arm), seed, train_size)
    return measured(scores, share)


DOWN = ["max_pool", "strided", "none"]
assert len({parameters_of(SmallCNN(CLASSES, image_size, down=arm)) for arm in DOWN}) == 1
poolings = compared("pooling", pooling_trial, DOWN) if ablations else None
ON_POOLING = [("max_pool", "strided"), ("max_pool", "none")]
pooling_kept = {"claim": "C009", "study": "pooling", **KEPT}
display(show.side_by_side(show.plot_differences, poolings, ON_POOLING, "auroc", **pooling_kept))
display(
    show.in_both_runs(show.difference_sentence, poolings, *ON_POOLING[0], "auroc", study="pooling", **KEPT)
)
convergence("pooling", poolings)

# %% [markdown]
# In the reference max-pooling is worth something on breast ultrasound, where it beats both alternatives, and on the white
# blood cells, where it beats the strided convolution; on the chest X-rays all three are level. A network does not need
# it, then, but may gain from it. Many modern networks do without (Springenberg et al. 2015).
#
# ## Study 4: does the network beat what came before? (C001)
#
# Three classical baselines on the same training images: a support vector machine on histograms of oriented gradients
# (**HOG**), a random forest on pixels and logistic regression on pixels. All of them see the same channels as the
# network: where the images are coloured, HOG takes at each pixel the gradient of the channel in which it is strongest.
# Each gets two candidates for its main setting, chosen on the same validation images, as the network chooses among its
# learning rates.


# %%
class MarginSVM(svm.SVC):
    """An SVM whose scores (n, K) are the softmax of its margins, which needs no further images as calibration does."""

    def predict_proba(self, X):
        margins = self.decision_function(X)
        both = np.column_stack([-margins, margins]) if margins.ndim == 1 else margins
        return torch.from_numpy(both).softmax(1).numpy()


def classical_candidates(arm: str, seed: int, index: np.ndarray) -> tuple[np.ndarray, list]:
    """Inputs (n, D) of one classical arm, all channels of the images of `index`, and its candidates."""
    drawn = images.images[torch.from_numpy(index).to(device)].float().cpu().numpy() / 255  # (n, C, H, W)
    pixels = drawn.reshape(len(drawn), -1)
    if arm == "hog_svm":
        cells = {"orientations": 9, "pixels_per_cell": (7, 7), "cells_per_block": (2, 2)}
        scaled = [pipeline.make_pipeline(preprocessing.StandardScaler(), MarginSVM(C=c)) for c in (1, 10)]
        return np.stack([hog(image, channel_axis=0, **cells) for image in drawn]), scaled
    if arm == "pixel_forest":
        shares = ("sqrt", 0.1)
        return pixels, [
            ensemble.RandomForestClassifier(200, max_features=f, random_state=seed) for f in shares
        ]
    penalties = [linear_model.LogisticRegression(C=c, max_iter=2000) for c in (0.001, 0.1)]
    return pixels, [pipeline.make_pipeline(preprocessing.StandardScaler(), model) for model in penalties]


def classical(arm: str, seed: int) -> dict:
    if arm == "cnn":
        scores, _, share = train_and_predict(lambda: SmallCNN(CLASSES, image_size), seed, train_size)
        return measured(scores, share)
    chosen = data.nested_subset(archive.labels, parts.train, train_size, seed)
    validation = data.nested_subset(archive.labels, parts.val, min(val_size, len(parts.val)), seed)
    inputs, candidates = classical_candidates(arm, seed, np.concatenate([chosen, validation, test]))
    known, held_out, new = np.split(inputs, np.cumsum([len(chosen), len(validation)]))
    fitted = [model.fit(known, archive.labels[chosen]) for model in candidates]
    truth = archive.labels[validation]
    best = max(fitted, key=lambda model: evaluation.auroc(truth, model.predict_proba(held_out)))
    return measured(best.predict_proba(new))


# %% [markdown]
# *By how much does the network win, if it wins?* The literature already holds counter-examples: in the benchmark of
# MedMNIST v2 (Yang et al. 2023) an automatically tuned classical pipeline reaches an accuracy of .515 on the retina
# set, where a ResNet-18 trained from scratch on images of 224 px reaches .493.

# %% tags=["nbval-ignore-output"]
BASELINES = ["hog_svm", "pixel_forest", "pixel_logistic"]
classics = compared("classical", classical, ["cnn", *BASELINES]) if ablations else None
display(show.side_by_side(show.plot_arms, classics, "auroc", study="classical", **KEPT))
ON_CLASSICS = [("cnn", other) for other in BASELINES]
classical_kept = {"claim": "C001", "study": "classical", **KEPT}
display(show.side_by_side(show.plot_differences, classics, ON_CLASSICS, "auroc", **classical_kept))
convergence("classical", classics)

# %% [markdown]
# The register asks that the network beat each baseline, on every data set, by more than the grey band. On breast
# ultrasound it does. On the chest X-rays the SVM is ahead. A likely reason: the lungs fill the same part of every
# picture, so that edges at fixed places, the description that people designed, already say a great deal, while the
# network has to find its own from a few hundred images. On the white blood cells the network is ahead of all three on
# these hundred test images, which are too few to speak of new ones.
#
# ## Study 5: close to the Bayes error? (C003)
#
# The *Bayes error* is the error of the best classifier there can be: where two classes produce the same image, nobody
# can tell them apart. For photographs it is unknown, so that "near the Bayesian limit" cannot be checked on ImageNet.
# On data that we draw ourselves it can. Each image here is a random texture; the two classes have the same mean and the
# same power, and differ only in the direction of their waves. For such Gaussian textures Bayes' rule can be written
# down: compare the energy in two bands of frequencies and choose the larger. How often that observer errs follows from
# the distribution of a ratio of two energies, an F distribution, so the limit is a number and not a guess.

# %%
BAYES_SIDE, BAYES_TEST = 16, 4000
draw_textures = data.phantoms.draw_known_bayes
BAYES_CASES = draw_textures(BAYES_TEST, size=BAYES_SIDE, seed=10_000)
IDEAL_ERROR = float((BAYES_CASES.posterior.argmax(1) != BAYES_CASES.labels).mean())
margin = 4 * np.sqrt(BAYES_CASES.bayes_error * (1 - BAYES_CASES.bayes_error) / BAYES_TEST)
assert abs(IDEAL_ERROR - BAYES_CASES.bayes_error) < margin  # four standard errors of a share
print(
    f"Bayes error {BAYES_CASES.bayes_error:.3f}; the ideal observer on {BAYES_TEST} test images: {IDEAL_ERROR:.3f}"
)

# %% tags=["nbval-ignore-output"]
shown = np.concatenate([np.flatnonzero(BAYES_CASES.labels == label)[:6] for label in (0, 1)])
show.strip(
    BAYES_CASES.images[shown],
    [
        f"class {BAYES_CASES.labels[i]}, P = {BAYES_CASES.posterior[i, BAYES_CASES.labels[i]]:.2f}"
        for i in shown
    ],
    caption="P: the ideal observer's belief in the class",
)

# %% [markdown]
# *Could you tell the classes apart?* The ideal observer's belief stands above each image; where it is near one half,
# nobody could. The study trains a small network and a linear classifier on growing training sets, and the small network
# once more without its activation and with strides in place of max-pooling. That makes it *a linear network*, however
# deep.


# %%
def as_resident(drawn) -> data.DeviceDataset:
    pixels = torch.from_numpy(drawn.images).unsqueeze(1).to(device)
    return data.DeviceDataset(pixels, torch.from_numpy(drawn.labels).to(device))


def linear_error(train, validation) -> float:
    """Error on the test images of logistic regression, the better of two penalties on the validation images."""
    flat = [d.images.reshape(len(d.images), -1).astype(float) for d in (train, validation, BAYES_CASES)]
    scale = preprocessing.StandardScaler().fit(flat[0])
    known, held_out, new = (scale.transform(pixels) for pixels in flat)
    fitted = [
        linear_model.LogisticRegression(C=c, max_iter=2000).fit(known, train.labels) for c in (1e-3, 1e-1)
    ]
    best = max(fitted, key=lambda model: model.score(held_out, validation.labels))
    return float(1 - best.score(new, BAYES_CASES.labels))


def network_error(seed: int, train, validation, **parts_of_it) -> float:
    """Error on the test images of a small network, trained with the learning rate that validation prefers."""
    candidates = []
    for rate in learning_rates:
        study.seed_everything(seed)
        network = SmallCNN(2, BAYES_SIDE, **parts_of_it).to(device)
        epochs = int(np.ceil(bayes_steps / np.ceil(len(train.labels) / 64)))
        config = training.FitConfig(epochs=epochs, batch_size=64, learning_rate=rate, best_by="val_loss")
        sets = as_resident(train), as_resident(validation)
        result = training.fit(network, training.policies.SCRATCH, *sets, CENTRED, config, seed=seed)
        candidates.append((config.rank(result.best), -rate, network))
    network = max(candidates, key=lambda candidate: candidate[:2])[2]
    answers = training.predict(network, as_resident(BAYES_CASES), CENTRED).argmax(1)
    return float((answers != BAYES_CASES.labels).mean())


def near_bayes(arm: str, seed: int, n: int) -> dict:
    drawn = [draw_textures(m, size=BAYES_SIDE, seed=seed + first) for m, first in ((n, 0), (500, 5_000))]
    if arm == "bayes":
        error = IDEAL_ERROR
    elif arm == "linear":
        error = linear_error(*drawn)
    else:
        without = {"activation": "identity", "down": "strided"} if arm == "cnn_without_activation" else {}
        error = network_error(seed, *drawn, **without)
    return {"excess_error": error - IDEAL_ERROR, "error": error}


# %% tags=["nbval-ignore-output"]
bayes = compared(
    "near_bayes",
    near_bayes,
    ["cnn", "cnn_without_activation", "linear", "bayes"],
    factors={"n": bayes_sizes},
    directions={"excess_error": "lower", "error": "lower"},
    data=study.DataIdentity("phantoms_known_bayes", "drawn in the trial", synthetic=True),
    n_test=BAYES_TEST,
)
bayes_kept = {"x_scale": "log2", "study": "near_bayes", **KEPT}
display(show.side_by_side(show.plot_curves, bayes, "error", "n", **bayes_kept))
show.in_both_runs(show.arm_sentence, bayes, "cnn", "excess_error", by="n", study="near_bayes", **KEPT)

# %% [markdown]
# The distance to the lowest curve is the *excess error*, the only part of the error that a better method or more data
# can remove. The rest is in the images. Ask of any benchmark how much of the remaining error is of this second kind. In
# medicine, the disagreement between expert readers gives a hint.
#
# The network comes close to the limit. The linear classifier stays at chance, however many images it sees: the waves
# may have any phase, so on average no pixel is brighter in one class than in the other, and no fixed weight for a fixed
# pixel can express "somewhere in the image, waves run this way". A kernel, an activation and an average can. Take both
# the activation and the max-pooling away, and the network stays at chance as well: this is the collapse of depth,
# measured.
#
# ## Verdicts
#
# What the reference run says about each statement. *Exploratory* means that the rule was written after its records were
# taken: new seeds or new images have to confirm it.

# %% tags=["nbval-ignore-output"]
show.statement_sentences(NOTEBOOK)

# %% [markdown]
# The register's rules, applied to the records in this run directory. Identities are settled by any run. Statements
# about medical images need medical images: phantoms never count as evidence for them, and fewer than five seeds never
# make a verdict.

# %% tags=["nbval-ignore-output"]
show.notebook_verdicts(NOTEBOOK)

# %% [markdown]
# ## What this does not show
#
# - **Small networks, small images, small budgets.** The networks here train in seconds. That ReLU or pooling matters
#   little in two layers says nothing about fifty.
# - **Matched parameters are one way to be fair.** Matched width, matched arithmetic or matched training time would
#   answer other questions; the fourth arm of the first study shows one of them.
# - **A few learning rates are a small search.** An activation that needs a more careful set-up is judged here by what it
#   does with an ordinary one. Sigmoid networks in particular profit from other initialisations.
# - **The classical baselines are plain.** A tuned pipeline does better, and on small medical sets sometimes better than
#   a network, as the benchmark quoted above shows.
# - **The known Bayes error is that of our own toy.** It shows that the notion can be measured, not that any network is
#   near the limit on photographs or on patients.
#
# ## Exercises
#
# Each exercise has a check that runs and says what is wrong. Set the answer, run the cell, and compare with the solution
# below it.
#
# **1. The size of a map.** A kernel of size `k` with stride `s` and padding `p` runs over `h` rows. Write the number of
# rows that come out.

# %%
answer_1 = None  # for example: lambda h, k, s, p: ...


def rows_out(h: int, k: int, s: int, p: int) -> int:
    return nn.Conv2d(1, 1, k, s, p)(torch.zeros(1, 1, h, h)).shape[-1]


check_1 = show.Check(
    1,
    wants="a function of (h, k, s, p) that returns the number of rows",
    cases=[
        (sizes, rows_out(*sizes)) for sizes in ((28, 5, 2, 2), (28, 3, 1, 0), (31, 7, 3, 1), (12, 3, 2, 1))
    ],
    misconceptions=[
        show.Misconception(lambda h, k, s, p: (h + p - k) // s + 1, "the padding is added on both sides"),
        show.Misconception(lambda h, k, s, p: (h - k) // s + 1, "where is the padding?"),
        show.Misconception(lambda h, k, s, p: (h + 2 * p - k) // s, "count the first place as well"),
        show.Misconception(lambda h, k, s, p: h // s, "that holds for one padding only; the kernel must fit"),
    ],
    hint="count the places where the kernel fits, in steps of the stride",
)
check_1(answer_1)

# %% tags=["solution"]
check_1(lambda h, k, s, p: (h + 2 * p - k) // s + 1)

# %% [markdown]
# **2. Receptive field.** How many input pixels, along one side, can a single unit see after the two strided layers of
# the weight-sharing study (a 5 x 5 kernel with stride 2, then a 3 x 3 kernel with stride 2)?

# %%
answer_2 = None  # a number of pixels

probe = torch.zeros(1, 1, 41, 41, requires_grad=True)
nn.Sequential(nn.Conv2d(1, 1, 5, 2), nn.Conv2d(1, 1, 3, 2))(probe)[0, 0, 4, 4].backward()
check_2 = show.Check(
    2,
    wants="a number of pixels",
    expected=int((probe.grad[0, 0].abs().sum(0) > 0).sum()),
    misconceptions=[
        show.Misconception(8, "the windows of neighbouring units overlap; adding the kernels is not enough"),
        show.Misconception(15, "the windows of neighbouring units overlap; multiplying counts pixels twice"),
        show.Misconception(7, "neighbouring units of the first layer lie two pixels apart"),
        show.Misconception(5, "that is the first layer alone"),
    ],
    hint="draw the three units that the second kernel reads, and the five pixels that each of them sees",
)
check_2(answer_2)

# %% tags=["solution"]
check_2(5 + (3 - 1) * 2)

# %% [markdown]
# **3. Average pooling as a convolution.** Average pooling over 2 x 2 windows is a convolution with a fixed kernel and a
# stride. Give the kernel as an array of shape (2, 2), and the stride.

# %%
answer_3 = None  # (kernel, stride)

board = np.random.default_rng(1).normal(size=(1, 1, 8, 8))


def pools(answer) -> bool:
    kernel, stride = answer
    found = convolve(board, np.asarray(kernel)[None, None], np.zeros(1), stride)
    wanted = pool(board, 2, np.mean)
    return found.shape == wanted.shape and np.allclose(found, wanted)


check_3 = show.Check(
    3,
    wants="a pair (kernel, stride), the kernel an array of shape (2, 2)",
    properties=[("the convolution equals average pooling", pools)],
    misconceptions=[
        show.Misconception((np.full((2, 2), 0.25), 1), "with a stride of 1 the windows overlap"),
        show.Misconception((np.ones((2, 2)), 2), "that adds the four pixels up"),
        show.Misconception((np.full((2, 2), 0.5), 2), "an average has weights that sum to 1"),
    ],
    hint="write the average of four numbers as a weighted sum",
)
check_3(answer_3)

# %% tags=["solution"]
check_3((np.full((2, 2), 0.25), 2))

# %% [markdown]
# **4. Two layers into one.** Two 3 x 3 convolutions without activation and without bias, one after the other, equal a
# single convolution. Compute its kernel from the two (one channel each). *Hint:* send an image with a single white pixel
# through both; and remember that our convolution does not flip its kernel.

# %%
answer_4 = None  # for example: lambda first, second: ...


def one_after_the_other(image: np.ndarray, *kernels: np.ndarray) -> np.ndarray:
    x = image[None, None]
    for each in kernels:
        x = convolve(x, each[None, None], np.zeros(1))
    return x[0, 0]


PIXEL = np.zeros((9, 9))
PIXEL[4, 4] = 1.0  # an image with a single white pixel
KERNEL_PAIRS = np.random.default_rng(2).normal(size=(2, 2, 3, 3))
check_4 = show.Check(
    4,
    wants="a function of two kernels (3, 3) that returns one kernel (5, 5)",
    cases=[(tuple(pair), one_after_the_other(PIXEL, *pair)[::-1, ::-1]) for pair in KERNEL_PAIRS],
    misconceptions=[
        show.Misconception(lambda a, b: a * b, "the two together see more pixels than either alone"),
        show.Misconception(lambda a, b: a @ b, "a product of matrices mixes rows and columns; slide, add up"),
        show.Misconception(
            lambda a, b: one_after_the_other(np.pad(a, 2), b), "turn one of the kernels round"
        ),
    ],
    hint="the new kernel has 5 x 5 weights; each is a sum of products of a weight of each kernel",
)
check_4(answer_4)


# %% tags=["solution"]
def merged(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    padded = np.pad(first, len(second) - 1)
    return one_after_the_other(padded, second[::-1, ::-1])


check_4(merged)

# %% [markdown]
# ## References
#
# - Gu, C. (2024). Enhancing medical image classification with convolutional neural networks through transfer learning: a
#   comprehensive review. *Applied and Computational Engineering* 35, 280-284. The survey under test.
# - Lundervold, A. S., Lundervold, A. (2019). An overview of deep learning in medical imaging focusing on MRI. *Zeitschrift
#   für Medizinische Physik* 29(2), 102-127. The survey's source for the parts of a network.
# - LeCun, Y. et al. (1989). Backpropagation applied to handwritten zip code recognition. *Neural Computation* 1(4). Shared
#   weights.
# - Dalal, N., Triggs, B. (2005). Histograms of oriented gradients for human detection. *CVPR*.
# - Springenberg, J. T. et al. (2015). Striving for simplicity: the all convolutional net. *ICLR workshop*. Strides in place
#   of pooling.
# - Yang, J. et al. (2023). MedMNIST v2. *Scientific Data* 10, 41. The benchmark table quoted in study 4.
