"""Non-local attention (Wang et al. 2018): every position looks at every other one."""

from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from medtl_core.segmentation.networks.layers import convolution


class NonLocalAttention(nn.Module):
    """z = W y + x with y = softmax(theta(x)^T phi(x)) g(x), the embedded Gaussian (equations 1, 4 and 6).

    theta, phi and g halve the channels, W restores them: 4 convolutions of kernel 1, for C channels
    2 C^2 + 5 C / 2 weights. The paper starts W at 0, so that the block begins as the identity; here W starts
    at random, so that an untrained block can be compared with an untrained gate. Time grows with the
    square of the number of positions.
    """

    def __init__(self, channels: int, spatial: int) -> None:
        super().__init__()
        conv, inner = convolution(spatial), max(1, channels // 2)
        self.theta, self.phi, self.g = (conv(channels, inner, 1) for _ in range(3))
        self.w = conv(inner, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, C, *size) of the same shape."""
        query, key, value = (
            part(x).flatten(2).transpose(1, 2).unsqueeze(1).contiguous()
            for part in (self.theta, self.phi, self.g)
        )
        # Without contiguous memory PyTorch takes the slow path that holds all pairs of positions.
        attended = scaled_dot_product_attention(query, key, value, scale=1.0)
        out: Tensor = x + self.w(attended.squeeze(1).transpose(1, 2).unflatten(2, x.shape[2:]))
        return out
