"""A small network to be trained from nothing: the control that has little to overfit with."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from medtl_core.backbones.zoo import Backbone
from medtl_core.data.tensors import Normalisation
from medtl_core.errors import MedtlError


class SmallCNN(nn.Module):
    """Three blocks of 3 x 3 convolution, batch norm, ReLU and 2 x 2 max-pooling, an average, a linear head.

    Images (N, 3, H, W), H and W at least 8, -> logits (N, K). The blocks have w, 2w and 4w channels. It has
    timm's three methods that the zoo and the policies ask of a network.
    """

    def __init__(self, num_classes: int, width: int) -> None:
        super().__init__()
        channels = [3, width, 2 * width, 4 * width]
        self.body = nn.Sequential(
            *[
                nn.Sequential(
                    nn.Conv2d(before, after, 3, padding=1, bias=False),
                    nn.BatchNorm2d(after),
                    nn.ReLU(inplace=True),
                    nn.MaxPool2d(2),
                )
                for before, after in pairwise(channels)
            ]
        )
        self.head = nn.Linear(channels[-1], num_classes)

    def get_classifier(self) -> nn.Linear:
        """The linear head."""
        return self.head

    def forward_features(self, x: Tensor) -> Tensor:
        """Images (N, 3, H, W) -> the last maps (N, 4w, H // 8, W // 8)."""
        return self.body(x)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Maps -> logits (N, K), or what the head receives (N, 4w)."""
        pooled = x.mean((2, 3))
        return pooled if pre_logits else self.head(pooled)

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, 3, H, W) -> logits (N, K)."""
        return self.forward_head(self.forward_features(x))


def small_cnn(*, num_classes: int, seed: int | None = None, width: int = 16) -> Backbone:
    """A random `SmallCNN` in channels_last memory format, for inputs with mean .5 and standard deviation .5.

    seed: fixes all weights without touching the global random state; None draws from that state.
    Raises MedtlError for fewer than two classes and a width below 1.
    """
    if num_classes < 2 or width < 1:
        raise MedtlError(
            f"small_cnn: {num_classes} classes and width {width}, expected at least 2 classes and width 1"
        )
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.default_generator.manual_seed(seed)
        network = SmallCNN(num_classes, width)
    half = Normalisation((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    return Backbone("small_cnn", network.to(memory_format=torch.channels_last), half, "random")
