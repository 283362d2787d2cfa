import itertools

import plotly.graph_objects as go
import pytest
from scipy import stats

from holdfast.report.figures import strip
from report.studies import CONSTANT, FAILING, R3F, VANILLA, row, summary, task


def traces(panel, kind):
    return [trace for trace in panel.figure["data"] if trace["meta"]["kind"] == kind]


def ends(trace):
    (mean,) = trace["x"]
    return mean - trace["error_x"]["arrayminus"][0], mean, mean + trace["error_x"]["array"][0]


def test_every_run_is_a_dot_at_its_score(troubled):
    (panel,) = strip.panels(troubled)
    go.Figure(panel.figure)
    for trace, result in zip(traces(panel, "runs"), troubled.results, strict=True):
        assert trace["x"] == [score for score in result.scores if score is not None]


def test_failed_runs_and_only_these_are_hollow(troubled):
    (panel,) = strip.panels(troubled)
    hollow = [[symbol.endswith("-open") for symbol in trace["marker"]["symbol"]] for trace in traces(panel, "runs")]
    assert hollow == [[False] * 5, [True, False, False, False, True], [False] * 3]


def test_a_failed_run_without_a_score_stands_at_the_constant_prediction():
    rows = [row("rte", "vanilla", VANILLA), row("rte", "r3f", FAILING, VANILLA, failed=(0, 4))]
    rows[1].scores[0] = None
    (panel,) = strip.panels(summary(rows, [task()]))
    assert traces(panel, "runs")[1]["x"] == list(FAILING)


@pytest.mark.parametrize("alpha", [0.05, 0.025])
def test_intervals_are_student_s_over_the_runs_that_trained(alpha):
    rows = [row("rte", "vanilla", VANILLA), row("rte", "r3f", FAILING, VANILLA, failed=(0, 4))]
    (panel,) = strip.panels(summary(rows, [task()], alpha=alpha))
    for trace, scores in zip(traces(panel, "mean"), (VANILLA, FAILING[1:4]), strict=True):
        low, high = stats.t.interval(1 - alpha, len(scores) - 1, sum(scores) / len(scores), stats.sem(scores))
        assert ends(trace) == pytest.approx((low, sum(scores) / len(scores), high))
    (counted,) = traces(panel, "mean with failed runs")
    assert counted["x"] == [pytest.approx(sum(FAILING) / 5)]


def test_equal_scores_have_the_interval_of_their_rounding():
    rows = [row("rte", "vanilla", (70.0, 70.0, 70.0))]
    (panel,) = strip.panels(summary(rows, [task(scored_rows=200)]))
    (mean,) = traces(panel, "mean")
    # A step of 100 / 200 points, uniform over it: variance 0.25 / 12, and t = 4.3027 at 2 degrees of freedom.
    assert ends(mean)[2] - 70 == pytest.approx(4.3027 * (0.25 / 12 / 3) ** 0.5, rel=1e-4)


@pytest.mark.parametrize(("metric", "lowest"), [("accuracy", 0.0), ("matthews", -100.0)])
def test_intervals_end_where_the_metric_does(metric, lowest):
    above = (99.0, 100.0, 100.0)
    rows = [row("rte", "vanilla", above), row("rte", "r3f", (1.0, 90.0, None), above)]
    (panel,) = strip.panels(summary(rows, [task(metric=metric)]))
    high, wide = traces(panel, "mean")
    assert ends(high)[2] == 100.0
    assert ends(wide)[::2] == pytest.approx((lowest, 100.0))


def test_one_run_has_no_interval(one_seed):
    (panel,) = strip.panels(one_seed)
    assert traces(panel, "mean") == []
    assert [trace["x"] for trace in traces(panel, "runs")] == [[66.0], [70.0]]


def test_lines_join_the_same_seed_of_neighbouring_methods():
    rows = [row("rte", "vanilla", VANILLA), row("rte", "r3f", R3F, VANILLA)]
    (panel,) = strip.panels(summary(rows, [task()]))
    (joined,) = traces(panel, "same seed")
    segments = [joined["x"][i : i + 2] for i in range(0, len(joined["x"]), 3)]
    assert sorted(segments) == sorted([a, b] for a, b in zip(VANILLA, R3F, strict=True))


@pytest.mark.parametrize(("seeds", "lines"), [(10, 1), (11, 0)])
def test_many_seeds_are_not_joined(crowded, seeds, lines):
    (panel,) = strip.panels(crowded(1, 3, seeds))
    assert len(traces(panel, "same seed")) == lines


def test_rows_do_not_run_into_each_other(crowded):
    (panel,) = strip.panels(crowded(1, 12, 50))
    bands = [(min(trace["y"]), max(trace["y"])) for trace in traces(panel, "runs")]
    labels = sorted(note["y"] for note in panel.figure["layout"]["annotations"] if note.get("yref") != "paper")
    for (_, bottom), (top, _) in itertools.pairwise(bands):
        assert bottom < top
    for (top, bottom), start, following in zip(bands, labels, [*labels[1:], float("inf")], strict=True):
        assert start < top <= bottom < following


def test_the_picture_is_the_same_every_time(crowded):
    assert strip.panels(crowded(2, 3, 12)) == strip.panels(crowded(2, 3, 12))


def test_the_constant_prediction_is_a_line_that_does_not_squeeze_the_dots():
    rows = [row("rte", "vanilla", VANILLA), row("rte", "r3f", R3F, VANILLA)]
    for constant in (CONSTANT, 10.0, 95.0):
        (panel,) = strip.panels(summary(rows, [task(constant_score=constant)]))
        layout = panel.figure["layout"]
        assert [shape["x0"] for shape in layout["shapes"]] == [constant]
        low, high = layout["xaxis"]["range"]
        # The dots reach from 66 to 72: they keep a quarter of the width.
        assert high - low < 4 * 6
        assert low < 66
        assert high > 72


@pytest.mark.parametrize(("constant", "inside"), [(60.0, True), (10.0, False), (78.0, True), (95.0, False)])
def test_a_constant_prediction_is_in_view_or_pointed_at(constant, inside):
    rows = [row("rte", "vanilla", VANILLA), row("rte", "r3f", R3F, VANILLA)]
    (panel,) = strip.panels(summary(rows, [task(constant_score=constant)]))
    low, high = panel.figure["layout"]["xaxis"]["range"]
    assert (low <= constant <= high) == inside
    (said,) = [note["text"] for note in panel.figure["layout"]["annotations"] if "constant" in note["text"]]
    assert f"{constant:.1f}" in said
    assert bool({"←", "→"} & set(said)) != inside


def test_a_task_without_runs_has_no_panel():
    rows = [row("rte", "vanilla", (None, None)), row("cola", "vanilla", (50.0, 51.0))]
    panels = strip.panels(summary(rows, [task("rte"), task("cola")]))
    assert [panel.title.split(":")[0] for panel in panels] == ["cola"]
