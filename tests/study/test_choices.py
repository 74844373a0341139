import pytest

from medtl_core.errors import MedtlError
from medtl_core.study import require_known


def test_the_first_unknown_name_is_refused_in_one_line():
    require_known("studies", ["b", "a"], ["a", "b", "c"])
    require_known("studies", [], ["a"])
    with pytest.raises(MedtlError) as refused:
        require_known("studies", ["z", "a", "y"], ["b", "a"])
    assert str(refused.value) == "studies: found 'y', expected some of b, a; change -p studies"
