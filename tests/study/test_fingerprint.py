"""What changes the fingerprint of a trial, and what does not.

Trials are executed as a notebook's cells are: from text that `linecache` keeps.
"""

import itertools
import linecache
import textwrap
import threading

import numpy as np
import pytest
import torch

from medtl_core.data.archives.archive import Archive
from medtl_core.errors import MedtlError
from medtl_core.study.fingerprint import fingerprint

cells = itertools.count()


def cell(source: str, **names):
    """The namespace of a notebook cell that defines `trial`."""
    source = textwrap.dedent(source)
    filename = f"<cell {next(cells)}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    namespace = {"__name__": "__main__", **names}
    exec(compile(source, filename, "exec"), namespace)
    return namespace


def print_of(source: str, **names) -> str:
    return fingerprint(cell(source, **names)["trial"]).digest


PLAIN = """
def trial(arm, seed):
    return {"auroc": 0.5}
"""


@pytest.mark.parametrize(
    "same",
    [
        'def trial(arm, seed):\n    """What it does."""\n    # why\n    return {"auroc": 0.5}',
        "\n\n\ndef trial(arm,\n          seed):\n\n    return {'auroc': .5}  # a comment",
    ],
)
def test_comments_docstrings_and_layout_do_not_count(same):
    assert print_of(same) == print_of(PLAIN)


@pytest.mark.parametrize("other", [PLAIN.replace("0.5", "0.6"), PLAIN.replace("seed):", "seed=1):")])
def test_source_counts(other):
    assert print_of(other) != print_of(PLAIN)


CALLS = """
LEVEL = {level}
def unused():
    return {unused}
def inner(x):
    return x * {factor}
def outer(x):
    return inner(x) + LEVEL
def trial(arm, seed):
    return {{"auroc": [outer(x) for x in range(3)][seed]}}
"""


def test_helpers_and_globals_count_at_any_depth_and_what_is_not_used_does_not():
    base = {"level": 0.1, "unused": 1, "factor": 2}
    first = print_of(CALLS.format(**base))
    assert print_of(CALLS.format(**base)) == first
    assert print_of(CALLS.format(**{**base, "factor": 3})) != first
    assert print_of(CALLS.format(**{**base, "level": 0.2})) != first
    assert print_of(CALLS.format(**{**base, "unused": 2})) == first


USES = "def trial(arm, seed):\n    return {'auroc': float(len(str(VALUE)))}"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 2),
        (1, 1.0),
        (1, True),
        ("a", "b"),
        ([1, 2], [2, 1]),
        ([1, 2], (1, 2)),
        ({"a": 1}, {"a": 2}),
        ({1, 2}, {1, 3}),
        (np.arange(3), np.arange(3) + 1),
        (np.arange(4), np.arange(4).reshape(2, 2)),
        (np.float32(1), np.float64(1)),
        (torch.zeros(3), torch.tensor([0.0, 0.0, 1.0])),
        (torch.zeros(2), torch.zeros(2, dtype=torch.bfloat16)),
        (torch.float32, torch.float16),
        (torch.device("cpu"), torch.device("cuda")),
        (np.mean, np.median),
        (torch.nn.ReLU, torch.nn.Tanh),
        (torch.nn.ReLU(), torch.nn.Tanh()),
        (torch.nn.Dropout(0.1), torch.nn.Dropout(0.2)),
    ],
)
def test_values_of_globals_count(one, other):
    assert print_of(USES, VALUE=one) != print_of(USES, VALUE=other)
    assert print_of(USES, VALUE=one) == print_of(USES, VALUE=one)


def archive(pixel: int) -> Archive:
    return Archive(
        name="a",
        images=np.full((2, 4, 4), pixel, np.uint8),
        labels=np.array([0, 1]),
        class_names=("x", "y"),
    )


def test_an_archive_counts_by_its_content():
    first = archive(1)
    before = print_of(USES, VALUE=first)
    assert first.checksum
    assert print_of(USES, VALUE=archive(1)) == before
    assert print_of(USES, VALUE=archive(2)) != before


def test_sets_do_not_depend_on_their_order():
    letters = [chr(97 + i) for i in range(20)]
    assert print_of(USES, VALUE=set(letters)) == print_of(USES, VALUE={*letters[::-1]})


CLASS = """
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
import torch

class Base:
    scale = {scale}
    @property
    def doubled(self):
        return self.scale * {double}

class Net(Base):
    @staticmethod
    def rate():
        return {rate}
    @cached_property
    def cached(self):
        return {cached}
    def me(self):
        return Net

@dataclass(frozen=True)
class Config:
    epochs: int = {epochs}

CONFIG = Config()

@torch.no_grad()
def wrapped():
    return {wrapped}

@lru_cache
def memory():
    return {memory}

def powered(x, exponent):
    return x ** {power}

square = partial(powered, exponent={exponent})
table = {{"a": lambda x: x + {shift}, "b": (
    lambda x: x)}}

def trial(arm, seed):
    def local():
        return Net().doubled + wrapped() + memory() + square(2) + table[arm](seed)
    return {{"auroc": local() + CONFIG.epochs}}
"""
CLASS_VALUES = dict.fromkeys(
    ["scale", "double", "rate", "cached", "epochs", "wrapped", "memory", "power", "exponent", "shift"], 1
)


