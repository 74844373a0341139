"""The state of a run directory: what is done, under which key, and which records each run put there.

A run's kernel writes its records into a folder of its own. When it ends they are published into the
directory, in the place of those that the same run published before: records of other parameters or of older
code never stay beside newer ones.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medtl_core.errors import MedtlError
from medtl_core.evidence.run_state import RunState, read_state, state_labels, state_path

NEEDED_MIB = 50
LOCK = ".lock"  # beside state/, it marks a folder of runs
PUBLISHED = ("records", "predictions")


class RunDirectory:
    """One run directory: `notebooks/*.ipynb`, `records/`, `predictions/`, `state/<label>.json`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def is_one(self) -> bool:
        """Whether runs were written here before: `prepare` has made the folder what it is."""
        return (self.root / "state").is_dir() and (self.root / LOCK).is_file()

    def executed(self, label: str) -> Path:
        return self.root / "notebooks" / f"{label}.ipynb"

    def staging(self, label: str) -> Path:
        """Where the kernel of this run writes its records until it ends."""
        return self.root / ".running" / label

    def prepare(self) -> None:
        """Makes the folders. MedtlError where one cannot write or where the disk is full."""
        with _as_one_line(self.root):
            there = next(folder for folder in (self.root, *self.root.parents) if folder.is_dir())
            free = shutil.disk_usage(there).free // 2**20
            if free < NEEDED_MIB:
                raise MedtlError(
                    f"{self.root}: {free} MiB free, a run needs {NEEDED_MIB}; "
                    "free space or choose another --out"
                )
            for name in ("notebooks", "state", ".running"):
                (self.root / name).mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.root) as probe:
                probe.write(b"\0" * 4096)
            (self.root / LOCK).touch()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the directory for this process. MedtlError if another run is writing to it."""
        import fcntl

        with _as_one_line(self.root):
            lock = open(self.root / LOCK, "w")  # noqa: SIM115
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise MedtlError(
                    f"{self.root}: another medtl run is writing to it; wait for it or choose another --out"
                ) from error
            yield

    def state(self, label: str) -> RunState | None:
        """What is known of a run, None if it never started. MedtlError for a file that cannot be read."""
        return read_state(self.root, label) if state_path(self.root, label).is_file() else None

    def finished(self, label: str, key: str) -> RunState | None:
        """The state of a run that ended well under this key and whose files are all there, else None."""
        state = self.state(label)
        if state is None or state.status != "done" or state.key != key:
            return None
        present = self.executed(label).is_file() and all((self.root / file).is_file() for file in state.files)
        return state if present else None

    def clear_staging(self, label: str) -> Path:
        """An empty folder for the records of this run."""
        with _as_one_line(self.root):
            self.discard(label)
            self.staging(label).mkdir(parents=True)
        return self.staging(label)

    def discard(self, label: str) -> None:
        """Removes what an unfinished run wrote; its finished trials are in their own store."""
        shutil.rmtree(self.staging(label), ignore_errors=True)

    def publish(self, label: str) -> list[str]:
        """Moves what the run wrote into the directory; returns the files' paths below it, sorted.

        What it published before and nothing else owns is removed first.
        """
        staged = self.staging(label)
        files = sorted(
            path.relative_to(staged)
            for part in PUBLISHED
            for path in (staged / part).rglob("*")
            if path.is_file() and not path.name.startswith(".")
        )
        with _as_one_line(self.root):
            for old in self._owned_only_by(label) - {str(file) for file in files}:
                (self.root / old).unlink(missing_ok=True)
            for file in files:
                (self.root / file).parent.mkdir(parents=True, exist_ok=True)
                os.replace(staged / file, self.root / file)
        self.discard(label)
        return [file.as_posix() for file in files]

    def _owned_only_by(self, label: str) -> set[str]:
        states = {other: read_state(self.root, other) for other in state_labels(self.root)}
        others = {file for other, state in states.items() if other != label for file in state.files}
        return (set(states[label].files) if label in states else set()) - others


@contextmanager
def _as_one_line(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise MedtlError(
            f"{place}: cannot be written ({error.strerror or error}); choose another --out or free space"
        ) from error
