"""The control that tells a method from the dropout that it sets."""

import dataclasses

from holdfast.methods import catalogue
from holdfast.study.analysis.compare import compare_runs
from holdfast.study.plan.controls import control_notes, dropout_notes, rate_notes
from study.run_records import run_records

DPS, MIX, CONTROL = "dps", "dps(variant=mix)", "vanilla(dropout=0.0)"


def test_a_missing_control_is_asked_for_once_for_all_that_need_it():
    (note,) = dropout_notes(["vanilla", DPS, "r3f", MIX], "vanilla")
    assert note.startswith("dps and dps(variant=mix) train without dropout and the baseline vanilla with the model's")
    assert note.endswith("add vanilla(dropout=0.0) to the methods to tell their effect from that of dropout.")


def test_a_control_that_is_there_is_pointed_at():
    (note,) = dropout_notes(["vanilla", CONTROL, DPS], "vanilla")
    assert "vanilla(dropout=0.0) shows what dropout alone does" in note
    assert "add " not in note


def test_each_rate_has_a_control_of_its_own():
    notes = dropout_notes(["vanilla", CONTROL, "mixout", "mixout(dropout=0.2)"], "vanilla")
    assert ["add vanilla(dropout=0.2)" in note for note in notes] == [False, True]
    assert "mixout(dropout=0.2) trains with dropout 0.2" in notes[1]


def test_nothing_is_said_where_dropout_does_not_differ():
    assert dropout_notes(["vanilla", CONTROL, "r3f", "dps(dropout=None)"], "vanilla") == []
    assert dropout_notes([CONTROL, DPS, MIX], CONTROL) == []
    assert dropout_notes(["dps", "dps(dropout=None)", "dps(dropout=0.1)"], "dps") == []


def test_the_control_is_that_of_the_baseline_at_hand():
    (note,) = dropout_notes(["r3f(weight=2.0)", "dps+r3f"], "r3f(weight=2.0)")
    assert "add vanilla(dropout=0.0)+r3f(weight=2.0) to" in note
    (note,) = dropout_notes(["dps", "vanilla"], "dps")
    assert note.startswith("vanilla trains with the model's own dropout and the baseline dps without")
    assert "add vanilla(dropout=0.0) to" in note


def test_methods_that_are_not_installed_are_passed_over():
    assert dropout_notes(["vanilla", "no_such_method"], "vanilla") == []


def test_the_summary_says_it_and_counts_no_further_comparison():
    groups = {"vanilla": [0.70, 0.71, 0.72], DPS: [0.73, 0.72, 0.74], CONTROL: [0.72, 0.73, 0.73]}
    records = [record for method, scores in groups.items() for record in run_records(scores, method=method)]
    sentences = compare_runs(records, "vanilla").sentences
    assert sum("shows what dropout alone does" in sentence for sentence in sentences) == 1
    assert "Holm over 2 comparisons" in sentences[-1]
    without = compare_runs([r for r in records if r.spec.method != CONTROL], "vanilla").sentences
    assert sum("add vanilla(dropout=0.0) to the methods" in sentence for sentence in without) == 1


def test_every_method_with_a_dropout_argument_says_whose_dropout_it_is():
    """Its own layers', as in LoRA, or that of the whole model, which a comparison must tell."""
    for name, method in catalogue().items():
        if "dropout" in {field.name for field in dataclasses.fields(method)} and name != "lora":
            assert method(dropout=0.25).requires.dropout == 0.25, name


def test_methods_that_scale_the_learning_rate_are_named():
    methods = ["vanilla", "lora", "bitfit", "sift", "lora(lr_factor=1.0)+r3f", "gone(x=1)"]
    assert rate_notes(methods, "vanilla") == [
        "lora and bitfit train at 10 times the study's learning rate: where it matters, give each method the best of "
        "several rates.",
        "sift trains at 3.5 times the study's learning rate: where it matters, give each method the best of several "
        "rates.",
    ]
    assert rate_notes(["lora", "bitfit"], "lora") == []
    assert len(control_notes(["vanilla", "lora", "dps"], "vanilla")) == 2


def test_methods_that_choose_by_validation_are_named():
    (note,) = control_notes(["vanilla", "wise_ft", "wise_ft(alpha=0.5)"], "vanilla")
    assert note.startswith("wise_ft chooses by validation: ")
    assert "a tenth of its training rows is held out" in note