@pytest.mark.parametrize("name", CLASS_VALUES)
def test_classes_dataclasses_decorated_functions_and_lambdas_count(name):
    first = print_of(CLASS.format(**CLASS_VALUES))
    assert print_of(CLASS.format(**CLASS_VALUES)) == first
    assert print_of(CLASS.format(**{**CLASS_VALUES, name: 2})) != first


def test_enclosed_variables_count():
    source = """
    def make(value):
        def trial(arm, seed):
            return {"auroc": value}
        return trial
    """
    make = cell(source)["make"]
    one, again, other = (fingerprint(make(value)).digest for value in (1, 1, 2))
    assert one == again != other


def test_a_local_variable_of_an_inner_function_is_not_the_global_of_its_name():
    source = """
    def trial(arm, seed):
        start = len(arm)
        return {"auroc": sum(start + i for i in range(seed))}
    """
    assert print_of(source) == print_of(source, start=1) == print_of(source, start=threading.Lock())


def test_values_of_default_arguments_count():
    source = "def trial(arm, seed, a=VALUE, *, b=OTHER):\n    return {'auroc': a + b}"
    prints = {print_of(source, VALUE=a, OTHER=b) for a, b in ((1, 1), (2, 1), (1, 2))}
    assert len(prints) == 3
    assert print_of(source, VALUE=1, OTHER=1) in prints


def test_recursion_ends():
    source = """
    def even(n): return n == 0 or odd(n - 1)
    def odd(n): return n != 0 and even(n - {})
    def trial(arm, seed): return {{"auroc": even(seed)}}
    """
    assert print_of(source.format(1)) == print_of(source.format(1)) != print_of(source.format(2))


def test_a_module_of_the_users_own_counts(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    prints = []
    for i, constant in enumerate((1, 1, 2)):
        (tmp_path / f"own_{i}.py").write_text(f"# {i}\ndef value(): return {constant}\n")
        source = f"import own_{i} as own\ndef trial(arm, seed):\n    return {{'auroc': own.value()}}"
        namespace = cell(source)
        namespace["own"].__name__ = "own"
        monkeypatch.setitem(__import__("sys").modules, "own", namespace["own"])
        prints.append(fingerprint(namespace["trial"]).digest)
    assert prints[0] == prints[1] != prints[2]


def test_without_source_the_bytecode_counts():
    def compiled(source):
        namespace = {"__name__": "__main__"}
        exec(source, namespace)
        return fingerprint(namespace["trial"]).digest

    assert compiled(PLAIN) == compiled(PLAIN) != compiled(PLAIN.replace("0.5", "0.6"))


@pytest.mark.parametrize("value", [threading.Lock(), [iter([1]), threading.Lock()]])
def test_a_value_without_fingerprint_is_refused_by_name(value):
    with pytest.raises(
        MedtlError, match=r"the trial uses 'VALUE' \(used by trial\(\)\).* has no fingerprint"
    ):
        print_of(USES, VALUE=value)


@pytest.mark.parametrize("value", [np.random.default_rng(0), torch.Generator()])
def test_a_random_generator_is_refused(value):
    with pytest.raises(MedtlError, match="make it inside the trial from the seed"):
        print_of(USES, VALUE=value)


def test_only_a_plain_function_is_a_trial():
    with pytest.raises(MedtlError, match="trial is a type, expected a plain function"):
        fingerprint(dict)


NAMES = """
import scipy.stats
from medtl_core import evaluation
from medtl_core.data import splits
from medtl_core.evaluation import metrics
from medtl_core.evaluation.metrics import auroc
steps, WIDTH, layers, _hidden = 40, 3, [1, 2], 5
unused = 1
def inner():
    from medtl_core.evaluation.calibration import expected_calibration_error
    import sklearn.svm
    return metrics.brier, steps, layers, _hidden
def trial(arm, seed):
    scipy.stats.norm, [auroc for _ in range(WIDTH)], inner(), splits.split
    return evaluation.metrics.accuracy
"""


def test_names_of_the_package_libraries_and_settings_are_found():
    import medtl_core.evaluation.metrics  # noqa: F401 - so that the package has the attribute

    found = fingerprint(cell(NAMES)["trial"])
    assert found.roots == {
        ("medtl_core.data.splits", "split"),
        ("medtl_core.evaluation.calibration", "expected_calibration_error"),
        ("medtl_core.evaluation.metrics", "accuracy"),
        ("medtl_core.evaluation.metrics", "auroc"),
        ("medtl_core.evaluation.metrics", "brier"),
    }
    assert found.libraries == {"scipy", "sklearn"}
    assert found.settings == {"steps": 40, "layers": [1, 2]}


def test_what_a_function_of_the_package_encloses_counts():
    from medtl_core.files import one_line

    def enclosing(value):
        def inner():
            return value

        inner.__globals__["__name__"]
        return inner

    assert fingerprint(enclosing(1)).digest != fingerprint(enclosing(2)).digest
    assert print_of(USES, VALUE=one_line) == print_of(USES, VALUE=one_line)
