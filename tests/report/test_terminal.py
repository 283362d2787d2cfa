import io
import re
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from holdfast.report.terminal import show
from holdfast.wording import breakable
from report.rendered import report
from report.rendered import terminal as shown
from report.studies import FAILING, R3F, VANILLA, row, summary, task


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 250])
@pytest.mark.parametrize("study", ["normal", "troubled", "one_seed"])
def test_every_width_shows_whole_names_in_lines_that_fit(study, width, request):
    result = request.getfixturevalue(study)
    text = shown(result, width)
    assert max(map(cell_len, text.splitlines())) <= width
    for method in result.settings.methods:
        assert all(piece.strip() in text for piece in breakable(method))
    assert "\x1b" not in text


@pytest.mark.parametrize("width", [60, 80, 160])
def test_numbers_are_those_of_the_summary(normal, width):
    text = " ".join(shown(normal, width).split())
    # By hand: means 68 and 70.4, s = 1.58 and 1.14, Welch interval 0.354 to 4.446, 22.5 of 25 pairs ahead.
    for number in ("68.0 ± 1.6", "70.4 ± 1.1", "69.0–72.0", "+2.4 [+0.4, +4.4]", "90 %", "2.0×", "better", "baseline"):
        assert number in text


def test_the_table_of_a_wide_terminal_has_one_line_a_method(troubled):
    lines = [line for line in shown(troubled, 200).splitlines() if "cannot be told apart" in line]
    assert [line.split()[0] for line in lines] == ["r3f(weight=5.0,", "r4f"]


def test_the_level_follows_alpha():
    rows = [row("rte", "vanilla", VANILLA), row("rte", "r3f", R3F, VANILLA, alpha=0.025)]
    assert "difference [97.5 % CI]" in shown(summary(rows, [task()], alpha=0.025), 120)


@pytest.mark.parametrize("width", [50, 80, 200])
def test_failed_and_missing_runs_are_told(troubled, width):
    text = " ".join(shown(troubled, width).split())
    assert "2 failed" in text
    assert "2 missing" in text
    # Among the runs that trained: 70 against 68.
    assert re.search(r"trained (runs )?\+2\.0 \[0\.0, \+4\.0\]", text)
    assert "r4f on rte, seeds 1, 3: killed: out of memory" in text
    assert "3 texts of train are also in test" in text


def test_means_over_tasks_tell_their_unit(crowded):
    result = crowded(3, 2, 3)
    assert "Mean difference over these tasks, in points" in shown(result, 120)
    result.overall[0].normalised = True
    assert "in % of the way from the best constant prediction to a perfect score" in shown(result, 120)


def test_optimism_is_told_only_where_it_applies(normal, best):
    apart = shown(normal.model_copy(update={"best": [best]}))
    same = shown(normal.model_copy(update={"best": [best.model_copy(update={"optimistic": True})]}))
    assert "optimistic" not in apart
    assert "optimistic" in same


def test_markup_and_control_codes_are_inert():
    rows = [row("[red]t[/red]", "vanilla", VANILLA), row("[red]t[/red]", "[bold]x[/bold]", FAILING, VANILLA)]
    errors = [{"task": "t", "method": "m", "seed": "0", "error": "bad \x1b[2J[/]\nline"}]
    result = summary(rows, [task("[red]t[/red]")], errors=errors, sentences=["[blink]a[/blink]"])
    text = shown(result, 160)
    for literal in ("[red]t[/red]: accuracy", "[bold]x[/bold]", "[blink]a[/blink]", "bad  [2J[/] line"):
        assert literal in text
    assert "\x1b" not in text


def test_output_that_is_not_unicode_is_still_written(troubled):
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    show(report(troubled), Console(file=stream, width=80), {"report": Path("out/report.html")})
    stream.flush()
    text = raw.getvalue().decode("ascii")
    assert "68.0 +/- 1.6" in text
    assert "2.0x" in text
    assert "out/report.html" in text
    # But for the title, which is a question.
    assert "?" not in text.split("\n", 1)[1]


def test_paths_stay_whole_so_that_they_can_be_copied(normal):
    path = Path("a-rather-long-folder") / ("x" * 120) / "report.html"
    assert str(path) in shown(normal, 60, {"report": path}).splitlines()[-1]


def test_colour_is_only_an_addition(normal):
    coloured = shown(normal, 120, force_terminal=True, color_system="truecolor")
    assert "\x1b" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == shown(normal, 120)
