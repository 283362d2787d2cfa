"""A task in lines that a person reads before anything is trained: what it is made of, and two of its rows."""

from __future__ import annotations

from collections import Counter

from holdfast.tasks.table import listed
from holdfast.tasks.task import Split, Task

_CLASSES = 12
"""Classes whose rows are counted one by one; of more, the largest."""

_LONGEST = 300
"""Characters of a text that are shown; how many more it has is told."""


def show_task(task: Task) -> list[str]:
    """Return lines on where the rows of ``task`` come from, its columns, its labels, and two rows."""
    lines = [f"{task.name}: {task.kind}, scored by {', '.join(task.metrics)}"]
    for origin in task.origins:
        made = f"{origin.rows} rows" if origin.lines is None else f"{origin.rows} rows of {origin.lines} lines"
        lines.append(f"  file     {origin.place}: {made}")
    if task.used:
        lines.append("  used     " + ", ".join(f"{what}: {column!r}" for what, column in task.used))
    if task.unused:
        lines.append(f"  unused   {listed(task.unused)}")
    lines += [f"  {_padded(name)} {len(split)} rows{_labels(task, split)}" for name, split in task.splits.items()]
    train = task.splits.get("train") or task.splits[task.scored_split]
    for number, row in enumerate(two_rows(train), start=1):
        lines += [
            f"  {f'row {number}' if i == 0 else '':8} {what}: {_shown(text)}"
            for i, (what, text) in enumerate(_parts(task, train, row))
        ]
    return lines


def _padded(name: str) -> str:
    return f"{'valid.' if name == 'validation' else name:8}"


def _labels(task: Task, split: Split) -> str:
    if split.labels is None:
        return ", without labels"
    if task.kind == "regression":
        return f", {min(split.numbers):g} to {max(split.numbers):g}"
    if task.kind == "generation":
        words = sorted(len(text.split()) for text in split.targets)
        return f", {words[0]} to {words[-1]} words to write"
    classes = [tag for row in split.tags for tag in row] if split.words is not None else split.classes
    counts = Counter(task.label_names[label] for label in classes).most_common()
    more = f", and {len(counts) - _CLASSES} classes of fewer" if len(counts) > _CLASSES else ""
    return ": " + ", ".join(f"{name!r} {count}" for name, count in counts[:_CLASSES]) + more


def two_rows(split: Split) -> list[int]:
    """Return the positions of the first row, and of the first after it with another label."""
    labels = split.labels or [None] * len(split)
    other = next((row for row in range(1, len(split)) if labels[row] != labels[0]), 1)
    return [0, other] if len(split) > 1 else [0]


def _parts(task: Task, split: Split, row: int) -> list[tuple[str, str]]:
    """Return what a row is made of, as it will be learned."""
    if split.words is not None:
        tags = [""] * len(split.words[row])
        if split.labels is not None:
            tags = [f"/{task.label_names[tag]}" for tag in split.tags[row]]
        return [("words", " ".join(f"{word}{tag}" for word, tag in zip(split.words[row], tags, strict=True)))]
    parts = [("text", split.texts[row])]
    if split.pairs is not None:
        parts.append(("second text", split.pairs[row]))
    if split.choices is not None:
        parts += [(f"choice {name!r}", text) for name, text in zip(task.label_names, split.choices[row], strict=True)]
    if split.labels is None:
        return parts
    if task.kind == "generation":
        return [*parts, ("text to write", split.targets[row])]
    label = f"{split.numbers[row]:g}" if task.kind == "regression" else task.label_names[split.classes[row]]
    return [*parts, ("number" if task.kind == "regression" else "class", label)]


def _shown(text: str) -> str:
    more = f" and {len(text) - _LONGEST} characters more" if len(text) > _LONGEST else ""
    return f"{text[:_LONGEST]!r}{more}"
