"""Segmentation across domains: networks, losses, adaptation, and how far a network sees."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submodules=["losses", "networks"],
    submod_attrs={
        "cases": ["SegmentationCases", "UnlabelledImages", "domain_cases", "volume_cases"],
        "dice": ["dice_per_case", "measure_dice", "predict_masks"],
        "multi_style": ["cluster_styles", "style_codes", "translate_to_styles"],
        "output_space": ["OutputAdaptationConfig", "adapt_output_space"],
        "receptive_field": ["ReceptiveField", "effective_receptive_field"],
        "second_modality": ["synthetic_modality"],
        "style_translation": ["Discriminators", "TranslationConfig", "slices_of", "train_translator"],
        "supervised": ["SegmentationConfig", "segment"],
    },
)
