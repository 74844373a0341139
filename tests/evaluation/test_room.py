"""What the evaluation room may import."""

import subprocess
import sys

import pytest

CHECK = """
import sys
import medtl_core.evaluation.metrics, medtl_core.evaluation.statistics
print(sorted({"torch", "torchmetrics", "timm"} & set(sys.modules)))
others = {"data", "backbones", "training", "evidence", "runner"}
print(sorted(others & {name.split(".")[1] for name in sys.modules if name.startswith("medtl_core.")}))
"""


@pytest.mark.slow
def test_neither_torch_nor_another_room_is_imported():
    done = subprocess.run([sys.executable, "-c", CHECK], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]", "[]"]
