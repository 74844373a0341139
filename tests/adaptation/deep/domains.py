"""Small domains for the tests of deep adaptation: two moons and the same moons turned."""

import numpy as np
import torch
from sklearn.datasets import make_moons

from medtl_core.training.features import FeatureSet


def moons(degrees: float, n: int = 300, seed: int = 0, shift: float = 0.0) -> FeatureSet:
    """Two moons around the origin, turned by `degrees` and moved to the right by `shift`."""
    x, y = make_moons(n, noise=0.1, random_state=seed)
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    x = (x - [0.5, 0.25]) @ turn.T + [shift, 0]
    return FeatureSet(torch.tensor(x, dtype=torch.float32), torch.tensor(y))


def gaussians(mean: float, spread: float, n: int = 300, seed: int = 0) -> FeatureSet:
    """Two classes at -1 and 1 along the first of three axes, the whole moved by `mean` and stretched."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    x = rng.normal(0, 0.4, (n, 3))
    x[:, 0] += 2 * y - 1
    return FeatureSet(torch.tensor(spread * x + mean, dtype=torch.float32), torch.tensor(y))
