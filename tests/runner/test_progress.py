import io

from medtl_core.runner import progress
from medtl_core.runner.progress import Lines, shown


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_lines_come_at_the_start_the_end_and_every_few_seconds(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    stream = io.StringIO()
    lines = Lines(stream)
    for done in range(6):
        lines.cells("02_x", done, 5)
        now[0] += progress.SECONDS_BETWEEN_LINES / 2 + 0.1
    lines.ended("02_x", "done", 12.4)
    assert stream.getvalue().splitlines() == [
        "02_x 0/5 cells",
        "02_x 2/5 cells",
        "02_x 4/5 cells",
        "02_x 5/5 cells",
        "02_x: done after 12 s",
    ]


def test_a_terminal_gets_bars():
    stream = Terminal()
    with shown(["01_a", "02_b"], stream) as bars:
        bars.cells("01_a", 3, 7)
        bars.ended("01_a", "done", 2.0)
    assert "01_a: done" in stream.getvalue()
    assert "3/7" in stream.getvalue()
    assert "1/2" in stream.getvalue()


def test_anything_else_gets_lines():
    stream = io.StringIO()
    with shown(["01_a"], stream) as lines:
        lines.cells("01_a", 0, 7)
    assert stream.getvalue() == "01_a 0/7 cells\n"
