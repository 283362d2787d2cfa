import plotly.graph_objects as go
import pytest
from scipy import stats

from holdfast.report.figures import cost
from report.studies import VANILLA, row, summary, task


def test_each_method_is_a_point_of_cost_and_mean(normal):
    (panel,) = cost.panels(normal)
    go.Figure(panel.figure)
    assert [(trace["x"], trace["y"]) for trace in panel.figure["data"]] == [([1.0], [68.0]), ([2.0], [70.4])]


def test_the_bar_is_student_s_interval_and_absent_after_a_failure(troubled):
    (panel,) = cost.panels(troubled)
    vanilla, failing, _ = panel.figure["data"]
    _, high = stats.t.interval(0.95, 4, 68.0, stats.sem(VANILLA))
    assert vanilla["error_y"]["array"] == [pytest.approx(high - 68.0)]
    assert "error_y" not in failing


def test_methods_differ_in_mark_or_colour(crowded):
    (panel,) = cost.panels(crowded(1, 12, 3))
    marks = {(trace["marker"]["color"], trace["marker"]["symbol"]) for trace in panel.figure["data"]}
    assert len(marks) == 12


def test_without_scores_or_costs_there_is_nothing_to_draw():
    rows = [row("rte", "vanilla", VANILLA), row("rte", "r3f", (None,) * 5, VANILLA)]
    rows[0].cost_ratio = None
    assert cost.panels(summary(rows, [task()])) == []
