from __future__ import annotations

from collections import Counter

import pytest

from holdfast.errors import HoldfastError
from holdfast.tasks.sampling.holdout import hold_out
from holdfast.tasks.task import Split


def split(texts: list[str], labels: list[int] | list[float], pairs: list[str] | None = None) -> Split:
    return Split(texts, pairs, labels, [str(i) for i in range(len(texts))])


def test_rows_are_divided_by_class_and_none_is_lost() -> None:
    labels = [0] * 120 + [1] * 60 + [2] * 20
    data = split([f"text {i}" for i in range(200)], labels)
    train, held = hold_out(data, 0.2, "classification", "x")
    assert sorted(map(int, train.ids + held.ids)) == list(range(200))
    assert Counter(held.labels) == {0: 24, 1: 12, 2: 4}
    assert held.ids == sorted(held.ids, key=int)
    assert hold_out(data, 0.2, "classification", "x") == (train, held)


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_the_same_text_is_never_on_both_sides(kind: str) -> None:
    texts = [f"Text {i % 37}" + " " * (i % 3) for i in range(111)]
    texts = [text.upper() if i % 2 else text for i, text in enumerate(texts)]
    train, held = hold_out(split(texts, [i % 37 % 2 for i in range(111)]), 0.3, kind, "x")  # type: ignore[arg-type]
    sides = [{" ".join(text.lower().split()) for text in side.texts} for side in (train, held)]
    assert not sides[0] & sides[1]
    assert len(held) == pytest.approx(33, abs=6)


def test_pairs_are_the_same_when_both_texts_are() -> None:
    pairs = [f"h {i // 20}" for i in range(40)]
    texts = [f"p {i % 20}" for i in range(40)]
    train, held = hold_out(split(texts, [i % 2 for i in range(40)], pairs), 0.25, "classification", "x")
    assert len(held) == 10
    assert set(held.texts) & set(train.texts), "a shared premise alone keeps nothing together"


def test_rare_classes_stay_in_training() -> None:
    data = split([f"t {i}" for i in range(23)], [0] * 10 + [1] * 10 + [2] * 2 + [3])
    train, held = hold_out(data, 0.2, "classification", "x")
    assert Counter(train.labels) == {0: 8, 1: 8, 2: 1, 3: 1}
    assert Counter(held.labels) == {0: 2, 1: 2, 2: 1}


def test_a_large_group_of_duplicates_goes_nowhere() -> None:
    data = split(["same"] * 50 + [f"t {i}" for i in range(50)], [0] * 100)
    train, held = hold_out(data, 0.2, "regression", "x")
    assert "same" not in held.texts
    assert len(held) == 20
    assert train.texts.count("same") == 50


def test_nothing_left_to_hold_out() -> None:
    with pytest.raises(HoldfastError, match="no validation rows"):
        hold_out(split(["a", "A ", "b", " b"], [0, 0, 1, 1]), 0.2, "classification", "x")
