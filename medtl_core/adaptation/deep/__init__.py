"""Deep domain adaptation: networks, losses and training loops, one method a file."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "adda": ["train_adda"],
        "batch_norm": ["adapt_batch_norm", "train_adabn"],
        "candidate": ["outputs_of"],
        "dan": ["multi_kernel_mmd2", "train_dan"],
        "dann": ["train_dann"],
        "deep_coral": ["coral_loss", "train_deep_coral"],
        "gradient_reversal": ["reversal_coefficient", "reverse_gradient"],
        "m3sda": ["moment_distance", "train_m3sda"],
        "mdan": ["train_mdan"],
        "methods": ["MULTI_SOURCE", "SINGLE_SOURCE"],
        "network": ["AdaptableNetwork", "feature_network", "image_network", "prefix_features"],
        "self_training": ["most_confident", "train_self_training"],
        "source_only": ["train_source_only"],
        "unlabelled": ["Unlabelled", "combined"],
        "updates": ["AdaptationConfig", "Adapted"],
    },
)
