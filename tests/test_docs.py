"""The documentation's own code runs, and its links lead somewhere."""

import re
from pathlib import Path

import pytest
import torch

from holdfast import Engine, Vanilla
from holdfast.methods import catalogue
from method_table import TABLE
from tiny import batch, classifier

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


def test_the_example_method_works_as_shown():
    """Its penalty is half alpha times the symmetric KL between two copies: zero without dropout."""
    text = (ROOT / "docs" / "adding-a-method.md").read_text(encoding="utf-8")
    names = {}
    exec(re.search(r"```python\n(.*?)```", text, re.DOTALL)[1], names)
    method = names["RDrop"](alpha=2.0)
    for dropout in (0.0, 0.3):
        engine = Engine(classifier("bert", dropout=dropout), [Vanilla(), method], optimizer=torch.optim.AdamW)
        engine.backward(engine.loss(batch()))
        assert (engine.terms["my_r_drop"] > 0) == (dropout > 0)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert target.startswith("http") or (page.parent / target).exists(), target


def test_every_method_has_a_row_in_the_test_table():
    assert {method.name for method in TABLE.values()} == set(catalogue())


def test_every_method_has_a_page_with_all_its_arguments():
    for name, method in catalogue().items():
        page = (ROOT / "docs" / "methods" / f"{name}.md").read_text(encoding="utf-8")
        own = [field for field, kind in method.__annotations__.items() if "ClassVar" not in str(kind)]
        assert all(f"`{field}`" in page for field in own), name
