"""The text of ``--ood``, read."""

from __future__ import annotations

import pytest

from holdfast.errors import HoldfastError
from holdfast.study.define.ood import parse_ood


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("scitail", [("scitail", [])]),
        (" scitail , sick ", [("scitail", []), ("sick", [])]),
        (
            "mine.csv(yes=entailment,no=not_entailment),sick",
            [("mine.csv", [("yes", "entailment"), ("no", "not_entailment")]), ("sick", [])],
        ),
        (
            "a.csv ( yes = entailment , no = not entailment )",
            [("a.csv", [("yes", "entailment"), ("no", "not entailment")])],
        ),
        ("t.csv('no, never'=no,yes=\"a=b (c)\")", [("t.csv", [("no, never", "no"), ("yes", "a=b (c)")])]),
        ("'a, b.csv'(0=1,1=0),c", [("a, b.csv", [("0", "1"), ("1", "0")]), ("c", [])]),
        ("rows (1).csv,rows (2).csv(x=y)", [("rows (1).csv", []), ("rows (2).csv", [("x", "y")])]),
        ("bob's.csv,ann's.csv(don't=no)", [("bob's.csv", []), ("ann's.csv", [("don't", "no")])]),
        ("org/name:config,./données/é.csv", [("org/name:config", []), ("./données/é.csv", [])]),
        (r"C:\data\mine.csv(Sci/Tech=science)", [(r"C:\data\mine.csv", [("Sci/Tech", "science")])]),
    ],
)
def test_tasks_and_pairs(text: str, expected: list[tuple[str, list[tuple[str, str]]]]) -> None:
    assert [(one.task.source, list(one.labels)) for one in parse_ood(text)] == expected


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "a name is missing"),
        ("scitail,,sick", "a name is missing beside a comma"),
        ("scitail,", "a name is missing beside a comma"),
        ("(yes=no)", "a task's name is missing before '(yes=no)'"),
        ("a.csv(yes=entailment", "has no partner"),
        ("a.csv yes=entailment)", "has no partner"),
        ("'a.csv,sick", "has no partner"),
        ("a.csv()", "a name is missing"),
        ("a.csv(yes)", "'yes' is not of the form class=class"),
        ("a.csv(yes=)", "'yes=' is not of the form"),
        ("a.csv(yes=b=c)", "'yes=b=c' is not of the form"),
        ("a.csv(x=y,x=y)", "x=y is given twice"),
        ("sick,sick(neutral=contradiction)", "sick is given twice"),
    ],
)
def test_mistakes_are_told_in_one_line(text: str, part: str) -> None:
    with pytest.raises(HoldfastError) as error:
        parse_ood(text)
    message = str(error.value)
    assert message.startswith("--ood ")
    assert part in message
    assert "\n" not in message
