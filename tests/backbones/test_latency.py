"""Latency, memory and size on disk: what is counted by hand, and what is left as it was."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from medtl_core.backbones import latency
from medtl_core.backbones.cost import cost
from medtl_core.backbones.latency import footprint, measure_latency, size_on_disk
from medtl_core.backbones.memory import allocated_peak_bytes, counted_peak_bytes
from medtl_core.backbones.zoo import build
from medtl_core.errors import MedtlError

FLOAT = 4  # bytes


class Recorder(nn.Module):
    """Remembers the batch size, mode and memory format of each pass."""

    passes: list = []  # noqa: RUF012 (shared with copies on purpose)

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 2)

    def forward(self, x):
        last = x.is_contiguous(memory_format=torch.channels_last)
        self.passes.append((len(x), self.training, torch.is_inference_mode_enabled(), last))
        return self.linear(x.mean((2, 3)))


def convolutions(**options):
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(**options),
        nn.Conv2d(8, 4, 3, padding=1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 2),
    )


PARAMETERS = (8 * 27 + 8) + 16 + (4 * 72 + 4) + (4 * 2 + 2)
STATE = FLOAT * (PARAMETERS + 16) + 8  # running mean and variance, and the step counter (int64)


@pytest.mark.parametrize("images", [1, 3])
def test_peak_memory_by_hand(images):
    maps = 16 * 16 * FLOAT * images
    # widest place: input, a normalised map of 8 channels, and the one that comes before or after it
    assert counted_peak_bytes(convolutions(), (images, 3, 16, 16)) == STATE + maps * (3 + 8 + 8)


def test_a_step_in_place_saves_its_output():
    network = nn.Sequential(nn.ReLU(), nn.ReLU(), nn.ReLU())
    in_place = nn.Sequential(nn.ReLU(), nn.ReLU(inplace=True), nn.ReLU(inplace=True))
    size = 2 * 3 * 5 * 5 * FLOAT
    assert counted_peak_bytes(network, (2, 3, 5, 5)) == 3 * size
    assert counted_peak_bytes(in_place, (2, 3, 5, 5)) == 2 * size


def test_a_skip_connection_keeps_its_input_alive():
    class Skip(nn.Module):
        def forward(self, x):
            x = x + 1
            return x + (x * 2) * 3

    # input, x, x * 2 and its product with 3 at once; the sum then takes the place of x * 2
    assert counted_peak_bytes(Skip(), (1, 3, 4, 4)) == 4 * 3 * 16 * FLOAT


def test_shared_parameters_and_views_count_once():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(48, 48, bias=False)
            self.b = self.a

        def forward(self, x):
            return self.b(self.a(x.flatten(1)).view(-1, 48))

    assert counted_peak_bytes(Tied(), (1, 3, 4, 4)) == FLOAT * (48 * 48 + 48 + 48 + 48)


def test_peak_memory_is_taken_in_evaluation_mode_and_the_network_is_left_alone():
    network = convolutions().train()
    network[1].eval()
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    footprint(network, (3, 16, 16), batch_sizes=(2,), warmup=1, repeats=1)
    assert network.training
    assert not network[1].training
    assert all(parameter.requires_grad and parameter.grad is None for parameter in network.parameters())
    assert all(torch.equal(before[key], tensor) for key, tensor in network.state_dict().items())


def test_every_pass_is_one_batch_in_inference_mode():
    Recorder.passes.clear()
    found = measure_latency(Recorder(), (3, 4, 4), batch_sizes=(2, 5), warmup=2, repeats=4)
    assert list(found) == [2, 5]
    untimed, timed = (False, False, True), (False, True, True)
    assert Recorder.passes == [(n, *how) for n in (2, 5) for how in [untimed] * 2 + [timed] * 4]
    for seconds in found.values():
        assert seconds.repeats == 4
        assert 0 < seconds.low <= seconds.median <= seconds.high


def test_median_and_quartiles_of_known_times(monkeypatch):
    clock = iter([0, 4, 10, 11, 20, 25, 30, 32, 40, 43])  # passes of 4, 1, 5, 2 and 3 seconds
    monkeypatch.setattr(latency.time, "perf_counter", lambda: next(clock))
    found = measure_latency(Recorder(), (3, 4, 4), batch_sizes=(1,), warmup=1, repeats=5)[1]
    assert (found.low, found.median, found.high) == (2, 3, 4)


@pytest.mark.slow
def test_size_on_disk_is_the_size_of_the_file(tmp_path):
    network = build("resnet18", num_classes=2, pretrained=False, seed=0).network
    state = {key: tensor.contiguous() for key, tensor in network.state_dict().items()}
    save_file(state, tmp_path / "network")
    size = size_on_disk(network)
    assert size == (tmp_path / "network").stat().st_size
    # 11,177,538 parameters, mean and variance of 4,800 channels, 20 counters; the rest is the header
    data = FLOAT * (11_177_538 + 2 * 4_800) + 8 * 20
    assert data < size < data + 20_000


@pytest.mark.slow
def test_a_footprint_is_all_of_these():
    network = build("tf_efficientnet_lite0", num_classes=2, pretrained=False, seed=0).network
    found = footprint(network, (3, 32, 32), batch_sizes=(1, 2), warmup=1, repeats=2)
    counted = cost(network, (1, 3, 32, 32))
    assert (found.parameters, found.macs) == (counted.parameters, counted.macs)
    assert found.peak_bytes == counted_peak_bytes(network, (1, 3, 32, 32))
    assert found.disk_bytes == size_on_disk(network)
    assert list(found.seconds_by_batch) == [1, 2]
    assert min(found.seconds_by_batch.values()) > 0
    assert (found.device, found.threads) == ("cpu", torch.get_num_threads())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input_shape": (1, 3, 8, 8)}, "batch sizes are given apart"),
        ({"input_shape": (3, 0, 8)}, "input_shape"),
        ({"input_shape": (5, 8, 8)}, "refuses inputs of shape"),
        ({"batch_sizes": ()}, "batch_sizes"),
        ({"batch_sizes": (4, 0)}, "batch_sizes"),
        ({"warmup": 0}, "warmup is 0"),
        ({"repeats": 0}, "repeats is 0"),
        ({"device": "cuda:99"}, "CUDA devices"),
    ],
)
def test_wrong_measurements_are_one_line(options, message):
    arguments = {"input_shape": (3, 8, 8), "batch_sizes": (1,), "warmup": 1, "repeats": 1} | options
    with pytest.raises(MedtlError, match=message) as caught:
        measure_latency(convolutions(), **arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [(3, 8, 8), (0, 3, 8, 8), (1, 5, 8, 8)])
def test_wrong_shapes_for_memory_are_one_line(shape):
    with pytest.raises(MedtlError, match="shape") as caught:
        counted_peak_bytes(convolutions(), shape)
    assert "\n" not in str(caught.value)


def test_the_allocator_is_asked_on_cuda_alone():
    with pytest.raises(MedtlError, match="use counted_peak_bytes"):
        allocated_peak_bytes(convolutions(), (1, 3, 8, 8), "cpu")
    with pytest.raises(MedtlError, match="CUDA devices"):
        allocated_peak_bytes(convolutions(), (1, 3, 8, 8), "cuda:99")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_allocator_holds_at_least_what_is_counted():
    network = build("resnet18", num_classes=2, pretrained=False, seed=0).network
    counted = counted_peak_bytes(network, (8, 3, 64, 64))
    assert counted <= allocated_peak_bytes(network, (8, 3, 64, 64)) < 4 * counted
    assert measure_latency(network, (3, 64, 64), (2,), device="cuda")[2].median > 0
    assert next(network.parameters()).device.type == "cpu"
