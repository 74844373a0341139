"""What a run says about tests that are not as quick as they should be."""

import pytest
from fixtures import quick_tests

TESTS = """
import time
import pytest

def busy(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass

@pytest.fixture
def made():
    busy(0.1)

def test_calls():
    busy(0.1)

def test_sets_up(made):
    pass

def test_waits():
    time.sleep(0.1)

def test_loads():
    import this_one
    busy(0.1)

@pytest.mark.slow
def test_slow():
    busy(0.1)
"""


@pytest.fixture
def lines(pytester, monkeypatch):
    monkeypatch.setattr(quick_tests, "LIMIT", 0.05)
    pytester.makepyfile(this_one="", test_made_up=TESTS)
    pytester.makeini("[pytest]\nmarkers = slow")
    done = pytester.runpytest_inprocess("-p", "fixtures.quick_tests", "-p", "no:cacheprovider")
    done.assert_outcomes(passed=5)
    return done.outlines


def test_what_computes_without_the_mark_is_named_and_nothing_fails(lines):
    start = next(i for i, line in enumerate(lines) if "quick tests of more than 0.05 s" in line)
    named = [line.split("::")[1] for line in lines[start + 1 :] if "::" in line]
    assert sorted(named) == ["test_calls", "test_sets_up"]
