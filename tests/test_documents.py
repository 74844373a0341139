"""README and CONTRIBUTING say what is so: variables, commands, floors, a row that the register accepts."""

import re
import textwrap
from pathlib import Path

import pytest
import yaml

from medtl_core.cli.app import app
from medtl_core.evidence.register import load_register
from medtl_core.runner.parameters import read_parameters
from medtl_core.settings import SETTINGS

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def test_the_table_of_variables_is_that_of_the_settings():
    assert re.findall(r"^\| `(MEDTL_\w+)`", README, re.MULTILINE) == [s.variable for s in SETTINGS]


def test_the_table_of_commands_is_complete():
    commands = {c.name or c.callback.__name__ for c in app.registered_commands if c.callback}
    groups = {group.name for group in app.registered_groups}
    assert set(re.findall(r"^\| `medtl (\w+)", README, re.MULTILINE)) == commands | groups


def test_every_make_target_that_is_named_exists():
    targets = set(re.findall(r"^([a-z]+):.*##", MAKEFILE, re.MULTILINE))
    named = re.findall(r"(?:^    |`)make (?!PYTHON)([a-z]+)", README + CONTRIBUTING, re.MULTILINE)
    assert set(named) <= targets
    assert {"check", "test", "reproduce"} <= set(named)


def test_every_room_that_is_there_stands_in_the_table_of_floors():
    rooms = {path.parent.name for path in (ROOT / "medtl_core").glob("*/__init__.py")}
    rows = [row.split("|")[2] for row in re.findall(r"^\| \d \|.*$", README, re.MULTILINE)]
    assert rooms <= {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def test_the_parameters_of_the_recipe_are_accepted_by_the_runner():
    recipe = CONTRIBUTING[CONTRIBUTING.index("## Recipe 3") :]
    cell = re.search(r"(?:^    \w+: .*  # .*\n)+", recipe, re.MULTILINE).group()
    found = read_parameters(textwrap.dedent(cell), "recipe")
    assert found.names == ["dataset", "backbone", "seeds"]


def test_the_row_of_the_recipe_is_accepted_by_the_register(tmp_path):
    recipe = CONTRIBUTING[CONTRIBUTING.index("## Recipe 2") : CONTRIBUTING.index("## Recipe 3")]
    row = re.search(r"^       - id: .*?(?=^   \S)", recipe, re.MULTILINE | re.DOTALL)
    register = yaml.safe_load((ROOT / "notebooks" / "claims.yaml").read_text(encoding="utf-8"))
    taken = {entry["id"] for entry in register["entries"]}
    register["entries"] += [
        entry | {"id": next(free for i in range(1, 100) if (free := f"R{i:02}") not in taken)}
        for entry in yaml.safe_load(textwrap.dedent(row.group()))
    ]
    path = tmp_path / "claims.yaml"
    path.write_text(yaml.safe_dump(register, allow_unicode=True), encoding="utf-8")
    assert load_register(path).entries[-1].rules[0].study == "initialisations"


@pytest.mark.slow
def test_the_readme_shows_the_reference_as_it_is():
    from medtl_core.reporting.closing import reference_ledger, reference_name
    from medtl_core.reporting.overview import BEGIN, END, overview_markdown

    shown = (ROOT / "README.md").read_text("utf-8").split(BEGIN)[1].split(END)[0].strip()
    # else: python -m medtl_core.reporting.overview
    assert shown == overview_markdown(reference_ledger(), reference_name())
    assert (ROOT / reference_name() / "overview.svg").is_file()
