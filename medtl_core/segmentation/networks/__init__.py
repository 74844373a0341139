"""Networks that segment, the gates in them, and the discriminator of their outputs."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "dar_unet": ["DARUNet"],
        "gates": ["AxisGate", "QuadGate", "TripletGate"],
        "layers": ["start_weights"],
        "non_local": ["NonLocalAttention"],
        "output_discriminator": ["OutputDiscriminator"],
        "style_translator": ["StyleTranslator"],
        "unet": ["UNet"],
    },
)
