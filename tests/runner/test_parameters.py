import pytest

from medtl_core.errors import MedtlError
from medtl_core.runner.parameters import assignments, read_parameters

CELL = """\
# what the notebook runs with
dataset: str = "phantoms"  # archive; a data set
domain: str = ""  # part of it; a domain
seeds: int = 3  # paired seeds; 1 to 50
rate: float = 0.001  # AdamW's learning rate; 1e-6 to 0.1
augment: bool = False  # flips; shifts and turns; any
arm: str = "full"  # what trains; one of full, linear_probe, scratch
depth: int = 2  # blocks; one of 1, 2, 4
sizes: list[int] = [
    64,
    128,
]  # training images; at least 2
names: list[str] = ["a"]  # labels; any
backbone: str = "vgg16"  # trained; a network
backbones: list[str] = ["resnet18", "vgg16"]  # compared; a network
related: str = "phantoms:here"  # pretrained on; a source
"""


@pytest.fixture
def declared():
    return read_parameters(CELL, "02_x")


def refused(declared, source, **values):
    with pytest.raises(MedtlError) as caught:
        declared.check(values, source, text=source == "-p")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_cell_is_read(declared):
    names = "dataset domain seeds rate augment arm depth sizes names backbone backbones related"
    assert declared.names == names.split()
    assert declared.defaults["sizes"] == [64, 128]
    augment = declared.declared[4]
    assert (augment.description, augment.range) == ("flips; shifts and turns", "any")


def test_what_parameters_name(declared):
    values = declared.defaults | {"domain": "", "backbones": ["resnet18", "vgg16"]}
    assert declared.named("a data set", values) == ["phantoms"]
    assert declared.named("a domain", values) == []
    assert declared.named("a network", values) == ["resnet18", "vgg16"]
    assert declared.named("a source", values) == ["phantoms:here"]
    assert declared.named("a network", {"seeds": 3}) == []
    assert declared.names_of("a network") == ["backbone", "backbones"]


def test_texts_become_values(declared):
    texts = {
        "seeds": "5",
        "rate": "1e-3",
        "augment": "true",
        "sizes": "[2, 300]",
        "names": "a, 'b c'",
        "dataset": "12",
    }
    assert declared.check(texts, "-p", text=True) == {
        "seeds": 5,
        "rate": 0.001,
        "augment": True,
        "sizes": [2, 300],
        "names": ["a", "b c"],
        "dataset": "12",
    }


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("seeds", "0"),
        ("seeds", "51"),
        ("seeds", "many"),
        ("seeds", "2.5"),
        ("seeds", ""),
        ("rate", "0.2"),
        ("rate", "nan"),
        ("augment", "perhaps"),
        ("arm", "half"),
        ("depth", "3"),
        ("sizes", "64,1"),
        ("sizes", "64,x"),
        ("sizes", ""),
    ],
)
def test_bad_texts_are_refused_with_what_was_expected(declared, name, text):
    message = refused(declared, "-p", **{name: text})
    expected = {p.name: p.expected for p in declared.declared}[name]
    assert message == f"-p: parameter {name} of 02_x is {text!r}, expected {expected}"


@pytest.mark.parametrize(
    ("name", "value"), [("seeds", "5"), ("seeds", True), ("seeds", 2.0), ("augment", 1), ("sizes", 4)]
)
def test_values_of_a_profile_are_not_converted(declared, name, value):
    assert f"parameter {name} of 02_x is {value!r}" in refused(declared, "profile smoke", **{name: value})


def test_only_finite_numbers(declared):
    free = read_parameters("x: float = 1.0  # number; any\n", "02_x")
    for text in ("nan", "inf"):
        assert "expected a number" in refused(free, "-p", x=text)


def test_a_whole_number_is_a_number(declared):
    wide = read_parameters("x: float = 1  # number; 0 to 2\n", "02_x")
    assert wide.check({"x": 2}, "profile smoke") == {"x": 2.0}


def test_an_unknown_name_is_refused_with_the_known_ones(declared):
    message = refused(declared, "-p", sedes="3")
    assert message == f"-p: unknown parameter 'sedes' of 02_x; it declares: {', '.join(declared.names)}"


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        ("seeds = 3  # seeds; any", "line 1: 'seeds = 3'"),
        ("\nimport os", "line 2: 'import os'"),
        ("seeds: int = 3  # seeds", "comment 'seeds'"),
        ("seeds: int = 3", "comment ''"),
        ("seeds: int = 3  # seeds; 1 up to 5", "range '1 up to 5'"),
        ("seeds: int = 0  # seeds; 1 to 5", "02_x, default: parameter seeds"),
        ("seeds: int = max(3, 4)  # seeds; any", "max(3, 4), expected a literal"),
        ("seeds: tuple = ()  # seeds; any", "has type tuple"),
        ("name: str = 'a'  # name; 1 to 5", "range '1 to 5'"),
        ("a: int = 1  # a; any\na: int = 1  # a; any", "declares 'a' twice"),
        ("seeds: int = 3  # seeds; a network", "seeds: int has the range 'a network'"),
        ('dataset: str = "x"  # archive; any', "dataset has the range 'any', expected a data set"),
        ('place: str = "x"  # archive; a domain', "only the parameter `domain`"),
        ("a: int = ", "not valid Python, line 1"),
    ],
)
def test_a_cell_that_breaks_the_form_is_refused(cell, found):
    with pytest.raises(MedtlError, match="02_x") as caught:
        read_parameters(cell, "02_x")
    assert found in str(caught.value)


def test_assignments():
    assert assignments(["a=1", "b=x=y", "c="]) == {"a": "1", "b": "x=y", "c": ""}


@pytest.mark.parametrize(
    ("options", "found"),
    [(["a"], "-p a: expected"), (["=3"], "-p =3"), (["a=1", "a=2"], "already given as '1'")],
)
def test_malformed_assignments_are_refused(options, found):
    with pytest.raises(MedtlError, match=found):
        assignments(options)
