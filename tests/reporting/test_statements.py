"""The sentences of a notebook's statements."""

import pytest

from medtl_core.errors import MedtlError
from medtl_core.evidence.record_store import RecordStore
from medtl_core.evidence.reference_run import keep_run
from medtl_core.evidence.run_state import RunState, write_state
from medtl_core.reporting.statements import statement_sentences


def test_each_measured_statement_has_a_paragraph(tmp_path, rule, claim, registered, pairs, exactly):
    store = RecordStore(tmp_path / "run")
    for r in pairs(exactly(0.1, 0.01)):
        store.add([r])
    write_state(store.root, RunState("02_fine_tuning", "02_fine_tuning", "done", "key", []))
    register = registered(claim(rule()), claim(rule(study="unrun"), id="C007"))
    kept = keep_run(store.root, tmp_path / "kept", register=register)
    text = statement_sentences("02_fine_tuning", kept, register)
    assert text.startswith("**C006: supported**. *Pretrained networks need fewer images.* AUROC of full")
    assert "C007" not in text
    later = registered(claim(rule(margin=0.01)))
    assert "**C006: supported** (exploratory)." in statement_sentences("02_fine_tuning", kept, later)
    assert "No reference run" in statement_sentences("01_cnn_basics", kept, register)
    with pytest.raises(MedtlError, match="no kept run"):
        statement_sentences("02_fine_tuning", tmp_path / "run", register)
