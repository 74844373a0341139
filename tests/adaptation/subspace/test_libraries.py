"""Libraries that only some users install."""

import subprocess
import sys

import pytest

PROGRAM = """
import sklearn
from medtl_core.adaptation.subspace.libraries import skada
skada()
print(sklearn.get_config()["enable_metadata_routing"])
"""


@pytest.mark.slow
def test_skada_leaves_the_settings_of_scikit_learn_as_they_were():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
