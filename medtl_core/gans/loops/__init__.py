"""Training loops of the GAN families, each as its paper describes it."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "acgan": ["ACGANConfig", "train_acgan"],
        "attention_cyclegan": ["AttentionCycleConfig", "AttentionCycleGAN", "train_attention_cyclegan"],
        "cyclegan": ["CycleConfig", "CycleGAN", "train_cyclegan"],
        "gan": ["GANConfig", "train_gan"],
        "per_class": ["seeds_of_classes", "train_per_class"],
        "pix2pix": ["Pix2PixConfig", "train_pix2pix"],
        "sampling": ["sample", "translate"],
        "snapshot": ["Snapshot", "Watching"],
        "training_run": ["GANResult"],
    },
)
