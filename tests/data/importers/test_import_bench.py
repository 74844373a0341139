"""The bench of the import runs and gives what `medtl bench` prints."""

from medtl_core.data.importers import bench


def test_bench_measures_an_import_against_decoding(monkeypatch):
    monkeypatch.setattr(bench, "SIZE", 16)
    rows = bench.run(rounds=1, images=6)
    assert [row["name"] for row in rows] == [
        "import JPEG 16 px, wall time",
        "import JPEG 16 px, processor time",
    ]
    for row in rows:
        assert row["ratio"] > 0
        assert row["images_per_second"] > 0
        assert (row["cost"], row["target"]) == (True, 1.5)
