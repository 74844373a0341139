import signal

import pytest

from medtl_core.runner.interruption import NUMBERS, interruptions_noted, interruptions_raised


@pytest.fixture(autouse=True)
def handlers():
    """What the process does on each signal is afterwards what it was."""
    before = {number: signal.getsignal(number) for number in NUMBERS}
    yield
    assert {number: signal.getsignal(number) for number in NUMBERS} == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_raised_or_noted(number):
    with pytest.raises(KeyboardInterrupt), interruptions_raised():
        signal.raise_signal(number)
    with interruptions_noted() as noted:
        assert not noted()
        signal.raise_signal(number)
        assert noted()


def test_below_nohup_a_closed_terminal_is_no_interruption():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interruptions_raised():
            signal.raise_signal(signal.SIGHUP)
        with interruptions_noted() as noted:
            signal.raise_signal(signal.SIGHUP)
            assert not noted()
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
