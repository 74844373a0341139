import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from medtl_core import orphans

CHILD = """\
import os, sys, time
from medtl_core import orphans
if sys.argv[1] == "look":
    orphans.sys = type("sys", (), {"platform": "other"})
orphans.die_with_parent()
orphans.die_with_parent()
print(os.getpid(), flush=True)
time.sleep(600)
"""
PARENT = """\
import subprocess, sys
subprocess.Popen([sys.executable, "-c", sys.argv[1], sys.argv[2]]).wait()
"""


def gone(process, seconds):
    return process.pid in [p.pid for p in psutil.wait_procs([process], timeout=seconds)[0]]


@pytest.mark.slow
@pytest.mark.parametrize("way", ["signal", "look"])
def test_a_child_ends_when_its_parent_is_killed(way):
    command = [sys.executable, "-c", PARENT, CHILD, way]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        child = psutil.Process(int(parent.stdout.readline()))
        time.sleep(0.5)
        assert child.is_running()
        parent.send_signal(signal.SIGKILL)
        assert gone(child, 10)


def test_a_child_whose_parent_has_ended_already_ends():
    code = "from medtl_core.orphans import die_with_parent; die_with_parent(1); print('still here')"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (found.returncode, found.stdout) == (-signal.SIGKILL, "")


def test_a_system_that_refuses_is_no_silence(monkeypatch):
    class Refusing:
        def prctl(self, *arguments):
            return -1

    monkeypatch.setattr(orphans.ctypes, "CDLL", lambda *arguments, **more: Refusing())
    monkeypatch.setattr(orphans.sys, "platform", "linux")
    monkeypatch.setattr(orphans, "_bound", type(orphans._bound)())
    with pytest.raises(OSError, match=r"\[Errno"):
        orphans.die_with_parent(os.getppid())
