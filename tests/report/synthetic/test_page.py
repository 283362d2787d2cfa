import json
import re

import plotly.graph_objects as go
import pytest
from rich.console import Console

from holdfast.report.page import page as page_of
from holdfast.report.synthetic.figures import log_ticks
from holdfast.report.synthetic.numbers import find, number, rho
from holdfast.report.synthetic.page import synthetic_report, write_synthetic
from holdfast.report.synthetic.terminal import render_synthetic
from holdfast.report.terminal import put
from holdfast.stability.synthetic_results import SyntheticResults
from report.test_page import Page

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def page(results):
    return Page(page_of(synthetic_report(results)))


def test_everything_is_there(page):
    places = [
        page.text.index(f"\n{title}\n")
        for title in (
            "What is measured",
            "What this run shows",
            "What theory lets expect",
            "Rank correlations",
            "Leave-one-out distance measured",
            "Bound beside measurement",
            "Seed spread measured",
            "One thing varied at a time",
            "What the paper states",
            "What is re-derived",
            "What is our choice",
            "Settings",
        )
    ]
    assert places == sorted(places)
    assert "Made by Holdfast 1.2.3." in page.text


def test_tables_hold_the_study_s_numbers(page, results):
    study = results.study
    main = next(table for table in page.tables if table[0][:2] == ["against", "leave-one-out distance"])
    row = next(line for line in main if line[0] == "margin")
    alone, held = (rho(find(study, "margin", "seed_spread", held=one)) for one in (False, True))
    assert row[2] == f"{alone} {held}"
    quadratics = next(table for table in page.tables if table[0][-1] == "n × distance")
    measured, bound = results.simulations.quadratics.means[0], results.simulations.quadratic_bounds[0]
    assert quadratics[1] == ["10", *map(number, (measured, bound, bound / measured, 10 * measured))]
    heads = next(table for table in page.tables if table[0][0] == "heads H")
    assert [line[0] for line in heads[1:]] == ["1", "5", "20", "50"]


def test_figures_are_valid_and_hold_every_set(page, results):
    sets = results.study.sets
    for figure in page.figures.values():
        go.Figure(figure)
    assert len(page.figures) == 6 + 2 + 6 + 5
    (points,) = page.figures["left-0"]["data"]
    assert list(zip(points["x"], points["y"], strict=True)) == [(one.n, one.leave_one_out) for one in sets]
    shared = page.figures["bound-0"]["data"][0]
    assert shared["y"] == list(results.study.shared_bounds)
    dots, line = page.figures["seed-5"]["data"]
    assert len(dots["x"]) == len(sets)
    assert line["x"] == [1, 10]
    assert line["y"][0] / line["y"][1] == pytest.approx(10**0.5)


def test_simulations_are_drawn_with_the_lines_of_theory(page, results):
    lines = {trace.get("name"): trace for trace in page.figures["simulation-1"]["data"]}
    assert lines["sum of losses"]["y"] == pytest.approx(results.simulations.heads_sum.means)
    assert lines["1/√H"]["y"] == pytest.approx([lines["sum of losses"]["y"][0] / h**0.5 for h in (1, 5, 20, 50)])
    lines = {trace.get("name"): trace for trace in page.figures["simulation-0"]["data"]}
    assert lines["1/n"]["y"] == pytest.approx([lines["measured"]["y"][0] * 10 / n for n in (10, 20, 40, 80)])
    assert lines["bound"]["y"] == list(results.simulations.quadratic_bounds)


def test_nothing_comes_from_elsewhere(results):
    written = page_of(synthetic_report(results))
    own = re.sub(r"<script>.*?</script>", "", written, flags=re.DOTALL)
    assert not re.search(r"https?://|src=|@import|url\(", own)


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([20, 200], [20, 50, 100, 200]),
        ([1, 4], [1, 1.5, 2, 3, 4, 5]),
        ([0.002, 0.9], [0.001, 0.01, 0.1, 1]),
        ([0.0, 3.0, 30.0], [5, 10, 20]),
        ([1e-3, 1e9], [1e-2, 1, 1e2, 1e4, 1e6, 1e8]),
    ],
)
def test_ticks_are_round_numbers_within_reach(values, ticks):
    assert log_ticks(values) == pytest.approx(ticks)


def test_written_whole_and_read_again(results, tmp_path):
    files = write_synthetic(results, tmp_path / "new" / "folder")
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == ["synthetic.html", "synthetic.json"]
    assert SyntheticResults.model_validate_json(files["results"].read_text()) == results
    assert set(json.loads(files["results"].read_text())) == {"holdfast", "study", "simulations"}


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_terminal_of_80_columns_shows_whole_intervals(results, encoding, tmp_path):
    with (tmp_path / "out").open("w", encoding=encoding) as file:
        put(Console(file=file, width=80), render_synthetic(results), {"report": tmp_path / "synthetic.html"})
    told = (tmp_path / "out").read_text(encoding=encoding)
    shown = rho(find(results.study, "n", "leave_one_out", held=True))
    assert (shown if encoding == "utf-8" else shown.replace("−", "-")) in told
    assert ("ρ alone" if encoding == "utf-8" else "rho alone") in told
    assert "?" not in told
    assert str(tmp_path / "synthetic.html") in told
    table = told[: told.index("The leave-one-out")]
    assert all(len(line.rstrip()) <= 80 for line in table.splitlines())
