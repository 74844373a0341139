"""Losses of generative adversarial networks, each as its paper writes it."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "adversarial": ["AdversarialLoss", "adversarial_loss", "adversarial_names"],
        "attention": ["attention_agreement", "attention_sparsity", "attention_supervision"],
        "auxiliary": ["auxiliary_class_loss"],
        "optimum": ["game_value", "optimal_discriminator"],
        "penalty": ["gradient_penalty", "r1_penalty"],
        "translation": ["cycle_loss", "identity_loss", "reconstruction_loss"],
    },
)
