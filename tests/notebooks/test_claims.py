"""The register of statements is complete, in its own words, and asks for what the notebooks record."""

import re
from pathlib import Path

import pytest
import yaml

from medtl_core.evidence.register import load_register

CLAIMS = Path(__file__).resolve().parents[2] / "notebooks" / "claims.yaml"
ENTRIES = yaml.safe_load(CLAIMS.read_text(encoding="utf-8"))
BY_ID = {entry["id"]: entry for entry in ENTRIES}
RULES = [(entry, rule) for entry in ENTRIES for rule in entry["rules"]]

SURVEY_IDS = [f"C{n:03d}" for n in range(1, 99)]
INHERITED_IDS = [f"I{n:02d}" for n in range(1, 16)]

NOTEBOOKS = {
    "00_orientation",
    "01_cnn_basics",
    "02_fine_tuning",
    "03_truncated_tl",
    "04_augmentation",
    "05_gans",
    "06_domain_adaptation",
    "07_interpretability",
    "08_imbalance_and_generalisation",
    "09_ledger",
    "10_case_brain_tumours",
    "11_case_covid19",
}

FIELDS = [
    "id",
    "section",
    "statement",
    "locator",
    "references",
    "kind",
    "handling",
    "notebook",
    "about",
    "expected",
    "source",
    "correction",
    "rules",
]

# Statements that the notebooks there are answer by measuring.
ANSWERED = {
    "C001",
    "C003",
    "C005",
    "C006",
    "C007",
    "C008",
    "C009",
    "C010",
    "C011",
    "C012",
    "C013",
    "C014",
    "C015",
    "C017",
    "C018",
    "C019",
    "C020",
    "C021",
    "C022",
    "C023",
    "C024",
    "C025",
    "C026",
    "C027",
    "C028",
    "C057",
    "C058",
    "C082",
    "C086",
    "C091",
    "C092",
    "C093",
    "C097",
    "I01",
    "I02",
    "I03",
    "I04",
    "I06",
    "I14",
    "I15",
}

