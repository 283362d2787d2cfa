"""ROUGE against counts by hand."""

import re
from collections import Counter

import pytest

from holdfast.tasks.scoring.rouge import rouge

METRICS = ("rougeL", "rouge1", "rouge2")


def words(text):
    return re.findall("[a-z0-9]+", text.lower())


def f1(shared, written, right):
    return 2 * shared / (written + right) if shared else 0.0


def by_hand(written, right):
    """No stemmer: for words that Porter's leaves alone."""
    a, b = words(written), words(right)
    found = {}
    for n in (1, 2):
        x, y = (Counter(zip(*(one[i:] for i in range(n)), strict=False)) for one in (a, b))
        found[f"rouge{n}"] = f1((x & y).total(), x.total(), y.total())
    longest = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, one in enumerate(a):
        for j, other in enumerate(b):
            longest[i + 1][j + 1] = longest[i][j] + 1 if one == other else max(longest[i][j + 1], longest[i + 1][j])
    found["rougeL"] = f1(longest[-1][-1], len(a), len(b))
    return found


PAIRS = [
    ("the cat sat on the mat", "a cat sat on a mat"),
    ("mat the on sat cat", "the cat sat on the mat"),
    ("Cat, cat! CAT", "the cat"),
    ("dog", "the cat sat"),
    ("", "the cat sat"),
    ("the cat", "the cat"),
]


def test_scores_are_the_mean_over_texts_of_f1_by_hand():
    found = rouge([one for one, _ in PAIRS], [[other] for _, other in PAIRS], METRICS)
    expected = [by_hand(*pair) for pair in PAIRS]
    for name in METRICS:
        assert found[name] == pytest.approx(sum(one[name] for one in expected) / len(PAIRS)), name
    assert list(found) == list(METRICS)


def test_the_best_reference_counts_for_each_metric_by_itself():
    written, accepted = "the cat sat on the mat", ["mat the on sat cat the", "the cat sat"]
    apart = [by_hand(written, right) for right in accepted]
    assert apart[0]["rouge1"] > apart[1]["rouge1"]
    assert apart[0]["rouge2"] < apart[1]["rouge2"]
    found = rouge([written], [accepted], METRICS)
    assert found == pytest.approx({name: max(one[name] for one in apart) for name in METRICS})


def test_endings_do_not_count():
    assert rouge(["shares rising"], [["share rises"]], ["rouge1"])["rouge1"] == 1


def test_without_texts_there_is_no_score():
    assert rouge([], [], METRICS) == dict.fromkeys(METRICS)
    assert rouge([""], [["a cat"]], METRICS) == dict.fromkeys(METRICS, 0.0)


def test_line_by_line_their_order_does_not_count():
    metrics = ("rougeL", "rougeLsum")
    assert rouge(["two cats\nsat down"], [["sat down\ntwo cats"]], metrics) == {"rougeL": 0.5, "rougeLsum": 1.0}
    # One line of the two: two of four words.
    assert rouge(["two cats"], [["sat down\ntwo cats"]], metrics)["rougeLsum"] == pytest.approx(2 / 3)
