"""A trained network as a file that runs without this package: torch.export, TorchScript, ONNX.

The file holds the network alone, in evaluation mode: images (N, C, H, W) of one height and width, normalised
as for the network itself, any N -> logits (N, K). A file is kept only if it was loaded again and its outputs
were equal to the network's, for the images given and for another number of them. Export runs on the CPU.
"""

from __future__ import annotations

import importlib.util
import re
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from medtl_core.backbones.inference import inference_copy, outputs
from medtl_core.errors import MedtlError

TOLERANCE = 1e-4
ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")

Loaded = Callable[[Tensor], Tensor]


def export_program(network: nn.Module, path: Path, images: Tensor, tolerance: float = TOLERANCE) -> Path:
    """Write `network` with torch.export to `path` (.pt2); read it with `torch.export.load(path)`.

    images: (N, C, H, W), normalised, to export for and to check with. tolerance: largest difference between
    an output of the file and of the network, as a share of the largest output.
    Returns `path`. The file appears whole and checked or not at all, and the network is left as it was.

    Raises MedtlError for a name or images of another form, a network that cannot be exported for any number
    of images, outputs that differ, and a folder that cannot be written.
    """

    def write(copied: nn.Module, example: Tensor, file: Path) -> Loaded:
        sizes = ({0: torch.export.Dim("images")},)
        torch.export.save(torch.export.export(copied, (example,), dynamic_shapes=sizes), file)
        return torch.export.load(file).module()

    return _written(write, "torch.export", ".pt2", network, path, images, tolerance)


def export_torchscript(network: nn.Module, path: Path, images: Tensor, tolerance: float = TOLERANCE) -> Path:
    """Write a trace of `network` to `path` (.pt); read it with `torch.jit.load(path)`, or from C++.

    A trace follows the path that the images take: a network that decides by its input's values is not for
    it. PyTorch keeps TorchScript for older programs and recommends torch.export. Arguments, result and
    errors as for `export_program`.
    """

    def write(copied: nn.Module, example: Tensor, file: Path) -> Loaded:
        torch.jit.trace(copied, example, check_trace=False).save(str(file))
        return torch.jit.load(str(file))

    return _written(write, "TorchScript", ".pt", network, path, images, tolerance)


def export_onnx(network: nn.Module, path: Path, images: Tensor, tolerance: float = TOLERANCE) -> Path:
    """Write `network` as ONNX to `path` (.onnx), input "images" and output "logits"; check it in
    ONNX Runtime.

    Arguments, result and errors as for `export_program`; MedtlError also where one of the packages
    `ONNX_PACKAGES` is not installed, which medtl does not install by itself.
    """
    missing = [name for name in ONNX_PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise MedtlError(
            f"ONNX: {', '.join(missing)} not installed, expected {', '.join(ONNX_PACKAGES)}; "
            f"pip install {' '.join(missing)}, or use export_program"
        )

    def write(copied: nn.Module, example: Tensor, file: Path) -> Loaded:
        torch.onnx.export(
            copied,
            (example,),
            str(file),
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("images")},),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        import onnxruntime

        session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        return lambda x: torch.from_numpy(session.run(["logits"], {"images": x.numpy()})[0])

    return _written(write, "ONNX", ".onnx", network, path, images, tolerance)


def _written(
    write: Callable[[nn.Module, Tensor, Path], Loaded],
    form: str,
    suffix: str,
    network: nn.Module,
    path: Path,
    images: Tensor,
    tolerance: float,
) -> Path:
    """Export into a folder of its own beside `path`, check, and only then move the file to `path`."""
    if path.suffix != suffix:
        raise MedtlError(f"{form}: the file is called {path.name}, expected a name that ends in {suffix}")
    if images.ndim != 4 or 0 in images.shape:
        raise MedtlError(f"{form}: images are {tuple(images.shape)}, expected (N, C, H, W) with N >= 1")
    copied, images = inference_copy(network), images.detach().cpu().float().contiguous()
    one_more = torch.cat([images, images[:1].flip(-1)])  # an export for a single image would be for 1 only
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".exporting-") as scratch:
            whole = Path(scratch) / path.name
            for batch, answers in _answers(write, form, copied, [one_more, images], whole):
                _check_equal(form, answers, outputs(copied, batch), tolerance)
            return whole.replace(path)
    except OSError as error:
        raise MedtlError(
            f"{form}: {path} cannot be written ({error.strerror or error}); "
            "free space or choose another folder"
        ) from error


def _answers(
    write: Callable[[nn.Module, Tensor, Path], Loaded],
    form: str,
    copied: nn.Module,
    batches: list[Tensor],
    file: Path,
) -> list[tuple[Tensor, Tensor]]:
    """Each batch with what the file, exported for the first and loaded again, answers to it."""
    try:
        with warnings.catch_warnings(), torch.no_grad():
            # TorchScript announces its retirement; torch.export tells where tensors are: all are on the CPU
            warnings.filterwarnings("ignore", category=FutureWarning)
            warnings.filterwarnings("ignore", message="No complete tensor found")
            loaded = write(copied, batches[0], file)
            return [(batch, loaded(batch)) for batch in batches]
    except OSError:
        raise
    except Exception as error:  # exporters and runtimes raise classes of their own, without a common base
        reason = " ".join(re.sub(r"\x1b\[\d*m", "", str(error)).split())[:160]
        raise MedtlError(
            f"{form}: {type(copied).__name__} cannot be exported for any number of images "
            f"({type(error).__name__}: {reason}); "
            "expected one whose steps do not depend on its input's values"
        ) from error


def _check_equal(form: str, found: Tensor, expected: Tensor, tolerance: float) -> None:
    if found.shape != expected.shape:
        raise MedtlError(
            f"{form}: the file answers {tuple(found.shape)}, expected {tuple(expected.shape)} as the network "
            "does; it was not kept, use another form"
        )
    scale = float(expected.abs().max())
    difference = float((found - expected).abs().max())
    if not difference <= tolerance * scale:
        raise MedtlError(
            f"{form}: outputs of the file differ from the network's by {difference:.2g}, expected at most "
            f"{tolerance:g} of {scale:.2g} for {len(expected)} images; it was not kept, use another form"
        )
