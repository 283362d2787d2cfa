"""docs/support.md: read into a table, written from one, and held against what a test found."""

import os
import re
from pathlib import Path

from support.situations import DROPOUT, ORDER
from support.trying import METHODS, STEPS, YES

PAGE = Path(__file__).parents[2] / "docs" / "support.md"
METHOD = "METHOD"
"""Stands for the name of the row's method, where several share a sentence."""
WRITING = os.environ.get("HOLDFAST_WRITE_DOCS") == "1"
AGAIN = "HOLDFAST_WRITE_DOCS=1 python -m pytest tests/support"

TOP = f"""# What works where

Every method of `holdfast methods`, attached to a `Trainer` of Transformers, in every situation below. **yes**: it
trained as described here. A number: it is refused, with the sentence of that footnote, before the first step and with
the model untouched. No cell fails otherwise. `{AGAIN}` runs all cells and
writes this page; without the variable the same tests fail where a cell is no longer what the page says.

How the cells are run:

- Tiny random models with two blocks (two on each side of an encoder-decoder), dropout of {DROPOUT}, a handful of padded
  rows, {STEPS} optimizer steps of AdamW on a CPU in float32. Mostly the last batch is smaller than the others.
- A cell is a yes where the training ends, all losses are finite, a penalty is not 0, weights that are trained moved and
  frozen ones did not, the weights differ from those of `vanilla` at the same seed, evaluation runs, nothing of Holdfast
  is left in the model (with `compile`, the hooks that were traced stay, and do nothing), and what `save_pretrained`
  writes is loaded by the model's own class (an adapter by PEFT) and computes the same.
- Every method stands alone, with its default arguments or with values that show an effect in {STEPS} steps. Pairs of
  methods have a test of their own.

What it does not show: that a method helps, or what it costs; GPUs, NCCL, fp16, other architectures, the code that
`torch.compile` generates; two situations at once. The methods' own pages say what is known of these.

The situations, on the classifier where no model is named:

"""

MIDDLE = f"""
`MODEL` stands for the name of your model's class, `{METHOD}` for that of the row's method.
"""


def parse(text):
    """Return, by the title of the situation, the cells by method: yes, or the sentence."""
    notes = dict(re.findall(r"^\[\^(\d+)\]: (.*)$", text, re.MULTILINE))
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    if not rows:
        return {}
    table = {title: {} for title in rows[0][1:]}
    for name, *cells in rows[2:]:
        method = re.match(r"\[(\w+)\]", name)[1]
        for title, cell in zip(table, cells, strict=True):
            number = re.fullmatch(r"\[\^(\d+)\]", cell)
            if cell:
                table[title][method] = notes[number[1]].replace(METHOD, method) if number else cell
    return table


def render(table):
    """Return the page. Cells that the table lacks are left empty."""
    titles = [situation.title for situation in ORDER]
    numbers = {}
    lines = [f"| method | {' | '.join(titles)} |", f"|---|{'---|' * len(titles)}"]
    shared = _shared(table)
    for method in METHODS:
        cells = []
        for title in titles:
            cell = table.get(title, {}).get(method, "")
            if cell not in (YES, ""):
                form = _form(cell, method)
                sentence = form if form in shared else cell
                cell = f"[^{numbers.setdefault(sentence, len(numbers) + 1)}]"
            cells.append(cell)
        lines.append(f"| [{method}](methods/{method}.md) | {' | '.join(cells)} |")
    situations = [f"- **{situation.title}**: {situation.how}" for situation in ORDER]
    notes = [f"[^{number}]: {sentence}" for sentence, number in numbers.items()]
    return "\n".join([TOP + "\n".join(situations), "", *lines, MIDDLE, *notes, ""])


def hold_against(title, cells):
    """Fail where the page says another thing about ``title``; with HOLDFAST_WRITE_DOCS=1 write it instead."""
    text = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    table = parse(text)
    if WRITING:
        PAGE.write_text(render(table | {title: cells}), encoding="utf-8")
        return
    said = table.get(title, {})
    differing = [
        f"{method}: {cells.get(method, 'no cell')!r}, the page says {said.get(method, 'nothing')!r}"
        for method in METHODS
        if cells.get(method) != said.get(method)
    ]
    assert not differing, f"docs/support.md is out of date ({title}); {AGAIN} writes it anew\n" + "\n".join(differing)


def _form(sentence, method):
    return re.sub(rf"\b{method}\b", METHOD, sentence)


def _shared(table):
    """Return the sentences that several methods are refused with, but for their own names."""
    users = {}
    for cells in table.values():
        for method, cell in cells.items():
            if cell != YES:
                users.setdefault(_form(cell, method), set()).add(method)
    return {form for form, methods in users.items() if len(methods) > 1}
