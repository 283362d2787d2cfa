"""Which class counts as which, against tables written by hand."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest

from holdfast.errors import HoldfastError
from holdfast.tasks.catalogue import NAMED
from holdfast.tasks.scoring.mapping import LabelMap, aligned, map_labels, metrics_of
from holdfast.tasks.scoring.metrics import compute
from holdfast.tasks.task import Split, Task

NLI = ("entailment", "neutral", "contradiction")
RTE = ("entailment", "not_entailment")


def task(name: str, *classes: str, pairs: bool = True, metrics: tuple[str, ...] = ("accuracy",)) -> Task:
    kind: Any = "classification" if classes else "regression"
    split = Split(["a"], ["b"] if pairs else None, [0], ["0"])
    return Task(name, kind, {"test": split}, classes, metrics, "")


def mapping(tuned: tuple[str, ...], target: tuple[str, ...], *declared: tuple[str, str]) -> dict[str, str]:
    """What each class is scored as: ``tuned:x`` and ``target:x`` to a name."""
    found = map_labels(task("mine", *tuned), task("other", *target), declared)
    assert found is not None
    ours = {f"tuned:{name}": found.names[i] for name, i in zip(tuned, found.tuned, strict=True)}
    return ours | {f"target:{name}": found.names[i] for name, i in zip(target, found.target, strict=True)}


@pytest.mark.parametrize("order", list(permutations(NLI)))
def test_the_same_names_in_any_order(order: tuple[str, ...]) -> None:
    found = map_labels(task("snli", *NLI), task("cb", *order))
    assert found is not None
    assert (found.names, found.target, found.note) == (order, (0, 1, 2), "")
    assert [order[i] for i in found.tuned] == list(NLI)


@pytest.mark.parametrize("two", [RTE, RTE[::-1], ("entails", "neutral"), ("non-entailment", "Entailment")])
def test_three_way_and_two_way_entailment_in_both_directions(two: tuple[str, ...]) -> None:
    yes = next(name for name in two if name.lower().startswith("entail"))
    no = next(name for name in two if name != yes)
    rest = {"neutral": no, "contradiction": no, "entailment": yes}
    ours, theirs = mapping(NLI, two), mapping(two, NLI)
    assert ours == {f"tuned:{name}": rest[name] for name in NLI} | {f"target:{name}": name for name in two}
    # A class that is not merged keeps the target's name.
    rest["entailment"] = "entailment"
    assert theirs == {f"target:{name}": rest[name] for name in NLI} | {f"tuned:{yes}": "entailment", f"tuned:{no}": no}


def test_what_is_told() -> None:
    cases = [
        (NLI, RTE, "neutral, contradiction -> not_entailment"),
        (RTE, NLI, "neutral, contradiction -> not_entailment"),
        (NLI, ("entails", "neutral"), "entailment -> entails; contradiction -> neutral"),
        (
            NAMED["qqp"].labels,
            NAMED["mrpc"].labels,
            "not_duplicate -> not_equivalent; duplicate -> equivalent",
        ),
        (("Positive", "negative"), ("negative", "positive"), ""),
        (("low", "high", "urgent"), ("high", "low"), "predicting urgent is wrong, as no row has it"),
        (
            ("0", "1"),
            ("0", "1"),
            "classes '0', '1' are taken for those of mine by number alone: check that they mean the same",
        ),
        (
            ("LABEL_0", "LABEL_1"),
            ("LABEL_1", "LABEL_0"),
            "classes 'LABEL_1', 'LABEL_0' are taken for those of mine by number alone: check that they mean the same",
        ),
    ]
    for tuned, target, note in cases:
        found = map_labels(task("mine", *tuned), task("other", *target))
        assert found is not None
        assert found.note == note


def test_published_practice_for_scitail_and_rte() -> None:
    """The predicted class decides first; contradiction, 2, then counts as class 1 (DPS)."""
    found = map_labels(task("snli", *NLI), task("scitail", *RTE))
    assert found is not None
    logits = np.random.default_rng(0).normal(size=(500, 3))
    by_hand = [1 if row.argmax() in (1, 2) else 0 for row in logits]
    assert found.outputs(logits).argmax(axis=1).tolist() == by_hand
    assert found.outputs(logits).shape == (500, 2)
    # Adding up probabilities instead would call this row not_entailment, against the model's prediction.
    assert found.outputs(np.array([[1.0, 0.9, 0.9]])).argmax() == 0


@pytest.mark.parametrize(
    ("tuned", "target"), [(NLI, RTE), (RTE, NLI), (NLI, ("contradiction", "entailment", "neutral")), (RTE[::-1], NLI)]
)
def test_scores_agree_with_names_compared_row_by_row(tuned: tuple[str, ...], target: tuple[str, ...]) -> None:
    found = map_labels(task("mine", *tuned), task("other", *target))
    assert found is not None
    rng = np.random.default_rng(1)
    logits, labels = rng.normal(size=(200, len(tuned))), rng.integers(len(target), size=200).tolist()
    coarse = len(set(tuned) | set(target)) > 3
    said = [tuned[i] for i in logits.argmax(axis=1)]
    true = [target[i] for i in labels]
    same = [(a == "entailment") == (b == "entailment") if coarse else a == b for a, b in zip(said, true, strict=True)]
    score = compute(["accuracy"], found.outputs(logits), np.array(found.labels(labels)))["accuracy"]
    assert score == pytest.approx(sum(same) / 200)


def test_outputs_that_are_not_finite_stay_so() -> None:
    found = LabelMap(("a", "b"), (0, 1, 1), (0, 1), "")
    assert np.isnan(found.outputs(np.array([[1.0, np.nan, 2.0]]))[0, 1])


@pytest.mark.parametrize(
    ("tuned", "target", "declared", "expected"),
    [
        # Names of the other task's own.
        (RTE, ("no", "yes"), [("yes", "entailment"), ("no", "not_entailment")], {"yes": "yes", "no": "no"}),
        # The other way round, and the class that keeps its name needs no pair.
        (NLI, RTE, [("neutral", "not_entailment"), ("contradiction", "not_entailment")], {"entailment": "entailment"}),
        (RTE, NLI, [("neutral", "not_entailment"), ("contradiction", "not_entailment")], {"neutral": "not_entailment"}),
        # Numbers that mean the opposite.
        (("0", "1"), ("0", "1"), [("0", "1"), ("1", "0")], {"0": "0"}),
        # A class merged in both.
        (NLI, NLI, [("neutral", "contradiction")], {"neutral": "neutral or contradiction", "entailment": "entailment"}),
        # Written a little differently.
        (RTE, ("Yes", "No"), [("yes", "Entailment"), ("no", "not entailment")], {"Yes": "Yes"}),
        (("0", "1", "2"), ("0", "1"), [("0", "0"), ("1", "2")], {"0": "0", "1": "1"}),
    ],
)
def test_declared_pairs(tuned: Any, target: Any, declared: Any, expected: dict[str, str]) -> None:
    found = mapping(tuned, target, *declared)
    for name, scored in expected.items():
        assert found[f"target:{name}"] == scored
    for first, second in declared:
        # The pair's two classes count as the same, whichever task they are of.
        where = [pair for pair in ((first, second), (second, first)) if pair[0] in target and pair[1] in tuned]
        assert any(found[f"target:{a}"] == found[f"tuned:{b}"] for a, b in where) or not where


def test_swapped_numbers_by_hand() -> None:
    found = map_labels(task("mine", "0", "1"), task("other", "0", "1"), [("0", "1"), ("1", "0")])
    assert found is not None
    assert "check" not in found.note, "the user has said what they mean"
    assert found.outputs(np.array([[5.0, 1.0]])).argmax() == found.labels([1])[0]


@pytest.mark.parametrize(
    ("tuned", "target", "declared", "parts"),
    [
        (RTE, NAMED["trec"].labels, [], ["'abbreviation'", "'not_entailment'", "(abbreviation=entailment,"]),
        # A model that could never predict a class of the other task.
        (("bug", "wish"), ("bug", "wish", "praise"), [], ["nothing stands for 'praise'", "(praise=bug)"]),
        (("0", "1", "2", "3", "4"), ("0", "1"), [], ["'4'", "(0=0,1=1)"]),
        (RTE, ("no, never", "yes"), [], ["('no, never'=entailment,yes=not_entailment)"]),
        (RTE, ("yes", "no"), [("yes", "entailmnt")], ["'entailmnt' is no class", "did you mean 'entailment'?"]),
        (RTE, ("yes", "no"), [("yes", "no")], ["yes=no", "both are classes of other", "'not_entailment'"]),
        (RTE, ("yes", "no"), [("yes", "entailment")], ["nothing stands for 'no'"]),
        (RTE, NLI, [(name, "entailment") for name in NLI], ["all count as one class"]),
    ],
)
def test_classes_that_cannot_be_mapped(tuned: Any, target: Any, declared: Any, parts: list[str]) -> None:
    with pytest.raises(HoldfastError) as error:
        map_labels(task("mine", *tuned), task("other", *target), declared)
    message = str(error.value)
    assert "\n" not in message
    for part in ["--ood other", *parts]:
        assert part in message


def test_tasks_that_are_not_of_a_kind() -> None:
    with pytest.raises(HoldfastError, match="asks for a number and snli for classes"):
        map_labels(task("snli", *NLI), task("stsb"))
    with pytest.raises(HoldfastError, match="asks for classes and stsb for a number"):
        map_labels(task("stsb"), task("snli", *NLI))
    with pytest.raises(HoldfastError, match="rows are single texts and those of qqp are pairs"):
        map_labels(task("qqp", "no", "yes"), task("spam", "no", "yes", pairs=False))
    with pytest.raises(HoldfastError, match="asks for a number, and only classes of rows"):
        map_labels(task("stsb"), task("scores"), [("a", "b")])


def test_numbers_on_numbers_need_no_map() -> None:
    target = task("stsb", metrics=("pearson", "spearman"))
    assert map_labels(task("sick_scores"), target) is None
    assert metrics_of(None, target) == ("pearson", "spearman")


def test_metrics_that_still_mean_the_same() -> None:
    snli = task("snli", *NLI)
    mrpc = task("mrpc", *NAMED["mrpc"].labels, metrics=("accuracy", "f1"))
    qqp = task("qqp", *NAMED["qqp"].labels, metrics=("accuracy", "f1"))
    found = map_labels(qqp, mrpc)
    assert found is not None
    assert metrics_of(found, mrpc) == ("accuracy", "f1")
    assert found.names[1] == "equivalent", "f1 counts class 1, as on the task itself"
    for metrics, left in ((("accuracy", "macro_f1"), ("accuracy", "macro_f1")), (("f1",), ("accuracy",))):
        target = task("other", *NLI, metrics=metrics)
        assert metrics_of(map_labels(task("rte", *RTE), target), target) == left
        assert metrics_of(map_labels(snli, target), target) == metrics


def words(name: str, names: tuple[str, ...], *rows: tuple[str, ...]) -> Task:
    labels = [[names.index(tag) for tag in row] for row in rows]
    texts = [[f"w{i}" for i in range(len(row))] for row in rows]
    split = Split([" ".join(row) for row in texts], None, labels, [str(i) for i in range(len(rows))], words=texts)
    return Task(name, "tokens", {"validation": split}, names, ("accuracy",), "f")


def test_classes_of_words_are_the_same_by_their_names() -> None:
    tuned = words("mine", ("O", "B-PER", "B-LOC"), ("O", "B-PER"), ("B-LOC",))
    rows = ("B-PER", "O", "O"), ("O", "B-PER")
    other = words("theirs", ("B-PER", "O"), *rows)
    assert map_labels(tuned, other) is None
    split = aligned(tuned, other).splits["validation"]
    assert [tuple(tuned.label_names[tag] for tag in row) for row in split.tags] == list(rows)
    assert aligned(tuned, other).label_names == tuned.label_names
    with pytest.raises(HoldfastError, match="cannot be scored there"):
        map_labels(other, tuned)
