"""What the parameters of a run name, checked before a kernel starts: data sets, sources and networks."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medtl_core.errors import MedtlError
from medtl_core.settings import weights_folder

if TYPE_CHECKING:
    from medtl_core.runner.notebooks import Notebook
    from medtl_core.runner.plan import PlannedRun

TRAIN_SIZES = ("train_size", "train_sizes", "sharing_sizes")  # training images that are drawn from `dataset`


def inspect_inputs(notebook: "Notebook", values: Mapping[str, Any]) -> dict[str, str]:
    """Checksums, by name, of the data sets and the weights files that a notebook's parameters name.

    The data sets are read whole. MedtlError where the notebook cannot get one, or cannot measure on it.
    """
    from medtl_core.data.sources.preflight import comparable_checksum, image_checksum, measurable_checksum

    declared, inputs = notebook.parameters, {}
    for name in declared.named("a data set", values):
        if name != values.get("dataset"):  # another one, whose images are only looked at
            found = comparable_checksum(name)
            if found is not None:
                inputs[name] = found
    for kind, checksum_of in (("a source", measurable_checksum), ("a source without labels", image_checksum)):
        for source in declared.named(kind, values):
            name, _, domain = source.partition(":")
            inputs[name] = checksum_of(name, domain=domain or None)
    for name in declared.named("a network", values):
        inputs |= _weights_checksum(name)
    if "dataset" in declared.names_of("a data set"):
        inputs[values["dataset"]] = _dataset_checksum(notebook, values)
    return inputs


def audited(run: "PlannedRun", store: Path, log: Callable[[str], None]) -> dict[str, dict[str, str]]:
    """By name of each data set of a run that is at hand, the audit's verdict in a word, and why.

    Each content is judged once: verdicts are kept in a folder of `store`. `log` is told when one begins.
    """
    from medtl_core.data.auditing.known_verdicts import known_verdict

    declared = run.notebook.parameters
    sources = [
        name.partition(":")[0]
        for kind in ("a source", "a source without labels")
        for name in declared.named(kind, run.parameters)
    ]
    found = {}
    for name in sorted({*declared.named("a data set", run.parameters), *sources} & set(run.inputs)):
        verdict = known_verdict(name, store / "audits", lambda name: log(f"{name}: looking for leaks, once"))
        found[name] = {"word": verdict.word, "why": verdict.why}
    return found


def require_networks(runs: Iterable["PlannedRun"]) -> None:
    """MedtlError unless each network of the runs can be built, has its weights and takes its images."""
    asked = {
        (name, run.parameters.get("image_size"))
        for run in runs
        for name in run.notebook.parameters.named("a network", run.parameters)
    }
    for name, size in sorted(asked, key=str):
        _require_network(name, size)


def _require_network(name: str, image_size: int | None) -> None:
    from medtl_core.backbones.meta_device import call_on_meta_device
    from medtl_core.backbones.zoo import build

    network = build(name, num_classes=2, pretrained=True).network.eval()
    if image_size is None:
        return
    try:
        call_on_meta_device(network, (2, 3, image_size, image_size))
    except (RuntimeError, AssertionError, ValueError) as error:  # as the layers of timm and torch refuse
        reason = " ".join(str(error).split()) or type(error).__name__
        raise MedtlError(
            f"backbone {name}: found image_size {image_size}, which it does not take ({reason}); "
            "expected another size; choose one, or another network"
        ) from error


def _dataset_checksum(notebook: "Notebook", values: Mapping[str, Any]) -> str:
    from medtl_core.data.sources.preflight import measurable_checksum

    own, declared = notebook.makes_own_splits, notebook.parameters
    asked = [values[name] for name in TRAIN_SIZES if name in values and not own]
    sizes = [size for found in asked for size in (found if isinstance(found, list) else [found])]
    return measurable_checksum(
        values["dataset"],
        domain=values.get("domain") or None,
        train_sizes=tuple(size for size in sizes if size),
        val_size=values.get("val_size", 0),
        test_size=values.get("test_size", 0),
        published=not own,
        masks="dataset" in declared.names_of("a data set with masks"),
    )


def _weights_checksum(network: str) -> dict[str, str]:
    """By the file's name, where MEDTL_WEIGHTS has one; other weights have their version in the run's key."""
    from medtl_core.data.sources.locations import file_digest

    folder = weights_folder()
    file = folder / f"{network}.safetensors" if folder else None
    return {file.name: file_digest(file, "sha256")} if file is not None and file.is_file() else {}


def data_sets_at_hand() -> list[str]:
    """Names of the data sets that need no download."""
    from medtl_core.data.sources.registry import local_names

    return local_names()
