"""The methods of deep adaptation by name, for comparisons that run them all."""

from collections.abc import Callable

from medtl_core.adaptation.deep.adda import train_adda
from medtl_core.adaptation.deep.batch_norm import train_adabn
from medtl_core.adaptation.deep.dan import train_dan
from medtl_core.adaptation.deep.dann import train_dann
from medtl_core.adaptation.deep.deep_coral import train_deep_coral
from medtl_core.adaptation.deep.m3sda import train_m3sda
from medtl_core.adaptation.deep.mdan import train_mdan
from medtl_core.adaptation.deep.self_training import train_self_training
from medtl_core.adaptation.deep.updates import Adapted

# (network, source, target, normalisation, config, *, seed) -> Adapted
SINGLE_SOURCE: dict[str, Callable[..., Adapted]] = {
    "deep CORAL": train_deep_coral,
    "DAN": train_dan,
    "DANN": train_dann,
    "ADDA": train_adda,
    "AdaBN": train_adabn,
    "self-training": train_self_training,
}
# (network, sources, target, normalisation, config, *, seed) -> Adapted
MULTI_SOURCE: dict[str, Callable[..., Adapted]] = {"M3SDA": train_m3sda, "MDAN": train_mdan}
