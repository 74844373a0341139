"""The `medtl` command. Each sub-command imports what it needs when it is called, so that help stays quick."""

import errno
import json as json_text
import os
import sys
from typing import Annotated

import typer

from medtl_core import __version__
from medtl_core.cli.data import data_app
from medtl_core.cli.evidence import check, keep, ledger, report
from medtl_core.cli.pretrain import pretrain
from medtl_core.cli.run import notebooks, run
from medtl_core.cli.terminal import plain
from medtl_core.errors import MedtlError

BAD_INPUT = 2
INTERRUPTED = 130
NO_SPACE_OR_RIGHT = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)
# typer carries click under a module name that differs by version; it always exports this subclass.
USAGE_ERROR: type[Exception] = typer.BadParameter.__bases__[0]

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    help="An executable companion to a survey of transfer learning.",
)
app.add_typer(data_app, name="data")
for command in (run, notebooks, ledger, report, keep, check, pretrain):
    app.command()(command)


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """Put the statements of a survey of transfer learning for medical images to the test."""
    if version:
        print(f"medtl {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command()
def bench(json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False) -> None:
    """Measure training loops, augmentation, explanations and imports against what bounds them."""
    from medtl_core.augmentation.bench import run as measure_augmentation
    from medtl_core.data.importers.bench import run as measure_import
    from medtl_core.explanation.bench import run as measure_explanation
    from medtl_core.gans.bench import run as measure_gans
    from medtl_core.training.bench import run as measure_loop

    rows = measure_loop() + measure_augmentation() + measure_explanation() + measure_gans() + measure_import()
    if json:
        print(json_text.dumps(rows, indent=1))
        return
    for row in rows:
        goal = "at most " if row.get("cost") else ""
        print(
            f"{row['name']}: {row['ratio']:.2f} {row.get('of', 'of the bare step rate')} "
            f"(target {goal}{row['target']}), "
            f"{row['images_per_second']:.0f} images/s, {row['threads']} threads, {row['device']}"
        )


@app.command()
def settings(json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False) -> None:
    """List the MEDTL_ variables: what each is for, its value in force, and where that comes from."""
    from medtl_core.settings import SETTINGS, unknown_variables

    values = {s.variable: s.value() for s in SETTINGS}
    rows = [
        {
            "variable": s.variable,
            "meaning": s.meaning,
            "value": None if (value := values[s.variable]) is None else str(value),
            "origin": s.origin,
        }
        for s in SETTINGS
    ]
    if json:
        print(json_text.dumps(rows, indent=1))
    else:
        for row in rows:
            value = "not set" if row["value"] is None else row["value"]
            print(f"{row['variable']} = {value}  ({row['origin']})\n    {row['meaning']}")
    for line in unknown_variables():
        print(f"warning: {line}", file=sys.stderr)


def main() -> None:
    """Entry point: bad input is one line on stderr and exit status 2."""
    try:
        status = app(standalone_mode=False)
    except MedtlError as error:
        status = _refuse(str(error))
    except USAGE_ERROR as error:
        status = _refuse(f"{_message(error)}; see `medtl --help`")
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    except OSError as error:
        if error.errno not in NO_SPACE_OR_RIGHT:
            raise
        place = error.filename or "a file"
        status = _refuse(f"{place}: cannot be written ({error.strerror}); free space or choose another place")
    sys.exit(status if isinstance(status, int) else 0)


def _message(error: Exception) -> str:
    formatted = getattr(error, "format_message", None)
    return (formatted() if formatted else str(error)).rstrip(".")


def _refuse(message: str) -> int:
    print(plain(f"medtl: {' '.join(message.split())}"), file=sys.stderr)
    return BAD_INPUT
