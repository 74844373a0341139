"""What results say of the audit of their data sets."""

from medtl_core.evidence.audits import audit_lines, audited_sets

LEAKY = {"word": "leaky", "why": "3 of 40 test images stand in training"}
CLEAN = {"word": "clean", "why": ""}


def run(data, audits=None):
    return {"data": data} | ({} if audits is None else {"audits": audits})


def test_each_data_set_has_one_short_line():
    runs = [
        run({"chest": "c1", "resnet18.mine.safetensors": "w"}, {"chest": LEAKY}),
        run({"chest": "c1", "brain": "b1"}, {"chest": LEAKY, "brain": CLEAN}),
    ]
    assert audit_lines(runs) == ["brain: clean", "chest: leaky (3 of 40 test images stand in training)"]


def test_older_records_are_not_audited():
    runs = [run({"chest": "c1"}), run({"brain": "b1", "eye": "e1"}, {"eye": CLEAN})]
    assert audit_lines(runs) == ["eye: clean", "not audited: brain, chest"]
    assert [each.verdict for each in audited_sets(runs)] == ["not audited", "not audited", "clean"]
    assert audit_lines([]) == []


def test_a_verdict_counts_for_its_content_alone_and_the_last_one_counts():
    runs = [
        run({"chest": "c1"}, {"chest": CLEAN}),
        run({"chest": "c1"}, {"chest": LEAKY}),
        run({"chest": "c1"}),
        run({"chest": "c2"}),
    ]
    assert [(each.checksum, each.verdict[:11]) for each in audited_sets(runs)] == [
        ("c1", "leaky (3 of"),
        ("c2", "not audited"),
    ]
