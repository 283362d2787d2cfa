"""Rows of one data set that stand in another's training rows."""

from holdfast.tasks.overlap import overlapping
from holdfast.tasks.task import Split


def split(*texts: str, pairs: list[str] | None = None) -> Split:
    return Split(list(texts), pairs, None, [str(i) for i in range(len(texts))])


def test_spelling_of_the_same_sentence_does_not_matter() -> None:
    train = split("A film , that 's `` fun '' .", "Dull.")
    scored = split("a film, that's \u201cfun\u201d", "DULL", "a film, that is fun", "a film, that's \u201cfun\u201d")
    assert overlapping(train, scored) == 3
    assert overlapping(scored, train) == 2


def test_letters_and_marks_of_every_script_count() -> None:
    train = split("कि", "naïve", ":-)", "+1")
    assert overlapping(train, split("का", "naive", ":-(", "1")) == 1, "only +1, which is 1 without punctuation"
    assert overlapping(train, split("कि", "Naïve!", ":-)")) == 3


def test_pairs_are_the_same_when_both_texts_are() -> None:
    train = split("a", "b", pairs=["x", "y"])
    assert overlapping(train, split("A", "a", "b", pairs=["X.", "y", "Y"])) == 2
    assert overlapping(train, split("a", "b")) == 0
