"""Exported files answer as the network does, for any number of images; a file that would not is not kept."""

import importlib.util

import numpy as np
import pytest
import torch
from torch import nn

from medtl_core.backbones import export
from medtl_core.backbones.export import ONNX_PACKAGES, export_onnx, export_program, export_torchscript
from medtl_core.backbones.zoo import build
from medtl_core.errors import MedtlError

without_onnx = any(importlib.util.find_spec(name) is None for name in ONNX_PACKAGES)


def load_onnx(path):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda x: torch.from_numpy(session.run(None, {"images": x.numpy()})[0])


FORMS = {
    "program": (export_program, lambda path: torch.export.load(path).module()),
    "torchscript": (export_torchscript, lambda path: torch.jit.load(str(path))),
    "onnx": (export_onnx, load_onnx),
}
NAMES = {"program": "network.pt2", "torchscript": "network.pt", "onnx": "network.onnx"}
INSTALLED = [
    pytest.param(
        form, marks=pytest.mark.skipif(form == "onnx" and without_onnx, reason="needs ONNX packages")
    )
    for form in FORMS
]


def pictures(n, size=32):
    return torch.randn(n, 3, size, size, generator=torch.Generator().manual_seed(n))


def normalised_network(name):
    """Random weights and batch-norm statistics that are not the initial ones, left in training mode."""
    network = build(name, num_classes=3, pretrained=False, seed=0).network
    with torch.no_grad():
        network.train()(pictures(8))
    return network


class Pool(nn.Module):
    """A small network whose answer can be tampered with."""

    def __init__(self, answer=lambda x: x):
        super().__init__()
        self.linear = nn.Linear(3, 2)
        self.answer = answer

    def forward(self, x):
        return self.answer(self.linear(x.mean((2, 3))))


def one_path(x):
    return x if x.sum() > 0 else -x


@pytest.mark.slow
@pytest.mark.parametrize("form", INSTALLED)
@pytest.mark.parametrize("name", ["resnet18", "tf_efficientnet_lite0"])
def test_round_trip(name, form, tmp_path):
    network = normalised_network(name)
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    write, read = FORMS[form]
    path = write(network, tmp_path / "new" / NAMES[form], pictures(2))
    assert path == tmp_path / "new" / NAMES[form]
    assert [file.name for file in path.parent.iterdir()] == [NAMES[form]]
    assert network.training
    assert all(torch.equal(before[key], tensor) for key, tensor in network.state_dict().items())
    loaded = read(path)
    network.eval()
    for n in (1, 2, 5):
        with torch.no_grad():
            expected = network(pictures(n)).numpy()
            np.testing.assert_allclose(
                loaded(pictures(n)).numpy(), expected, atol=1e-4 * np.abs(expected).max()
            )


@pytest.mark.parametrize("form", INSTALLED)
def test_a_single_image_is_enough_to_export_for_any_number(form, tmp_path):
    network = Pool()
    write, read = FORMS[form]
    loaded = read(write(network, tmp_path / NAMES[form], pictures(1, 8)))
    expected = network(pictures(7, 8)).detach().numpy()
    np.testing.assert_allclose(loaded(pictures(7, 8)).detach().numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("form", INSTALLED)
def test_a_number_of_images_that_was_frozen_is_refused(form, tmp_path):
    network = Pool(lambda x: x * float(len(x)))
    with pytest.raises(MedtlError) as caught:
        FORMS[form][0](network, tmp_path / NAMES[form], pictures(3, 8))
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_steps_that_depend_on_values_are_refused(tmp_path):
    with pytest.raises(MedtlError, match="cannot be exported for any number of images") as caught:
        export_program(Pool(one_path), tmp_path / "network.pt2", pictures(3, 8))
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", ["program", "torchscript"])
def test_unequal_outputs_leave_the_old_file(form, tmp_path, monkeypatch):
    path = tmp_path / NAMES[form]
    path.write_text("old")
    real = export.outputs
    monkeypatch.setattr(export, "outputs", lambda network, x: 1.001 * real(network, x))
    with pytest.raises(MedtlError, match="differ from the network's") as caught:
        FORMS[form][0](Pool(), path, pictures(2, 8))
    assert "\n" not in str(caught.value)
    assert path.read_text() == "old"
    assert FORMS[form][0](Pool(), path, pictures(2, 8), tolerance=0.01) == path
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_outputs_that_are_not_numbers_are_refused(tmp_path):
    network = Pool()
    nn.init.constant_(network.linear.weight, torch.nan)
    with pytest.raises(MedtlError, match="differ"):
        export_torchscript(network, tmp_path / "network.pt", pictures(2, 8))


@pytest.mark.parametrize("form", ["program", "torchscript"])
@pytest.mark.parametrize("shape", [(3, 8, 8), (0, 3, 8, 8), (2, 5, 8, 8)])
def test_images_that_do_not_fit_are_refused(form, shape, tmp_path):
    with pytest.raises(MedtlError, match="expected"):
        FORMS[form][0](Pool(), tmp_path / NAMES[form], torch.zeros(shape))


@pytest.mark.parametrize("form", ["program", "torchscript"])
def test_another_suffix_is_refused(form, tmp_path):
    with pytest.raises(MedtlError, match=r"network.bin, expected a name that ends in \.pt"):
        FORMS[form][0](Pool(), tmp_path / "network.bin", pictures(2, 8))


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MedtlError, match="cannot be written") as caught:
        export_torchscript(Pool(), tmp_path / "file" / "network.pt", pictures(2, 8))
    assert "\n" not in str(caught.value)


def test_missing_onnx_packages_are_named(tmp_path, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name in ONNX_PACKAGES[1:] else real(name, *rest),
    )
    with pytest.raises(MedtlError, match=r"pip install (onnx )?onnxscript onnxruntime"):
        export_onnx(Pool(), tmp_path / "network.onnx", pictures(2, 8))
