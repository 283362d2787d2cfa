import json
import re
from html.parser import HTMLParser

import pytest

from holdfast.report.html import data, items, name, text


class _Parts(HTMLParser):
    def __init__(self, markup):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize("value", ["</script><b>x", "</script x", "<!--<script>", "]]>", "\u2028", 'a"b\\', "&amp;"])
def test_no_string_ends_the_script_it_stands_in(value):
    found = _Parts(f"<script>{data({'x': [value]})}</script><p>")
    assert found.tags == ["script", "p"]
    assert json.loads(found.text) == {"x": [value]}
    # HTML Standard, "restrictions for contents of script elements"; browsers are stricter than html.parser.
    assert not {"</script", "<script", "<!--"} & set(re.findall(r"</?script|<!--", found.text))


def test_numbers_json_does_not_know_are_refused():
    with pytest.raises(ValueError, match="JSON"):
        data({"x": float("nan")})


@pytest.mark.parametrize("write", [text, name, lambda value: items([value])])
def test_text_stays_text(write):
    found = _Parts(f'<p title="{text(chr(34))}">{write("<i>&lt; a, b")}</p>')
    assert found.text == "<i>&lt; a, b"
    assert "i" not in found.tags


def test_no_sentences_no_list():
    assert items([]) == ""
