"""Networks of generative adversarial networks, small enough for images of 28 to 128 px."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "attention_map": ["AttentionNetwork"],
        "conditional": ["ConditionalGenerator", "TwoHeadDiscriminator"],
        "convolutional": ["ConvolutionalDiscriminator", "ConvolutionalGenerator"],
        "fully_connected": ["MLPDiscriminator", "MLPGenerator"],
        "starting_weights": ["initialise"],
        "latent": ["LatentGenerator"],
        "patch_discriminator": ["PatchDiscriminator"],
        "resnet": ["ResNetGenerator"],
        "unet": ["UNetGenerator"],
    },
)
