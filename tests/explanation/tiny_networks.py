"""Networks whose attributions are known on paper."""

import torch
from torch import Tensor, nn


class Linear(nn.Module):
    """Logits of flattened images: class 0 has no weight, class 1 has `weights` (C, H, W)."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.stack([torch.zeros_like(weights), weights]).flatten(1))

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ self.weight.T


class Product(nn.Module):
    """Class 1: the product of the first two pixels, plus the third one."""

    def forward(self, x: Tensor) -> Tensor:
        pixels = x.flatten(1)
        score = pixels[:, 0] * pixels[:, 1] + pixels[:, 2]
        return torch.stack([torch.zeros_like(score), score], 1)


class TinyCNN(nn.Module):
    """Two convolutions, of which the first may be rectified, an average, and two classes."""

    def __init__(self, rectifier: nn.Module | None = None, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.first = nn.Conv2d(3, 4, 3, padding=1)
            self.act = rectifier if rectifier is not None else nn.ReLU(inplace=True)
            self.second = nn.Conv2d(4, 5, 3, padding=1)
            self.last = nn.ReLU(inplace=True)
            self.head = nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.last(self.second(self.act(self.first(x)))).mean((2, 3)))
