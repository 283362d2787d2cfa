"""The documentation's pages, taken apart: fenced blocks, and code within the prose."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]

_FENCE = re.compile(r"```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True)
class Code:
    """A piece of code, and where it stands."""

    page: Path
    line: int
    """The first one of its own, counted from 1."""
    language: str
    text: str

    def __str__(self):
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(*languages):
    """The fenced blocks of all pages, in order; with ``languages``, of these alone."""
    found = [block for page in PAGES for block in _blocks(page)]
    return [block for block in found if not languages or block.language in languages]


def _blocks(page):
    text = page.read_text(encoding="utf-8")
    for match in _FENCE.finditer(text):
        yield Code(page, text.count("\n", 0, match.start(2)) + 1, match[1], match[2])


def prose(page):
    """The lines of a page outside its fenced blocks, each with its number."""
    bare = _FENCE.sub(lambda match: "\n" * match[0].count("\n"), page.read_text(encoding="utf-8"))
    return enumerate(bare.splitlines(), 1)


def inline():
    """All that stands between backticks in prose."""
    return [
        Code(page, line, "", text) for page in PAGES for line, said in prose(page) for text in _INLINE.findall(said)
    ]


def files(page):
    """The texts of the files that a page shows: its blocks whose first line is a comment with a file's name."""
    named = [(re.match(r"# ([\w.-]+\.\w+)$", block.text.splitlines()[0]), block) for block in _blocks(page)]
    return {match[1]: block.text for match, block in named if match}