# What each study records: arms, metrics, factors. A rule that asks for anything else could never be judged.
STUDIES = {
    ("00_orientation", "checks"): (
        {"identity"},
        {"settings_as_in_paper", "adaptation_transductive", "shift_kinds_recognised"},
        set(),
    ),
    ("00_orientation", "toy_shifts"): (
        {"source_only", "importance_weighted", "target_oracle"},
        {"auroc", "accuracy"},
        {"shift"},
    ),
    ("00_orientation", "graded_shift"): (
        {"linear_probe"},
        {"auroc", "auroc_drop", "mmd2", "proxy_a_distance"},
        {"shift", "severity"},
    ),
    ("00_orientation", "drop_by_distance"): ({"linear_probe"}, {"auroc_drop"}, {"distance_rank"}),
    ("00_orientation", "domain_shift"): ({"within", "across"}, {"auroc"}, {"target"}),
    ("00_orientation", "few_labels"): (
        {"supervised", "label_spreading", "self_training", "supervised_network", "mean_teacher"},
        {"auroc"},
        {"n_labelled"},
    ),
    ("01_cnn_basics", "checks"): (
        {"identity"},
        {
            "conv_max_abs_error",
            "toeplitz_max_abs_error",
            "pool_max_abs_error",
            "relu_max_abs_error",
            "affine_collapse_max_abs_error",
        },
        set(),
    ),
    ("01_cnn_basics", "weight_sharing"): (
        {"shared", "unshared", "mlp", "unshared_same_width"},
        {"auroc", "shift_consistency", "parameters"},
        {"n"},
    ),
    ("01_cnn_basics", "activation"): ({"relu", "tanh", "sigmoid", "identity"}, {"auroc"}, set()),
    ("01_cnn_basics", "pooling"): ({"max_pool", "strided", "none"}, {"auroc"}, set()),
    ("01_cnn_basics", "classical"): (
        {"cnn", "hog_svm", "pixel_forest", "pixel_logistic"},
        {"auroc"},
        set(),
    ),
    ("01_cnn_basics", "near_bayes"): ({"cnn", "linear", "bayes"}, {"excess_error"}, {"n"}),
    ("02_fine_tuning", "learning_curve"): (
        {"scratch", "linear_probe", "full", "mean_var", "random_probe", "last_stage", "last_three"}
        | {"probe_then_full", "discriminative", "medical", "medical_probe", "unrelated"},
        {"auroc", "accuracy", "brier", "ece", "val_auroc", "train_accuracy", "generalisation_gap", "failed"},
        {"n"},
    ),
    ("02_fine_tuning", "label_need"): (
        {"scratch", "linear_probe", "full"},
        {"log2_labels_needed", "cost", "censored"},
        set(),
    ),
    ("02_fine_tuning", "depth_choice"): ({"validated"}, {"depth"}, set()),
    ("02_fine_tuning", "families"): ({"pretrained", "random"}, {"auroc", "effective_rank"}, {"backbone"}),
    ("02_fine_tuning", "networks"): (
        {"tf_efficientnet_lite0", "vgg16", "mobilenetv2_100"},
        {"auroc", "effective_rank"},
        set(),
    ),
    ("02_fine_tuning", "consequences"): (
        {"scratch", "full"},
        {"negative_flips", "net_flips", "worst_class_change"},
        {"n"},
    ),
    ("02_fine_tuning", "deferral"): ({"reader", "model", "team"}, {"accuracy"}, {"reader"}),
    ("03_truncated_tl", "checks"): (
        {"identity"},
        {"truncation_max_abs_error", "pooled_count_last_digits_off", "flattened_count_last_digits_off"}
        | {"cuts_that_save_nothing"},
        set(),
    ),
    ("03_truncated_tl", "sweep"): (
        {"chosen", "best_exhaustive", "full_network"},
        {"auroc", "loss_against_best"},
        {"backbone"},
    ),
    ("03_truncated_tl", "truncation"): (
        {"ftl", "lwft", "tf", "ttl"},
        {"auroc", "auprc", "val_auroc", "candidates", "tuning_seconds", "parameters", "macs"},
        {"n", "backbone"},
    ),
    ("03_truncated_tl", "head"): (
        {"pooled", "flattened"},
        {"auroc", "auprc", "val_auroc", "head_weights"},
        {"cut", "backbone"},
    ),
    ("03_truncated_tl", "search"): (
        {"sweep", "sweep_best", "two_stage", "exhaustive"},
        {"auroc", "candidates", "log10_seconds"},
        {"backbone"},
    ),
    ("03_truncated_tl", "compactness"): (
        {"full", "ttl"},
        {"parameters_share", "macs_share", "latency_share", "memory_share"},
        {"backbone"},
    ),
    ("03_truncated_tl", "ties"): (
        {"auprc_among_auroc_ties", "auroc_among_auprc_ties", "never"},
        {"told_apart"},
        {"backbone"},
    ),
    ("10_case_brain_tumours", "deep_features"): (
        {"softmax", "refit", "svm", "knn", "frozen_svm", "frozen_knn"},
        {"auroc", "accuracy", "balanced_accuracy", "macro_f1"},
        set(),
    ),
    ("10_case_brain_tumours", "leakage"): (
        {"published", "purged", "grouped"},
        {"auroc", "accuracy", "balanced_accuracy", "macro_f1"},
        {"classifier"},
    ),
    ("11_case_covid19", "cross_source"): (
        {"in_source", "cross_source"},
        {"auroc", "balanced_accuracy", "ece"},
        {"tested_on", "method"},
    ),
    ("11_case_covid19", "background_only"): (
        {"whole", "centre", "background", "prior"},
        {"auroc"},
        {"source"},
    ),
    ("11_case_covid19", "source_probe"): (
        {"raw", "clahe", "prior"},
        {"auroc", "source_auroc", "cross_auroc"},
        set(),
    ),
    ("11_case_covid19", "time_to_target"): (
        {"linear_probe", "full", "scratch"},
        {"log2_seconds", "log2_steps", "images_seen", "reached", "ms_per_image"},
        set(),
    ),
    ("11_case_covid19", "reasons"): (
        {"lesion_model", "mark_model"},
        {"auroc_in_source", "auroc_unbiased", "mark_hit_occlusion", "lesion_hit_occlusion"},
        set(),
    ),
}

# Statements whose words are stronger than what supports them: tested in a weak and in a strong reading.
STRONG_WORDS = {
    "C005": "always",
    "C025": "superior",
    "C031": "collectively",
    "C036": "prevents",
    "C047": "without compromising",
    "C049": "ensuring",
    "C050": "ensuring",
    "C055": "only",
    "C067": "required",
    "C068": "necessary",
    "C081": "synergizing",
    "C083": "solutions",
    "C092": "each",
}

# The survey's sentence is wrong or loose there.
CORRECTED = {
    "C003",
    "C004",
    "C015",
    "C022",
    "C033",
    "C036",
    "C050",
    "C051",
    "C053",
    "C055",
    "C057",
    "C065",
    "C067",
    "C068",
    "C071",
    "C073",
    "C074",
    "C092",
}


def words(text: str) -> list[str]:
    return re.findall(r"[\w'-]+", text.lower())


def each_entry(entries=ENTRIES):
    return pytest.mark.parametrize("entry", entries, ids=[entry["id"] for entry in entries])


def test_all_statements_are_there_once_and_in_order():
    assert [entry["id"] for entry in ENTRIES] == SURVEY_IDS + INHERITED_IDS


def test_the_register_loads_and_keeps_every_entry():
    register = load_register(CLAIMS)
    assert [claim.id for claim in register.entries] == SURVEY_IDS + INHERITED_IDS
    for claim, entry in zip(register.entries, ENTRIES, strict=True):
        assert len(claim.rules) == len(entry["rules"])
        for name in FIELDS[:-1]:
            assert getattr(claim, name) == entry[name], f"{claim.id}: {name}"


