import pytest
import torch


@pytest.fixture
def four_threads(monkeypatch):
    """As if on four cores; tests that share this number share their worker processes, which start slowly."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
