"""The bench of the import runs and gives what `medtl bench` prints."""

from medtl_core.data.importers import bench


def test_bench_measures_an_import_against_decoding(monkeypatch):
    monkeypatch.setattr(bench, "SIZE", 16)
    (row,) = bench.run(rounds=1, images=6)
    assert row["name"] == "import JPEG 16 px"
    assert row["ratio"] > 0
    assert row["images_per_second"] > 0
    assert (row["cost"], row["target"]) == (True, 1.5)
