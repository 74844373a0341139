"""What a reader sees: figures, tables and sentences made from records; images; exercises; pages.

How a lesson uses it::

    from medtl_core import reporting as show

    show.use_style()
    LABELS = {"full": "fine-tuning", "scratch": "training from scratch", "n": "training images"}
    KEPT = {"notebook": NOTEBOOK, "study": "learning_curve", "labels": LABELS}
    records = Study("learning_curve", ...).run()

    show.arm_table(records, "auroc", by="n", labels=LABELS)
    show.paired_table(records, [("full", "scratch")], "auroc", by="n", labels=LABELS)

    # One panel for this run; or the same call for this run beside the reference run.
    show.plot_arms(records, "auroc", by="n", labels=LABELS)
    show.side_by_side(show.plot_arms, records, "auroc", by="n", **KEPT)
    show.side_by_side(show.plot_curves, records, "auroc", "n", x_scale="log2", **KEPT)
    pairs = [("full", "scratch")]
    show.side_by_side(show.plot_differences, records, pairs, "auroc", by="n", claim="C006", **KEPT)
    show.in_both_runs(show.difference_sentence, records, "full", "scratch", "auroc", by="n", **KEPT)

    # Nothing trained here: None in place of the records shows the reference alone.
    show.side_by_side(show.plot_arms, None, "auroc", by="n", **KEPT)

    # Several metrics in one figure: each function draws on the axes that it is given.
    show.panels([lambda axes, m=m: show.plot_arms(records, m, by="n", axes=axes) for m in ("auroc", "ece")])

    # Many arms in many places: a cell for each, coloured where it differs from the control.
    show.plot_grid(records, "auroc", column="shift", control="source_only", labels=LABELS)

    show.strip(images, titles, masks=masks)

    check_1 = show.Check(
        1,
        wants="a function of (d, k) that returns the number of parameters of the head",
        cases=[((4, 2), 10), ((1280, 3), 3843)],
        misconceptions=[show.Misconception(lambda d, k: d * k, "each class has a bias, too")],
    )
    check_1(answer_1)  # prints: exercise 1: correct

A figure, a table or a sentence shows itself as the last line of a cell, or by `display`. Records of several
data sets are never averaged: they become groups (curves: panels). A factor with several levels has to be
chosen, named in `by=`, or averaged on purpose in `average_over=`. Names are loaded when they are used.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "arms": ["plot_arms"],
        "convergence": ["convergence_table"],
        "curves": ["plot_curves"],
        "differences": ["plot_differences"],
        "drawing": ["Drawing", "panels"],
        "exercise": ["Check", "Misconception"],
        "images": ["strip"],
        "paired": ["arm_table", "paired_table"],
        "grid": ["plot_grid"],
        "reference": ["heading", "reference_records", "side_by_side"],
        "markdown_text": ["Prose"],
        "sentences": ["arm_sentence", "difference_sentence", "in_both_runs"],
        "style": ["colour_of", "colours_of", "use_style"],
        "text_table": ["TextTable"],
        "statements": ["statement_sentences"],
        "verdict_tables": ["notebook_verdicts", "statements_table"],
    },
)
