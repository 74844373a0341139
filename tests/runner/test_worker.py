"""Notebooks on a Dask scheduler that is there already."""

import pytest
from distributed import LocalCluster
from mini_project import write_notebook

from medtl_core.errors import MedtlError
from medtl_core.runner.execute import run_tasks
from medtl_core.runner.task import KernelTask
from medtl_core.runner.worker import require_workers


@pytest.fixture(scope="module")
def cluster():
    with LocalCluster(n_workers=0, dashboard_address="127.0.0.1:0") as found:
        yield found


def test_a_scheduler_without_workers_is_one_line(cluster):
    with pytest.raises(MedtlError, match=r"no worker there; start one: dask worker tcp://.*") as refusal:
        require_workers(cluster.scheduler_address)
    assert "\n" not in str(refusal.value)


@pytest.mark.slow
def test_a_notebook_on_a_worker(tmp_path):
    source = write_notebook(tmp_path / "01_a.ipynb", "print(seeds)")
    (tmp_path / "out").mkdir()
    task = KernelTask(
        "01_a", source, tmp_path / "out" / "01_a.ipynb", tmp_path / "scratch", {"seeds": 4}, {}, 60
    )
    counted, ended = [], {}
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster:
        require_workers(cluster.scheduler_address)
        run_tasks(
            [task],
            workers=1,
            scheduler=cluster.scheduler_address,
            on_cells=lambda *numbers: counted.append(numbers),
            on_outcome=ended.__setitem__,
        )
    assert (ended["01_a"].status, ended["01_a"].error) == ("done", None)
    assert '"4\\n"' in task.executed.read_text()
    assert ("01_a", 3, 3) in counted
