"""A notebook's parameters: read from its `parameters` cell, and values checked against them.

The cell holds one line a parameter, `name: type = default  # description; RANGE`, where the type is int,
float, str, bool, list[int], list[float] or list[str], and RANGE is `LOW to HIGH`, `at least LOW`,
`one of a, b, c` or `any`. The range of a list is that of each element.

A text that names something has one of these as its range, and what it names is checked before a kernel
starts: `a data set` (a registry name, or a file's stem in MEDTL_DATA), `a data set with masks`, `a domain`
(of `dataset`, or empty), `a network` (a timm name, whose pretrained weights are used), `a source`
(DATASET, or DATASET:DOMAIN, to pretrain on) or `a source without labels` (the same, of which the images alone
are used). The parameter `dataset` is the one that a notebook measures on; another data set is looked at.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, create_model

from medtl_core.errors import MedtlError

SCALARS: dict[str, type] = {"int": int, "float": float, "str": str, "bool": bool}
WORDS = {"int": "a whole number", "float": "a number", "str": "text", "bool": "true or false"}
PLURALS = {"int": "whole numbers", "float": "numbers", "str": "texts"}
KINDS = (
    "a data set",
    "a data set with masks",
    "a domain",
    "a network",
    "a source",
    "a source without labels",
)
RESERVED = {
    "dataset": ("a data set", "a data set with masks"),
    "domain": ("a domain",),
}  # profiles and labels of runs know these names
RANGES = "`LOW to HIGH`, `at least LOW`, `one of a, b, c`, `any` or, for texts, " + ", ".join(
    f"`{kind}`" for kind in KINDS
)
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_TO = re.compile(rf"({_NUMBER}) to ({_NUMBER})")
_AT_LEAST = re.compile(rf"at least ({_NUMBER})")


@dataclass(frozen=True)
class Parameter:
    """One declared parameter: `type` as the cell writes it, `range` the text after the last semicolon."""

    name: str
    type: str
    default: Any
    description: str
    range: str

    @property
    def is_list(self) -> bool:
        return self.type.startswith("list[")

    @property
    def element(self) -> str:
        """Name of the scalar type: of the value, or of a list's elements."""
        return self.type.removeprefix("list[").removesuffix("]")

    @property
    def expected(self) -> str:
        """What a value must be, in words."""
        what = f"a list of {PLURALS[self.element]}" if self.is_list else WORDS[self.element]
        if self.range != "any":
            what += f", each {self.range}" if self.is_list else f", {self.range}"
        return what


@dataclass(frozen=True)
class Parameters:
    """The parameters that one notebook declares, in the order of its cell."""

    notebook: str
    declared: tuple[Parameter, ...]
    model: type[BaseModel] = field(compare=False, repr=False)

    @property
    def names(self) -> list[str]:
        return [p.name for p in self.declared]

    @property
    def defaults(self) -> dict[str, Any]:
        return {p.name: p.default for p in self.declared}

    def names_of(self, kind: str) -> list[str]:
        """Names of the parameters of one of `KINDS`; a data set with masks is a data set, too."""
        return [p.name for p in self.declared if p.range == kind or p.range.startswith(f"{kind} with ")]

    def named(self, kind: str, values: Mapping[str, Any]) -> list[str]:
        """What the parameters of one of `KINDS` name in `values`: each once, sorted, without empty names."""
        found = [values[name] for name in self.names_of(kind) if name in values]
        return sorted(
            {name for value in found for name in ([value] if isinstance(value, str) else value) if name}
        )

    def check(self, values: Mapping[str, Any], source: str, *, text: bool = False) -> dict[str, Any]:
        """`values` converted to their declared types; `source` says where they come from, for the error.

        `text`: the values are strings from a command line (`3`, `true`, `64,128` or `[64, 128]`). Raises
        MedtlError for a name that is not declared, an ill-typed value or one out of range.
        """
        by_name = {p.name: p for p in self.declared}
        for name in values:
            if name not in by_name:
                known = ", ".join(by_name) or "none"
                raise MedtlError(
                    f"{source}: unknown parameter {name!r} of {self.notebook}; it declares: {known}"
                )
        raw = {n: _from_text(v) if text and by_name[n].is_list else v for n, v in values.items()}
        try:
            checked = self.model.model_validate(raw, strict=not text).model_dump()
        except ValidationError as error:
            name = str(error.errors()[0]["loc"][0])
            raise MedtlError(
                f"{source}: parameter {name} of {self.notebook} is {_shown(values[name])}, "
                f"expected {by_name[name].expected}"
            ) from error
        return {name: checked[name] for name in values}


