"""The methods by name, each with its baseline and whether its maps are signed.

The table is written out, since the key of a trial covers the code that the trial names.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass

from medtl_core.errors import MedtlError
from medtl_core.explanation.attribution import Attribution
from medtl_core.explanation.class_activation import grad_cam, hires_cam, score_cam
from medtl_core.explanation.controls import centre, random_map, sobel_edges
from medtl_core.explanation.gradients import (
    gradient,
    guided_backpropagation,
    integrated_gradients,
    smoothgrad,
)
from medtl_core.explanation.lime import lime
from medtl_core.explanation.occlusion import occlusion
from medtl_core.explanation.shapley import gradient_shap, kernel_shap


@dataclass(frozen=True)
class Method:
    """signed: negative values mean evidence against the class; control: it does not look at the network.

    baseline: the default of the function's own `baseline`, or "" where a method has none.
    """

    name: str
    attribute: Callable[..., Attribution]
    signed: bool
    control: bool = False

    @property
    def options(self) -> dict[str, object]:
        """Keyword options with their defaults; `seed` apart."""
        parameters = inspect.signature(self.attribute).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY and p.name != "seed"}

    @property
    def seeded(self) -> bool:
        """Whether a seed changes the maps."""
        return "seed" in inspect.signature(self.attribute).parameters

    @property
    def baseline(self) -> str:
        """The baseline that is taken unless another one is asked for; "" for none."""
        return str(self.options.get("baseline", ""))


METHODS = {
    method.name: method
    for method in (
        Method("gradient", gradient, signed=True),
        Method("smoothgrad", smoothgrad, signed=True),
        Method("integrated_gradients", integrated_gradients, signed=True),
        Method("guided_backpropagation", guided_backpropagation, signed=True),
        Method("grad_cam", grad_cam, signed=False),
        Method("hires_cam", hires_cam, signed=False),
        Method("score_cam", score_cam, signed=False),
        Method("occlusion", occlusion, signed=True),
        Method("lime", lime, signed=True),
        Method("kernel_shap", kernel_shap, signed=True),
        Method("gradient_shap", gradient_shap, signed=True),
        Method("random", random_map, signed=False, control=True),
        Method("sobel", sobel_edges, signed=False, control=True),
        Method("centre", centre, signed=False, control=True),
    )
}


def method_names(*, controls: bool = False) -> list[str]:
    """Names that `explain` takes; with `controls`, random maps, edges and the centre of the image as well."""
    return [name for name, method in METHODS.items() if controls or not method.control]


def method_named(name: str) -> Method:
    """The method of that name. Raises MedtlError that lists those that exist."""
    if name not in METHODS:
        raise MedtlError(f"explain: method {name!r}, expected one of {', '.join(METHODS)}")
    return METHODS[name]
