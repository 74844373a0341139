"""Whether what is about to be read fits into memory: a refusal in one line in place of a killed process."""

from pathlib import Path

from medtl_core.errors import MedtlError

GIB = 2**30
_SMALL = 1 << 26  # bytes that are not worth asking for
_CGROUP = Path("/sys/fs/cgroup")


def require_memory(needed: int, place: object) -> None:
    """MedtlError where `needed` bytes are more than is free; `place` is what the message calls them."""
    if needed > _SMALL and needed > (free := free_memory()):
        raise MedtlError(
            f"{place}: found arrays of {needed / GIB:.1f} GiB, expected at most the {free / GIB:.1f} GiB of "
            "memory that are free; choose a smaller size of the data set, or free memory"
        )


def free_memory() -> int:
    """Bytes that this process can still get: of the machine, or of the container where that has less."""
    import psutil

    found: list[int] = [psutil.virtual_memory().available]
    limit, used = (_number(_CGROUP / name) for name in ("memory.max", "memory.current"))
    if limit is not None and used is not None:
        found.append(max(0, limit - used))
    return min(found)


def _number(path: Path) -> int | None:
    text = path.read_text().strip() if path.is_file() else ""
    return int(text) if text.isdecimal() else None
