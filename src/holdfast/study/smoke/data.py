"""Files of generated rows in the shape of a named task."""

import json
import random
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from holdfast.tasks.catalogue import FURTHER_SPLITS, NAMED, Entry

WORDS = re.findall(
    r"\w+",
    """
    a the this that one two man woman child dog bird house river road city market letter story film song game
    reads writes sees finds keeps loses opens closes likes wants old new small large red green quiet loud
    today again never often here there and or not with
    """,
)
"""What generated text is made of, all of which the tiny models' tokenizer knows."""

_ROWS = {"train": 16, "validation": 12, "test": 12}
_UNLABELLED_TESTS = ("nyu-mll/glue:", "aps/super_glue:")
"""Collections whose test labels are secret, so that validation rows are scored."""


def write_tasks(sources: Iterable[str], folder: Path) -> None:
    """Write ``<task>/<split>.jsonl`` into ``folder`` for the tasks named, or the homes of the splits named.

    The same names give the same files.
    """
    for source in sources:
        home, further = FURTHER_SPLITS.get(source, (source, None))
        entry = NAMED[home]
        hidden = (entry.hub or "").startswith(_UNLABELLED_TESTS)
        splits = [split for split in _ROWS if split != "test" or not hidden] + [further] * (further is not None)
        (folder / home).mkdir(parents=True, exist_ok=True)
        for split in splits:
            assert split is not None
            draw = random.Random(f"{home} {split}")
            lines = [json.dumps(_row(entry, number, draw)) for number in range(_ROWS.get(split, _ROWS["validation"]))]
            (folder / home / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _row(entry: Entry, number: int, draw: random.Random) -> dict[str, Any]:
    row: dict[str, Any] = {column: _text(draw) for column in (*entry.columns, *entry.choices)}
    if entry.name == "wsc":
        words = row["text"].split()
        row |= {"span1_index": 0, "span1_text": words[0], "span2_index": 3, "span2_text": words[3]}
    elif entry.name == "copa":
        row["question"] = draw.choice(("cause", "effect"))
    return {**row, entry.label: _label(entry, number, draw)}


def _label(entry: Entry, number: int, draw: random.Random) -> Any:
    if entry.kind == "regression":
        return draw.uniform(0, 5)
    if entry.kind == "generation":
        return _text(draw, 5)
    return number % len(entry.labels)


def _text(draw: random.Random, words: int = 8) -> str:
    return " ".join(draw.choice(WORDS) for _ in range(words))
