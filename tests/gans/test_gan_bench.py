import pytest

from medtl_core.gans import bench


def test_bench_measures_the_gan_loop(monkeypatch):
    monkeypatch.setattr(bench, "SIZE", 16)
    monkeypatch.setattr(bench, "BATCH", 4)
    monkeypatch.setattr(bench, "WIDTH", 4)
    (row,) = bench.run(rounds=1, steps=1)
    assert row["name"] == "train_gan DCGAN 16 px"
    assert row["ratio"] == pytest.approx(row["images_per_second"] / row["bare_images_per_second"])
    assert row["target"] == 0.9
