"""The verdicts in words: those that decide one by one, the others in a line a group of methods."""

import re
from collections.abc import Sequence

from holdfast.records.run import RunRecord
from holdfast.records.summary import Row, Summary, Verdict
from holdfast.report.block import Block, Details
from holdfast.study.analysis.undecided import advice
from holdfast.wording import clean, in_points, listed

_OPENINGS: dict[Verdict, str] = {
    "cannot be told apart": "cannot be told apart",
    "practically equal": "are practically equal",
    "too few runs": "cannot be judged",
}
"""How the sentence on a comparison goes on after both names, by verdict."""
_MISSING = re.compile(r" with seed \d+ is missing: ")
_STEADINESS = "cannot be called steadier or less steady than"


def blocks(summary: Summary, records: Sequence[RunRecord]) -> list[Block]:
    """Return one block; none where the study has nothing to say."""
    notes: list[str] = []
    more: list[str] = []
    rest = list(summary.sentences)
    for verdict in _OPENINGS:
        rows = [row for row in summary.results if row.verdict == verdict]
        own = [sentence for sentence in rest if any(_is_on(sentence, row, summary) for row in rows)]
        alike = [row for row in rows if any(_is_on(sentence, row, summary) for sentence in own)]
        if len(alike) > 1:
            notes.append(_group(verdict, alike, summary))
            more += own
            rest = [sentence for sentence in rest if sentence not in own]
    steady = [sentence for sentence in rest if f" {_STEADINESS} " in sentence]
    if len(steady) > 1:
        methods = [sentence.split(f" {_STEADINESS} ")[0] for sentence in steady]
        notes.append(
            f"None of {listed(methods)} can be called steadier or less steady than {summary.settings.baseline}."
        )
        more += steady
        rest = [sentence for sentence in rest if sentence not in steady]
    missing = [sentence for sentence in rest if _MISSING.search(sentence)]
    if len(missing) > 1:
        notes.append(f"{len(missing)} runs are missing, and count nowhere.")
        more += missing
        rest = [sentence for sentence in rest if sentence not in missing]
    details = (Details("Each of these in words", tuple(map(clean, more))),) if more else ()
    return [Block("Verdicts", notes=tuple(map(clean, [*notes, *rest])), details=details)] if notes or rest else []


def _is_on(sentence: str, row: Row, summary: Summary) -> bool:
    """Whether a sentence says of a comparison that it is not decided, or how wide it is over other rows."""
    baseline = summary.settings.baseline
    opening = f"{row.method} and {baseline} {_OPENINGS[row.verdict]}"
    wide = f"Over seeds and test examples, {row.method} − {baseline} on {row.task} = "
    return sentence.startswith((f"{opening} ", f"On {row.task}, {opening} ", wide))


def _group(verdict: Verdict, rows: Sequence[Row], summary: Summary) -> str:
    settings = summary.settings
    by_task: dict[str, list[str]] = {}
    for row in rows:
        by_task.setdefault(row.task, []).append(row.method)
    alike: dict[tuple[str, ...], list[str]] = {}
    for task, methods in by_task.items():
        alike.setdefault(tuple(methods), []).append(task)
    several = len(summary.tasks) > 1
    who = "; ".join(listed(methods) + (f" on {listed(tasks)}" if several else "") for methods, tasks in alike.items())
    if verdict == "practically equal":
        return f"Practically equal to {settings.baseline}, within ±{in_points(settings.delta)}: {who}."
    if verdict == "too few runs":
        return f"Too few runs to be judged against {settings.baseline}: {who}. Run at least 3 seeds, better 5 or more."
    undecided = f"Not to be told apart from {settings.baseline} with {len(settings.seeds)} seeds: {who}."
    return f"{undecided} {advice(summary, rows)}".rstrip()
