"""Which column of a table says what: by option, or by a guess from its name that is said."""

from dataclasses import dataclass, fields

from medtl_core.errors import MedtlError

# Names as publishers write them, without case and without what is no letter or digit.
GUESSES = {
    "image": "image imageid imageindex imagename imagepath file filename filepath path isicid",
    "label": "label labels class classname diagnosis dx findinglabels target category",
    "patient": "patient patientid patientname subject subjectid lesion lesionid pid",
    "site": "site hospital scanner centre center institution source dataset",
    "split": "split subset partition fold",
    "mask": "mask maskid maskpath maskfile segmentation",
}
NEEDED = ("image", "label")


@dataclass(frozen=True)
class Columns:
    """Columns of a table by what they say; None guesses from the name, "" says that there is none."""

    image: str | None = None
    label: str | None = None
    patient: str | None = None
    site: str | None = None
    split: str | None = None
    mask: str | None = None

    def resolved(self, columns: list[str], table: str) -> tuple["Columns", list[str]]:
        """With every guess made, "" where there is no such column, and a sentence for each column.

        Raises:
            MedtlError: a column that the table lacks, no image or no label column, or two that a name fits.
        """
        found, notes = {}, []
        for field in fields(self):
            role, asked = field.name, getattr(self, field.name)
            name = _guessed(role, columns, table) if asked is None else asked
            if name and name not in columns:
                raise MedtlError(
                    f"--{role} {name}: found no such column in {table}, expected {_listed(columns)}"
                )
            if not name and role in NEEDED:
                raise MedtlError(
                    f"{table}: found no column for the {role} by its name, expected one of "
                    f"{_listed(columns)}; say it with --{role}"
                )
            found[role] = name
            if name:
                notes.append(
                    f"{role}: column '{name}', {'guessed from its name' if asked is None else 'as asked for'}"
                )
        return Columns(**found), notes


def _guessed(role: str, columns: list[str], table: str) -> str:
    fitting = [
        name for name in columns if "".join(filter(str.isalnum, name.casefold())) in GUESSES[role].split()
    ]
    if len(fitting) > 1:
        raise MedtlError(
            f"{table}: found {_listed(fitting)}, all of which may be the {role}, expected one; say it with "
            f"--{role} (--{role} '' for none)"
        )
    return fitting[0] if fitting else ""


def _listed(columns: list[str]) -> str:
    return ", ".join(f"'{name}'" for name in columns)
