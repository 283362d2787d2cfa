import plotly.graph_objects as go
import pytest
from scipy import stats

from holdfast.report.figures import forest
from report.studies import R3F, VANILLA, row, summary, task


def found(panel, kind):
    """Low end, middle and high end of each mark of a kind."""
    marks = []
    for trace in panel.figure["data"]:
        if trace["meta"]["kind"] == kind:
            (middle,) = trace["x"]
            bar = trace.get("error_x")
            marks.append((middle - bar["arrayminus"][0], middle, middle + bar["array"][0]) if bar else (middle,))
    return marks


def written(panel):
    return " ".join(note["text"] for note in panel.figure["layout"]["annotations"]).replace("<br>", " ")


@pytest.mark.parametrize("alpha", [0.05, 0.025])
def test_intervals_are_welch_s(alpha):
    rows = [row("rte", "vanilla", VANILLA, alpha=alpha), row("rte", "r3f", R3F, VANILLA, alpha=alpha)]
    (panel,) = forest.panels(summary(rows, [task()], alpha=alpha))
    go.Figure(panel.figure)
    expected = stats.ttest_ind(R3F, VANILLA, equal_var=False).confidence_interval(1 - alpha)
    assert found(panel, "difference") == [pytest.approx((expected.low, 2.4, expected.high))]
    assert ("95 %" if alpha == 0.05 else "97.5 %") in panel.title


def test_zero_and_the_band_of_differences_that_do_not_matter(normal):
    (panel,) = forest.panels(normal)
    shapes = panel.figure["layout"]["shapes"]
    assert [(shape["x0"], shape["x1"]) for shape in shapes if shape["type"] == "rect"] == [(-1.0, 1.0)]
    assert [shape["x0"] for shape in shapes if shape["type"] == "line"] == [0]
    low, high = panel.figure["layout"]["xaxis"]["range"]
    assert low < -1
    assert high > 4.446


def test_verdicts_stand_in_the_margin(troubled):
    troubled.results[1].verdict = "practically equal"
    (panel,) = forest.panels(troubled)
    margin = [note for note in panel.figure["layout"]["annotations"] if note["x"] == 1 and note["xref"] == "paper"]
    assert [note["text"].replace("<br>", " ") for note in margin] == ["practically equal", "cannot be told apart"]
    heights = [trace["y"][0] for trace in panel.figure["data"] if trace["meta"]["kind"] == "difference"]
    assert [note["y"] for note in margin] == heights


def test_a_pair_with_failed_runs_shows_both_differences(troubled):
    (panel,) = forest.panels(troubled)
    # All runs: 63.08 - 68; those that trained: 70 - 68, its interval as the summary gives it.
    assert [mark[1] for mark in found(panel, "difference")] == pytest.approx([-4.92, 2.0])
    assert found(panel, "among trained runs") == [pytest.approx((0.0, 2.0, 4.0))]


def test_one_block_a_task_and_one_for_all(crowded):
    (panel,) = forest.panels(crowded(3, 4, 5))
    for block in ("<b>task-0</b>", "<b>task-1</b>", "<b>task-2</b>", "<b>mean over 3 tasks</b>"):
        assert block in written(panel)
    assert len(found(panel, "difference")) == 9
    assert found(panel, "overall") == [pytest.approx((m / 2 - 1, m / 2, m / 2 + 1)) for m in (1, 2, 3)]


def test_means_in_another_unit_have_an_axis_of_their_own(crowded):
    result = crowded(2, 3, 5)
    for overall in result.overall:
        overall.normalised = True
    points, shares = forest.panels(result)
    assert found(points, "overall") == []
    assert len(found(shares, "overall")) == 2
    # The band is in points.
    assert [shape["type"] for shape in shares.figure["layout"]["shapes"]] == ["line"]


def test_without_intervals_the_difference_alone_is_drawn(one_seed):
    (panel,) = forest.panels(one_seed)
    assert found(panel, "difference") == [(4.0,)]
    assert "too few runs" in written(panel)


def test_nothing_to_compare_gives_no_figure():
    alone = summary([row("rte", "vanilla", VANILLA)], [task()])
    lost = summary([row("rte", "vanilla", VANILLA), row("rte", "r3f", (None,) * 5, VANILLA)], [task()])
    assert forest.panels(alone) == forest.panels(lost) == []
