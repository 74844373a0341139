import pytest

from medtl_core.training import bench


@pytest.mark.slow
def test_bench_measures_both_networks(monkeypatch):
    monkeypatch.setattr(bench, "SIZE", 16)
    monkeypatch.setattr(bench, "BATCH", 4)
    rows = bench.run(rounds=1, steps=1)
    assert [row["name"] for row in rows] == ["fit resnet18 16 px", "fit tf_efficientnet_lite0 16 px"]
    for row in rows:
        rates = row["images_per_second"], row["bare_images_per_second"]
        assert row["ratio"] == pytest.approx(rates[0] / rates[1])
        assert min(rates) > 0
        assert row["target"] == 0.9
