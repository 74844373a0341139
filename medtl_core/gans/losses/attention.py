"""Terms for attention maps with masks on some images (after Chen et al. 2018, Attention-GAN).

We found neither the form nor the weight of the mask term in the semi-supervised attention CycleGAN of Xu et
al. 2019. These terms are our reading: those of Chen et al., as means over pixels where they sum.
"""

from torch import Tensor

from medtl_core.errors import MedtlError


def attention_supervision(attention: Tensor, masks: Tensor, annotated: Tensor) -> Tensor:
    """Mean |attention - mask| over the annotated images: maps (N, 1, H, W) in 0 to 1, annotated (N,) bool.

    0 for a batch without annotated images. MedtlError where the shapes of maps and masks differ.
    """
    if attention.shape != masks.shape or annotated.shape != attention.shape[:1]:
        raise MedtlError(
            f"attention supervision: maps {tuple(attention.shape)}, masks {tuple(masks.shape)}, annotated "
            f"{tuple(annotated.shape)}, expected equal shapes (N, 1, H, W) and (N,)"
        )
    per_image = (attention - masks).abs().flatten(1).mean(1)
    chosen = annotated.to(per_image)
    return (per_image * chosen).sum() / chosen.sum().clamp(min=1)


def attention_agreement(attention: Tensor, attention_of_output: Tensor) -> Tensor:
    """Mean |A(x) - A'(G(x))|: what was changed is where the way back changes it again."""
    return (attention - attention_of_output).abs().mean()


def attention_sparsity(attention: Tensor) -> Tensor:
    """Mean |A(x)|: the share of the image that the attention takes."""
    return attention.abs().mean()
