"""A report on a terminal."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from holdfast.report.block import Block, Report
from holdfast.report.terminal_table import TerminalTable
from holdfast.wording import clean

# For output that is not in Unicode, such as a redirected stream on Windows.
_PLAIN = str.maketrans(
    {
        "±": "+/-",
        "–": "-",
        "−": "-",
        "×": "x",
        "“": '"',
        "”": '"',
        "•": "*",
        "─": "-",
        "δ": "delta",
        "ρ": "rho",
        "√": "sqrt ",
        "κ": "k",
        "▲": "^",
        "▼": "v",
        "…": "...",
        "→": "->",
    }
)


def show(report: Report, console: Console, files: Mapping[str, Path] | None = None) -> None:
    """Print ``report`` on ``console``, then where things were written (``files``: what it is, where it is)."""
    put(console, render(report), files)


def put(console: Console, shown: RenderableType, files: Mapping[str, Path] | None = None) -> None:
    """Print ``shown`` and ``files``, in plain characters where the console has no others."""
    if console.encoding.lower().startswith("utf"):
        _print(console, shown, files)
        return
    with console.capture() as capture:
        _print(console, shown, files)
    encoded = capture.get().translate(_PLAIN).encode(console.encoding, "replace")
    console.file.write(encoded.decode(console.encoding))


def render(report: Report) -> RenderableType:
    """Return ``report`` for Rich's ``console.print``: no figures, no details, nothing that is only looked up."""
    parts: list[RenderableType] = [Text(clean(report.title), style="bold")] if report.title else []
    parts += [Text(clean(report.lead), style="dim")] if report.lead else []
    for block in report.blocks:
        shown = list(_block(block, 1))
        parts += [Text(), *shown] if parts and shown else shown
    return Group(*parts)


def item(line: str, indent: int = 1) -> RenderableType:
    """Return a sentence of a list."""
    marked = Table.grid(padding=(0, 1, 0, 0))
    marked.add_row("•", Text(clean(line)))
    return Padding(marked, (0, 0, 0, indent), expand=False)


def _block(block: Block, level: int) -> Iterator[RenderableType]:
    """Yield a block's lines; nothing where a terminal has nothing of it to show."""
    content: list[list[RenderableType]] = []
    if not block.lookup:
        content.append([TerminalTable(block.table)] if block.table else [])
        content += [list(_block(part, level + 1)) for part in block.parts]
        content.append([facts((clean(name), clean(value)) for name, value in block.facts)] if block.facts else [])
        content.append([item(note) for note in block.notes])
    content = [lines for lines in content if lines]
    if not content:
        return
    if block.title:
        yield Text(clean(block.title), style="bold" if level < 3 else "dim")
    if block.intro:
        yield Text(clean(block.intro), style="dim")
    # A heading stands close to a list, and apart from a table.
    apart = block.table is not None or block.parts
    for place, lines in enumerate(content):
        if place or apart:
            yield Text()
        yield from lines


def facts(named: Iterable[tuple[str, str]]) -> Table:
    """Return names and values."""
    table = Table.grid(padding=(0, 2, 0, 0))
    for name, value in named:
        table.add_row(Text(name), Text(value))
    return table


def _print(console: Console, shown: RenderableType, files: Mapping[str, Path] | None) -> None:
    console.print(shown, highlight=False)
    if files:
        console.print()
    width = max((len(name) for name in files or {}), default=0)
    for name, path in (files or {}).items():
        # A path that is broken over lines cannot be copied.
        console.print(Text(f"{clean(name):<{width}}  {path}"), soft_wrap=True, highlight=False)
