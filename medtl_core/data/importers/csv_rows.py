"""Rows of a csv file as text, whatever its delimiter, with its encoding known and not guessed."""

import codecs
import csv
import io
from dataclasses import dataclass
from pathlib import Path

from medtl_core.data.importers.cases import Problems
from medtl_core.errors import MedtlError
from medtl_core.files import one_line

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


@dataclass(frozen=True)
class Row:
    """One row: its line in the file, and its cells by column, stripped of spaces at their ends."""

    line: int
    cells: dict[str, str]


def read_rows(
    path: Path, problems: Problems, delimiter: str | None = None, encoding: str | None = None
) -> tuple[list[str], list[Row], list[str]]:
    """Columns, rows, and sentences about how the file was read; every cell stays text, 007 stays 007.

    Args:
        delimiter: None takes comma, semicolon, tab or bar, whichever stands most often in the first line.
        encoding: None takes UTF-8, or UTF-16 where a byte-order mark says so.

    Raises:
        MedtlError: no such file, bytes of another encoding, no rows, a column without a name or twice; and
            rows of another length, unless `problems` keeps them.
    """
    text, encoding = _text(path, encoding)
    first = text.lstrip("\n").partition("\n")[0]
    delimiter = delimiter or max(DELIMITERS, key=first.count)
    if len(delimiter) != 1:
        raise MedtlError(f"--delimiter: found '{delimiter}', expected one character")
    try:
        reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
        lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader if any(cells)]
    except csv.Error as error:
        raise MedtlError(
            f"{path}: found a table that cannot be read ({one_line(error)}), expected csv"
        ) from error
    if len(lines) < 2:
        raise MedtlError(f"{path}: found no rows, expected one line of column names and one for each image")
    columns = _named(lines)
    for name in columns:
        if not name or columns.count(name) > 1:
            found = f"the column '{name}' twice" if name else "a column without a name"
            raise MedtlError(f"{path}: found {found}, expected columns with different names; rename it")
    rows = []
    for line, cells in lines[1:]:
        if len(cells) != len(columns):
            found = f"found {len(cells)} cells, expected {len(columns)}"
            problems.add(
                MedtlError(f"{path.name}, line {line}: {found} as in the first line; repair the row")
            )
        else:
            rows.append(Row(line, dict(zip(columns, cells, strict=True))))
    word = DELIMITERS.get(delimiter, delimiter)
    return columns, rows, [f"table: {path.name}, {len(rows)} rows, delimiter {word}, {encoding}"]


def _named(lines: list[tuple[int, list[str]]]) -> list[str]:
    """The names of the columns; a nameless one at the end that is empty throughout is taken out."""
    names = lines[0][1]
    while names and not names[-1]:
        whole = [cells for _, cells in lines if len(cells) == len(names)]
        if any(cells[-1] for cells in whole):
            break
        for cells in whole:
            del cells[-1]
    return names


def _text(path: Path, encoding: str | None) -> tuple[str, str]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise MedtlError(f"{path}: cannot be read ({one_line(error)}), expected a csv file") from error
    marked = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    encoding = encoding or marked
    try:
        text = content.decode(encoding)
    except LookupError as error:
        raise MedtlError(
            f"--encoding: found '{encoding}', expected one that Python knows, such as cp1252"
        ) from error
    except UnicodeDecodeError as error:
        raise MedtlError(
            f"{path}: found byte {content[error.start]:#04x} that is no {encoding}, expected text; say the "
            "encoding, for example --encoding cp1252"
        ) from error
    if "\0" in text:
        raise MedtlError(f"{path}: found zero bytes, expected text; say the encoding, for example utf-16-le")
    return text.replace("\r\n", "\n").replace("\r", "\n"), encoding
