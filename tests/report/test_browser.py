"""The page in a browser: no error in its console, every figure drawn, nothing wider than the window."""

import pytest

from report.browser import CHROMIUM, look
from report.rendered import page
from report.sequence.sequences import cycles
from report.studies import instability, record
from report.transfers import transfers, watched

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="needs Chromium: apt-get install chromium"),
]

WIDTHS = (390, 800, 1400)
LONG = "r4f(weight=5.0, sigma=0.01, noise=normal)+dps(drop=0.3)"


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    result = transfers({"r4f": LONG})
    result.luck = [instability("vanilla", 0.11), instability(LONG, 0.04), instability(LONG, 0.07, "data")]
    runs = [watched(method, seed) for method in ("vanilla", LONG) for seed in range(2)]
    written = page(result, [*runs, record("vanilla", 3)])
    # Something too wide, and a figure without its data.
    broken = written.replace("</main>", '<div class="plot" id="lost" style="width:3000px;height:9px"></div></main>')
    pages = {f"at{width}": (written, width) for width in WIDTHS}
    more = {"broken": (broken, 800), "sequence": (page(cycles()), 390)}
    return look({**pages, **more}, tmp_path_factory.mktemp("browser"))


@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_is_sound_at_every_width(found, width):
    shown = found[f"at{width}"]
    assert shown["errors"] == []
    assert shown["excess"] <= 0
    kinds = {name.split("-")[0] for name in shown["plots"]}
    assert kinds == {"strip", "forest", "ood", "probe", "layer", "monitor", "layers", "cost", "loss"}
    assert [name for name, paths in shown["plots"].items() if not paths] == []


def test_a_sequence_of_tasks_is_sound_on_a_phone(found):
    shown = found["sequence"]
    assert shown["errors"] == []
    assert shown["excess"] <= 0
    assert len(shown["plots"]) == 2
    assert all(shown["plots"].values())


def test_what_is_broken_is_seen(found):
    shown = found["broken"]
    assert any("null" in message for message in shown["errors"])
    assert shown["excess"] > 2000
    assert [name for name, paths in shown["plots"].items() if not paths] == ["lost"]