@each_entry()
def test_fields_are_those_of_the_schema(entry):
    assert list(entry) == FIELDS
    assert entry["kind"] in {"definition", "method", "empirical", "challenge"}
    assert entry["handling"] in {"test", "demonstration", "literature", "correction"}
    assert entry["notebook"] in NOTEBOOKS
    assert entry["about"] in {"medical_images", "method"}
    assert entry["expected"]
    assert all(isinstance(number, int) and 1 <= number <= 20 for number in entry["references"])


@each_entry([BY_ID[name] for name in SURVEY_IDS])
def test_survey_statements_have_a_section_and_a_short_locator(entry):
    assert entry["section"] in {"1", "2", "3", "4", "5", "6", "Ref"}
    assert 3 <= len(entry["locator"].split()) <= 5


@each_entry([BY_ID[name] for name in INHERITED_IDS])
def test_inherited_statements_name_their_source_and_have_no_locator(entry):
    assert entry["section"] == "inherited"
    assert entry["locator"] == ""
    assert entry["source"]
    # Only I15 comes from a work that the survey does not list.
    assert bool(entry["references"]) == (entry["id"] != "I15")


@each_entry()
def test_statements_are_in_our_own_words(entry):
    statement, locator = words(entry["statement"]), words(entry["locator"])
    assert len(statement) >= 5
    assert entry["statement"].endswith(".")
    if locator:
        runs = [statement[i : i + len(locator)] for i in range(len(statement))]
        assert locator not in runs, "the survey's own words stand in the statement"
        assert statement[:3] != locator[:3], "the statement continues the survey's sentence"


def test_no_statement_and_no_locator_stands_twice():
    for field, entries in (("statement", ENTRIES), ("locator", [BY_ID[name] for name in SURVEY_IDS])):
        texts = [entry[field].lower() for entry in entries]
        assert len(set(texts)) == len(texts), field


@each_entry([entry for entry in ENTRIES if entry["handling"] in ("literature", "correction")])
def test_what_is_not_measured_says_what_the_source_says_and_where_it_was_read(entry):
    assert re.search(r"\bread\b|from memory|our reading|No source is given", entry["source"], re.IGNORECASE)
    assert entry["rules"] == []
    assert entry["handling"] == "literature" or entry["correction"]


@each_entry([BY_ID[name] for name in sorted(CORRECTED)])
def test_wrong_or_loose_sentences_are_corrected_openly(entry):
    assert len(words(entry["correction"])) >= 5


@each_entry([BY_ID[name] for name in sorted(STRONG_WORDS)])
def test_strong_words_are_tested_in_two_readings(entry):
    if entry["rules"]:
        assert {rule["reading"] for rule in entry["rules"]} == {"weak", "strong"}
    else:
        assert re.search(r"weak reading.*strong reading", entry["expected"])


@each_entry([entry for entry in ENTRIES if entry["rules"]])
def test_readings_are_main_or_both_weak_and_strong(entry):
    readings = {rule["reading"] for rule in entry["rules"]}
    assert readings in ({"main"}, {"weak", "strong"})


def test_statements_that_the_notebooks_answer_have_rules():
    assert {name for name in ANSWERED if not BY_ID[name]["rules"]} == set()
    assert {BY_ID[name]["notebook"] for name in ANSWERED} == {
        "00_orientation",
        "01_cnn_basics",
        "02_fine_tuning",
        "03_truncated_tl",
        "10_case_brain_tumours",
        "11_case_covid19",
    }


@pytest.mark.parametrize(
    ("entry", "rule"), RULES, ids=[f"{e['id']}-{r['hypothesis'][:30]}" for e, r in RULES]
)
def test_rules_ask_for_what_a_study_records(entry, rule):
    arms, metrics, factors = STUDIES[entry["notebook"], rule["study"]]
    assert {rule["treatment"], rule.get("control", rule["treatment"])} <= arms
    assert rule.get("control") != rule["treatment"]
    assert rule["metric"] in metrics
    asked = set(rule["where"]) | set(rule["by"]) | ({rule["trend"]["factor"]} if "trend" in rule else set())
    assert asked <= factors


@pytest.mark.parametrize(
    ("entry", "rule"), RULES, ids=[f"{e['id']}-{r['hypothesis'][:30]}" for e, r in RULES]
)
def test_rules_are_fixed_beforehand_in_full(entry, rule):
    assert words(rule["hypothesis"]) != words(entry["statement"])
    if rule["kind"] == "deterministic":
        # Identities are recorded on phantoms, which never count as evidence about medical images.
        assert entry["about"] == "method"
        assert rule["tolerance"]["value"] > 0
    elif rule["kind"] == "heterogeneity":
        assert rule["min_seeds"] >= 5
    else:
        assert rule["min_seeds"] >= 5
        assert rule["margin"] > 0
        assert rule["direction"] in ("higher", "lower")


def test_no_two_rules_of_an_entry_ask_the_same():
    for entry in ENTRIES:
        asked = [
            {k: v for k, v in rule.items() if k not in ("hypothesis", "reading")} for rule in entry["rules"]
        ]
        assert all(rule not in asked[:i] for i, rule in enumerate(asked)), entry["id"]
