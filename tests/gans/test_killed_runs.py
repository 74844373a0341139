"""Every loop, killed in the middle of its steps, resumes to the weights of a run that was never stopped."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import test_class_loops as classes
import test_gan_loop as gan
import test_translation_loops as translation
import torch

from medtl_core.gans.loops import ACGANConfig, GANConfig, train_acgan, train_gan, train_per_class


def run_gan(build=0, **how):
    return train_gan(*gan.networks(build), gan.IMAGES, gan.CONFIG, seed=0, **how).generator


def run_acgan(build=0, **how):
    config = ACGANConfig(steps=6, batch_size=4, ema_decay=0.5, augmented=True)
    return train_acgan(*classes.acgan(build), classes.IMAGES, classes.LABELS, config, seed=0, **how).generator


def run_per_class(build=0, watching=None, **how):
    """Killed in its second class; the first one is done by then."""
    look = (
        {} if watching is None else {"on_snapshot": lambda k, snapshot: k and watching.on_snapshot(snapshot)}
    )
    results = train_per_class(
        lambda seed: classes.build(seed + build), classes.IMAGES, classes.LABELS,
        GANConfig(steps=6, batch_size=4), seed=0, snapshot_every=5, **look, **how,
    )  # fmt: skip
    return torch.nn.ModuleList(result.generator for result in results)


def run_pix2pix(build=0, **how):
    return translation.run_pix2pix(build=build, **how).generator


def run_cyclegan(build=0, **how):
    return translation.run_cycle(build=build, **how).generator


def run_attention(build=0, **how):
    return translation.run_attention(build=build, **how).generator


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
import test_killed_runs
from medtl_core.gans.loops import Watching
kill = Watching(lambda snapshot: os.kill(os.getpid(), signal.SIGKILL), 5)
getattr(test_killed_runs, sys.argv[1])(checkpoint=Path(sys.argv[2]), checkpoint_every=2, watching=kill)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "train", [run_gan, run_acgan, run_per_class, run_pix2pix, run_cyclegan, run_attention]
)
def test_a_killed_process_resumes_to_the_same_weights(train, tmp_path):
    path, here = tmp_path / "run", os.path.dirname(__file__)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, train.__name__, str(path), here], capture_output=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    files = [path] if path.is_file() else sorted(Path(path).iterdir())
    assert files
    resumed, whole = train(build=7, checkpoint=path), train()
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value)
