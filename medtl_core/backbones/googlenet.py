"""GoogLeNet, which timm lacks, behind the interface of a timm network."""

from __future__ import annotations

from typing import Any

import torch
import torchvision.models
from torch import Tensor, nn


class GoogLeNet(torchvision.models.GoogLeNet):
    """torchvision's GoogLeNet (Szegedy et al. 2015, with batch norm) that answers to timm's names.

    Without the two auxiliary classifiers and without dropout, as timm builds its networks. Weights of
    torchvision expect inputs normalised with mean = std = 0.5: torchvision converts from ImageNet's mean
    and std inside the network (`transform_input`), here the normalisation says so and the network takes its
    inputs as they are.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes=num_classes, aux_logits=False, init_weights=False, dropout=0.0)
        self.num_features = self.fc.in_features
        self.pretrained_cfg: dict[str, Any] = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}

    def forward_features(self, x: Tensor) -> Tensor:
        """Feature maps before global pooling: (N, 3, H, W) -> (N, 1024, H/32, W/32), sizes rounded up."""
        x = self.maxpool1(self.conv1(x))
        x = self.maxpool2(self.conv3(self.conv2(x)))
        x = self.maxpool3(self.inception3b(self.inception3a(x)))
        x = self.inception4c(self.inception4b(self.inception4a(x)))
        x = self.maxpool4(self.inception4e(self.inception4d(x)))
        return self.inception5b(self.inception5a(x))

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """(N, 1024, h, w) -> logits (N, K), or the pooled features (N, 1024) with `pre_logits`."""
        x = self.dropout(torch.flatten(self.avgpool(x), 1))
        return x if pre_logits else self.fc(x)

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, 3, H, W) -> logits (N, K)."""
        return self.forward_head(self.forward_features(x))

    def get_classifier(self) -> nn.Module:
        """The linear head."""
        return self.fc
