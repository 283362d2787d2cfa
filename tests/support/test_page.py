"""docs/support.md is what the tests beside this one write, to the letter."""

import pytest

from support.page import AGAIN, PAGE, WRITING, parse, render
from support.situations import ORDER
from support.trying import METHODS

pytestmark = pytest.mark.slow


@pytest.mark.skipif(WRITING, reason="the page is being written")
def test_the_page_has_every_cell_and_nothing_else():
    text = PAGE.read_text(encoding="utf-8")
    table = parse(text)
    assert list(table) == [situation.title for situation in ORDER]
    assert all(list(cells) == list(METHODS) for cells in table.values()), f"cells are missing: {AGAIN}"
    assert text == render(table), f"docs/support.md was changed by hand: {AGAIN}"


def test_a_sentence_that_methods_share_is_told_once_and_read_back_for_each():
    title = ORDER[0].title
    cells = dict.fromkeys(METHODS, "yes") | {
        "lora": "lora: MODEL has adapters",
        "r3f": "r3f needs a head: use mmr",
        "r4f": "r4f needs a head: use mmr",
    }
    page = render({title: cells})
    assert "]: METHOD needs a head: use mmr\n" in page
    assert "]: lora: MODEL has adapters\n" in page
    assert page.count("]: ") == 2
    assert parse(page)[title] == cells
