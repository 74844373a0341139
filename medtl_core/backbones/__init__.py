"""Backbones: networks by name, where they may be cut, their weights, and what they cost."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submodules=["cost"],
    submod_attrs={
        "families": ["units"],
        "latency": ["measure_latency"],
        "memory": ["counted_peak_bytes"],
        "similarity": ["linear_cka", "noise_floor"],
        "small_network": ["small_cnn"],
        "stages": ["CutPoint", "activations", "cut_named", "cut_points", "stage_modules"],
        "zoo": ["Backbone", "build", "head_of", "weights_source"],
    },
)
