"""Jobs that take turns, on a clock that the test sets."""

from medtl_core import paired_timing


def test_medians_of_turns_without_the_first():
    now, order = [0.0], []
    durations = {"bare": iter([100.0, 1.0, 2.0, 9.0]), "loop": iter([100.0, 4.0, 3.0, 5.0])}

    def job(name):
        def run():
            order.append(name)
            now[0] += next(durations[name])

        return run

    jobs = {"bare": job("bare"), "loop": job("loop")}
    found = paired_timing.median_seconds(jobs, rounds=3, clock=lambda: now[0])
    assert found == {"bare": 2.0, "loop": 4.0}
    assert order == ["bare", "loop"] * 4