def read_parameters(source: str, notebook: str) -> Parameters:
    """Parameters that the text of a `parameters` cell declares. MedtlError names the line of a bad one."""
    try:
        body = ast.parse(source).body
    except SyntaxError as error:
        raise MedtlError(
            f"{notebook}: its parameters cell is not valid Python, line {error.lineno}: {error.msg}"
        ) from error
    comments = _comments(source)
    declared = tuple(_parameter(node, comments, notebook) for node in body)
    names = [p.name for p in declared]
    for name in names:
        if names.count(name) > 1:
            raise MedtlError(f"{notebook}: its parameters cell declares {name!r} twice, expected once")
    parameters = Parameters(notebook, declared, _model(declared))
    parameters.check(parameters.defaults, f"{notebook}, default")
    return parameters


def assignments(options: Iterable[str]) -> dict[str, str]:
    """`["key=value", ...]` as a dictionary of texts. MedtlError for no key, or a key given twice."""
    found: dict[str, str] = {}
    for option in options:
        name, equals, value = option.partition("=")
        name = name.strip()
        if not equals or not name.isidentifier():
            raise MedtlError(f"-p {option}: expected key=value, for example -p seeds=5")
        if name in found:
            raise MedtlError(f"-p {option}: {name} was already given as {found[name]!r}; give it once")
        found[name] = value
    return found


def _comments(source: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {t.start[0]: t.string.lstrip("#").strip() for t in tokens if t.type == tokenize.COMMENT}


def _parameter(node: ast.stmt, comments: Mapping[int, str], notebook: str) -> Parameter:
    place = f"{notebook}: parameters cell, line {node.lineno}"
    if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name) or node.value is None:
        raise MedtlError(
            f"{place}: {ast.unparse(node)!r}; expected `name: type = default  # description; RANGE`"
        )
    name, kind = node.target.id, ast.unparse(node.annotation)
    scalar = kind.removeprefix("list[").removesuffix("]")
    if scalar not in SCALARS or kind not in (scalar, f"list[{scalar}]") or kind == "list[bool]":
        raise MedtlError(
            f"{place}: {name} has type {kind}, expected int, float, str, bool or list[int|float|str]"
        )
    try:
        default = ast.literal_eval(node.value)
    except ValueError as error:
        raise MedtlError(
            f"{place}: the default of {name} is {ast.unparse(node.value)}, expected a literal"
        ) from error
    comment = comments.get(node.end_lineno or node.lineno, "")
    description, semicolon, allowed = (part.strip() for part in comment.rpartition(";"))
    if not semicolon or not description:
        raise MedtlError(
            f"{place}: {name} has the comment {comment!r}, expected `# description; RANGE` with {RANGES}"
        )
    if not _fits(allowed, scalar):
        raise MedtlError(f"{place}: {name}: {kind} has the range {allowed!r}, expected {RANGES}")
    if allowed not in RESERVED.get(name, (allowed,)) or (allowed == "a domain" and name != "domain"):
        expected = " or ".join(RESERVED.get(name, ("another: only the parameter `domain` is `a domain`",)))
        raise MedtlError(f"{place}: {name} has the range {allowed!r}, expected {expected}")
    return Parameter(name, kind, default, description, allowed)


def _fits(allowed: str, scalar: str) -> bool:
    if allowed == "any":
        return True
    if allowed in KINDS:
        return scalar == "str"
    if allowed.startswith("one of "):
        try:
            return scalar != "bool" and bool(_choices(allowed, scalar))
        except ValueError:
            return False
    return scalar in ("int", "float") and bool(_TO.fullmatch(allowed) or _AT_LEAST.fullmatch(allowed))


def _choices(allowed: str, scalar: str) -> list[Any]:
    return [SCALARS[scalar](part.strip()) for part in allowed.removeprefix("one of ").split(",")]


def _model(declared: Iterable[Parameter]) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for parameter in declared:
        element = _annotation(parameter)
        annotation = Annotated[list[element], Field(min_length=1)] if parameter.is_list else element  # type: ignore[valid-type]
        fields[parameter.name] = (annotation, parameter.default)
    return create_model(
        "NotebookParameters", __config__=ConfigDict(extra="forbid", allow_inf_nan=False), **fields
    )


def _annotation(parameter: Parameter) -> Any:
    base = SCALARS[parameter.element]
    if match := _TO.fullmatch(parameter.range):
        return Annotated[base, Field(ge=float(match[1]), le=float(match[2]))]
    if match := _AT_LEAST.fullmatch(parameter.range):
        return Annotated[base, Field(ge=float(match[1]))]
    if parameter.range.startswith("one of "):
        choices = _choices(parameter.range, parameter.element)

        def one_of(value: Any) -> Any:
            if value not in choices:
                raise ValueError(parameter.range)
            return value

        return Annotated[base, AfterValidator(one_of)]
    return base


def _from_text(value: Any) -> list[str]:
    inner = str(value).strip().removeprefix("[").removesuffix("]")
    return [part.strip().strip("'\"") for part in inner.split(",")] if inner.strip() else []


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
