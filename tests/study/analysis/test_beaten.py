"""Whether tuning beats its references, from summaries made by hand."""

import pytest

from holdfast.records.summary import ReferenceRow
from holdfast.study.analysis.answer import answer
from holdfast.study.analysis.beaten import beaten_references
from report.studies import CONSTANT, R3F, VANILLA, row, summary, task


def reference(name, score, where="rte"):
    return ReferenceRow(
        task=where, reference=name, score=score, metrics={}, strength=1.0, folds=5, seconds=2.0, note=""
    )


def study(*references, tasks=("rte",)):
    # By hand: means 68 and 70.4.
    rows = [
        made
        for name in tasks
        for made in (
            row(name, "vanilla", VANILLA),
            row(name, "r3f", R3F, VANILLA, verdict="better"),
        )
    ]
    return summary(rows, [task(name) for name in tasks], references=list(references))


@pytest.mark.parametrize(
    ("scores", "told"),
    [
        (
            (65.0, 69.0),
            "The best reference, frozen embeddings, scores 69.0: r3f, with the highest mean, beats it by 1.4",
        ),
        ((72.5, 69.0), "The best reference, TF-IDF, scores 72.5: no method beats it, the highest mean is 70.4 (r3f)."),
        ((70.4, None), "The best reference, TF-IDF, scores 70.4: no method beats it"),
        ((30.0, None), f"The best reference, the best constant prediction, scores {CONSTANT:.1f}: r3f, with"),
    ],
)
def test_the_highest_mean_is_held_against_the_best_reference(scores, told):
    found = study(*(reference(name, score) for name, score in zip(("tfidf", "embeddings"), scores, strict=True)))
    assert beaten_references(found).startswith(told)
    assert answer(found).references == beaten_references(found)


def test_without_a_reference_that_could_be_fitted_nothing_is_told():
    assert beaten_references(study()) == ""
    assert beaten_references(study(reference("tfidf", None))) == ""


def test_several_tasks_are_told_in_one_line():
    tasks = ("rte", "cola", "mrpc")
    found = study(
        *(reference("tfidf", score, name) for name, score in zip(tasks, (60.0, 69.4, 75.0), strict=True)), tasks=tasks
    )
    assert beaten_references(found) == (
        "The best reference is beaten on rte (by 10.4 points) and cola (by 1.0 points), and is not beaten on "
        "mrpc (TF-IDF 75.0, r3f 70.4)."
    )
