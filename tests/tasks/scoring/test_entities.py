"""F1 over whole entities, against counts by hand."""

from __future__ import annotations

import pytest

from holdfast.tasks.scoring.entities import entity_f1


def spans(row: list[str]) -> set[tuple[str, int, int]]:
    """Entities of well-formed IOB2."""
    found = set()
    for i, tag in enumerate(row):
        if tag[0] == "B":
            end = i + 1
            while end < len(row) and row[end] == f"I-{tag[2:]}":
                end += 1
            found.add((tag[2:], i, end))
    return found


def by_hand(truth: list[list[str]], predicted: list[list[str]]) -> float:
    pairs = [(spans(a), spans(b)) for a, b in zip(truth, predicted, strict=True)]
    right = sum(len(a & b) for a, b in pairs)
    return 2 * right / sum(len(a) + len(b) for a, b in pairs)


TRUTH = [["B-PER", "I-PER", "O", "B-LOC"], ["O", "B-ORG", "I-ORG", "I-ORG"], ["O", "O"]]


@pytest.mark.parametrize(
    "predicted",
    [
        TRUTH,
        [["B-PER", "O", "O", "B-LOC"], ["O", "B-ORG", "I-ORG", "I-ORG"], ["O", "O"]],
        [["B-PER", "I-PER", "O", "B-PER"], ["O", "B-ORG", "B-ORG", "I-ORG"], ["B-LOC", "O"]],
        [["O"] * 4, ["O"] * 4, ["O"] * 2],
    ],
)
def test_an_entity_counts_whole(predicted: list[list[str]]) -> None:
    assert entity_f1(TRUTH, predicted) == pytest.approx(by_hand(TRUTH, predicted))


@pytest.mark.parametrize(
    "truth",
    [
        ["I-PER", "I-PER", "O", "I-LOC"],  # IOB1
        ["B-PER", "E-PER", "O", "S-LOC"],  # BIOES
        ["B-PER", "L-PER", "O", "U-LOC"],  # BILOU
    ],
)
def test_schemes_are_told_by_their_letters(truth: list[str]) -> None:
    assert entity_f1([truth], [["B-PER", "I-PER", "O", "B-LOC"]]) == 1.0
    assert entity_f1([truth], [["B-PER", "I-PER", "O", "O"]]) == pytest.approx(2 / 3)


def test_one_after_another_of_a_type_are_two() -> None:
    assert entity_f1([["U-PER", "U-PER"]], [["B-PER", "I-PER"]]) == 0.0
    assert entity_f1([["U-PER", "U-PER"]], [["B-PER", "B-PER"]]) == 1.0


def test_odd_tags_and_nothing_predicted_break_nothing() -> None:
    assert entity_f1([["B-PER", "X"]], [["O", "?"]]) == 0.0
    assert entity_f1([["O", "O"]], [["O", "O"]]) is None
