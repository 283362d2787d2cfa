"""The documentation's links lead somewhere, and its pages on methods are whole."""

import re
from pathlib import Path

import pytest

from holdfast.methods import catalogue
from method_table import TABLE

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


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
