"""Gates that multiply features by a number in 0 to 1: triplet gates, and Yao's quad gate.

Neither has queries and keys. An axis gate squeezes one axis to its maximum and its mean, convolves what is
left with a kernel of 7, and multiplies the features by the sigmoid. The three or four gates act side by side,
and the output is their mean. A gate that squeezes the channels looks at a 7-pixel neighbourhood; one that
squeezes an axis of the image looks along the whole of it.
"""

import torch
from torch import Tensor, nn

from medtl_core.errors import MedtlError
from medtl_core.segmentation.networks.layers import convolution

KERNEL = 7


class AxisGate(nn.Module):
    """x * sigmoid(BN(conv7(max and mean of x over `axis`))), for x (N, C, *size).

    axis: 1 for the channels, 2 and more for the axes of the image. For these, axis and channels change places
    first, so that the convolution runs over the channels as if they were an axis of the image.
    """

    def __init__(self, axis: int, spatial: int) -> None:
        super().__init__()
        norm = nn.BatchNorm2d if spatial == 2 else nn.BatchNorm3d
        self.axis = axis
        self.convolution = convolution(spatial)(2, 1, KERNEL, padding=KERNEL // 2, bias=False)
        self.norm = norm(1, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        """Features of the same shape."""
        turned = x.transpose(1, self.axis)
        pooled = torch.cat([turned.amax(1, keepdim=True), turned.mean(1, keepdim=True)], dim=1)
        gated = turned * torch.sigmoid(self.norm(self.convolution(pooled)))
        return gated.transpose(1, self.axis)


class QuadGate(nn.Module):
    """Mean of four axis gates, over channels, depth, height and width (Yao et al. 2022, public code).

    The abstract calls it "quad self-attention". It has 4 x (2 x 7^3 + 2) = 2,752 weights whatever the number
    of channels.
    """

    def __init__(self) -> None:
        super().__init__()
        self.gates = nn.ModuleList(AxisGate(axis, 3) for axis in (1, 2, 3, 4))

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, C, D, H, W) of the same shape."""
        if x.ndim != 5:
            raise MedtlError(f"quad gate: features {tuple(x.shape)}, expected volumes (N, C, D, H, W)")
        return torch.stack([gate(x) for gate in self.gates]).mean(0)


class TripletGate(nn.Module):
    """Mean of three axis gates, over channels, height and width (Misra et al. 2021, triplet attention).

    Volumes are gated slice by slice. It has 3 x (2 x 7^2 + 2) = 300 weights.
    """

    def __init__(self) -> None:
        super().__init__()
        self.gates = nn.ModuleList(AxisGate(axis, 2) for axis in (1, 2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, C, H, W) or (N, C, D, H, W) of the same shape."""
        if x.ndim not in (4, 5):
            raise MedtlError(f"triplet gate: features {tuple(x.shape)}, expected images or volumes")
        slices = x.transpose(1, 2).flatten(0, 1) if x.ndim == 5 else x
        gated = torch.stack([gate(slices) for gate in self.gates]).mean(0)
        return gated.unflatten(0, (x.shape[0], x.shape[2])).transpose(1, 2) if x.ndim == 5 else gated
