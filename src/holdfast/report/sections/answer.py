"""The answer, before any evidence."""

from collections.abc import Sequence

from holdfast.records.run import RunRecord
from holdfast.records.summary import Summary
from holdfast.report.block import Block
from holdfast.study.analysis.answer import Answer, answer


def blocks(summary: Summary, records: Sequence[RunRecord]) -> list[Block]:
    """Return one block of at most six lines."""
    return [answer_block(answer(summary))]


def answer_block(given: Answer) -> Block:
    """Return an answer as a block."""
    lines = (given.use, given.expect, given.references, *(f"Next: {step}" for step in given.next_steps))
    return Block("Answer", notes=tuple(line for line in lines if line), lead=True)
