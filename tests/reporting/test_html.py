import html
import json
import re
from html.parser import HTMLParser

import pytest

from medtl_core.errors import MedtlError
from medtl_core.evidence.ledger import build_ledger
from medtl_core.evidence.record_store import RecordStore
from medtl_core.evidence.run_state import RunState, write_state
from medtl_core.evidence.words import WORDS
from medtl_core.reporting.forest import COLOURS, MARKERS, forest, forest_svg
from medtl_core.reporting.html import BADGES, write_report

NASTY = '<script>alert("x")</script> & "quoted" $^$'
VOID = {"meta", "input", "br", "col", "link", "img"}


class Page(HTMLParser):
    """Addresses that the page loads or links to, ids, and whether every tag is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.loads, self.links, self.ids, self.open, self.crossed = [], [], [], [], []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        self.loads += [values[k] for k in ("src", "srcset", "data", "xlink:href") if values.get(k)]
        if tag == "link":
            self.loads.append(values.get("href"))
        if tag == "a":
            self.links.append(values["href"])
        if "id" in values:
            self.ids.append(values["id"])

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if self.open.pop() != tag:
            self.crossed.append(tag)


@pytest.fixture
def run(tmp_path, pairs, exactly, record):
    store = RecordStore(tmp_path / "run")
    for n in (64, 128):
        for r in pairs(exactly(0.1, 0.01), factors={"n": n}) + pairs(
            exactly(0, 0.01), dataset=NASTY, factors={"n": n}
        ):
            store.add([r])
    store.add([record(study="checks", arm="identity", metric="deviation", value=1e-7)])
    (store.root / "notebooks").mkdir()
    (store.root / "notebooks" / "02_fine_tuning@x y.ipynb").write_text("{}")
    state = RunState(
        "02_fine_tuning@x y", "02_fine_tuning", "failed", "key", [], seconds=125.0, peak_memory=3 * 2**30,
        budget={"minutes": 1, "memory_gib": 2}, over_budget=["time", "memory"],
        parameters={"dataset": NASTY}, data={"breastmnist": "c0ffee", "w.safetensors": "ab", "old": "cd"},
        audits={"breastmnist": {"word": "leaky", "why": NASTY}},
        error={"name": "ValueError", "message": NASTY},
    )  # fmt: skip
    write_state(store.root, state)
    (store.root / "environment.json").write_text(json.dumps({"python": "3.11", "versions": {"torch": NASTY}}))
    return store


@pytest.fixture
def ledger(run, rule, claim, registered):
    deterministic = rule(
        kind="deterministic", study="checks", metric="deviation", treatment="identity", control=None,
        tolerance={"op": "<=", "value": 1e-5},
    )  # fmt: skip
    entries = [
        claim(rule(by=["n"], hypothesis=NASTY), statement=NASTY, expected=NASTY, correction=NASTY),
        claim(deterministic, id="C009"),
        claim(id="C010", section="2"),
    ]
    return build_ledger(registered(*entries), run)


@pytest.fixture
def page(run, ledger):
    text = write_report(run.root, ledger).read_text()
    parsed = Page()
    parsed.feed(text)
    return text, parsed


def test_the_page_loads_nothing_and_is_well_formed(page):
    text, parsed = page
    assert all(address.startswith("#") for address in parsed.loads)
    assert not re.search(r"url\((?!#)|@import|https?://", text)
    assert (parsed.open, parsed.crossed) == ([], [])


def test_every_statement_has_its_row_and_its_section(page):
    text, parsed = page
    assert {"C006", "C009", "C010"} <= set(parsed.ids)
    for name in ("C006", "C009", "C010"):
        assert f"#{name}" in parsed.links
    assert text.count("<tr data-verdict=") == 3
    assert "3 statements" in text


def test_every_link_within_the_page_or_the_folder_arrives(page, run):
    _, parsed = page
    for link in set(parsed.links):
        if link.startswith("#"):
            assert link[1:] in parsed.ids
        else:
            assert (run.root / link.replace("%40", "@").replace("%20", " ")).is_file()
    assert "notebooks/02_fine_tuning%40x%20y.ipynb" in parsed.links


def test_everything_is_escaped(page):
    text, _ = page
    assert "<script>alert" not in text
    assert html.escape(NASTY, quote=False).split(" & ")[0].split('"')[0] in text


def test_every_data_set_has_the_verdict_of_its_audit(page):
    text, _ = page
    shown = dict(re.findall(r"<tr><td>([\w.]+)</td><td>(.*?)</td><td><code>", text))
    assert shown == {
        "breastmnist": f"leaky ({html.escape(NASTY, quote=True)})".replace("&quot;", "&#34;").replace(
            "&#x27;", "&#39;"
        ),
        "old": "not audited",
        "w.safetensors": "–",
    }


def test_budget_data_and_environment_are_shown(page):
    text, _ = page
    for part in ("2.1 min over", "3072 MiB over", "2048 MiB", "c0ffee", "versions: torch", "ValueError"):
        assert part in text


def test_a_plot_stands_where_there_are_intervals_only(page):
    text, _ = page
    assert text.count("<svg ") == 1
    assert text.count("<figure>") == 1
    assert "1e-07" in text


def test_the_page_is_the_same_each_time(run, ledger):
    assert write_report(run.root, ledger).read_text() == write_report(run.root, ledger).read_text()


def test_every_word_has_its_badge_and_marker():
    assert len({symbol for symbol, _ in BADGES.values()}) == len(BADGES) == len(WORDS)
    assert set(COLOURS) == set(MARKERS)
    assert len(set(MARKERS.values())) == len(MARKERS)


def test_a_forest_plot_has_a_line_per_stratum_and_its_limits(ledger):
    row = next(row for row in ledger.rows() if row["id"] == "C006")
    axes = forest(row["rules"]).axes[0]
    names = [tick.get_text() for tick in axes.get_yticklabels()]
    assert names == [f"{dataset}, n = {n}" for dataset in (NASTY, "breastmnist") for n in (64, 128)]
    bars = [tuple(line.get_xdata()) for line in axes.get_lines() if len(line.get_xdata()) == 2]
    strata = [s for d in row["rules"][0]["datasets"].values() for s in d["strata"]]
    for stratum in strata:
        assert (stratum["low"], stratum["high"]) in bars
    points = [float(line.get_xdata()[0]) for line in axes.get_lines() if len(line.get_xdata()) == 1]
    assert points == [s["estimate"] for s in strata]
    assert "auroc: full − scratch" in axes.get_xlabel()
    assert "stated: above 0" in axes.get_xlabel()


def test_an_svg_repeats_and_says_what_it_is(ledger):
    rules = ledger.rows()[0]["rules"]
    svg = forest_svg(rules, 'a "b" <c>')
    assert svg == forest_svg(rules, 'a "b" <c>')
    assert 'aria-label="a &quot;b&quot; &lt;c&gt;"' in svg
    assert "breastmnist, n = 64" in svg


def test_a_forest_without_trees_is_one_line(ledger):
    for row in ledger.rows()[1:]:
        with pytest.raises(MedtlError, match="no rule has an estimate"):
            forest(row["rules"])
