"""Transfer learning: settings, initialisation, pretraining, and methods that use unlabelled images."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "initialisation": ["mean_var_init"],
        "mean_teacher": ["MeanTeacherConfig", "gaussian_noise", "train_mean_teacher"],
        "pretraining": ["Source", "pretrain"],
        "shift_kinds": ["distribution_shift"],
        "transfer_setting": ["APPROACHES_IN", "Domain", "Task", "setting_of", "transfer_approaches"],
    },
)
