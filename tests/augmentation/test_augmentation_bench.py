import pytest

from medtl_core.augmentation import bench


def test_bench_measures_against_a_step_and_against_albumentations(monkeypatch):
    monkeypatch.setattr(bench, "SIZE", 16)
    monkeypatch.setattr(bench, "BATCH", 4)
    rows = bench.run(rounds=1)
    assert [(row["name"], row["of"], row["target"]) for row in rows] == [
        ("augmentation basic 16 px", "of a training step", 0.15),
        ("augmentation elastic 16 px", "of a training step", 0.4),
        ("augmentation batch 16 px", "of the time of albumentations", 1.0),
    ]
    for row in rows:
        rates = row["images_per_second"], row["reference_images_per_second"]
        assert row["ratio"] == pytest.approx(rates[1] / rates[0])
        assert min(rates) > 0
