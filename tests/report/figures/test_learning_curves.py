import math

import plotly.graph_objects as go
import pytest

from holdfast.report.figures import learning_curves
from report.transfers import sizes, transfers


def traces(panel, kind):
    return {trace["meta"]["method"]: trace for trace in panel.figure["data"] if trace["meta"]["kind"] == kind}


def test_a_panel_for_the_task_and_one_for_each_target():
    panels = learning_curves.panels(sizes())
    assert [panel.title for panel in panels] == [
        "rte: accuracy against training rows",
        "rte → scitail, out of domain: accuracy",
    ]
    for panel, drop in zip(panels, (0, 10), strict=True):
        go.Figure(panel.figure)
        mean = traces(panel, "mean")[1]
        assert mean["x"] == [100, 1000]
        assert mean["y"] == [64.0 - drop, 82.0 - drop]
        assert traces(panel, "runs")[1]["y"] == [score - drop for score in (63, 64, 65, 81, 82, 83)]


def test_the_axis_is_logarithmic_and_names_the_sizes():
    axis = learning_curves.panels(sizes())[0].figure["layout"]["xaxis"]
    assert axis["type"] == "log"
    assert axis["ticktext"] == ["100", "1000"]
    low, high = axis["range"]
    assert low < 2 < 3 < high


def test_the_runs_of_two_methods_stand_beside_each_other():
    runs = traces(learning_curves.panels(sizes())[0], "runs")
    for one, other in zip(runs[0]["x"], runs[1]["x"], strict=True):
        assert math.log10(other / one) == pytest.approx(0.012, abs=1e-3)
        assert one < 10 ** round(math.log10(one)) < other


def test_the_alt_text_states_the_means():
    alt = learning_curves.panels(sizes())[0].alt
    assert "r4f: 64.0 with 100 rows, 82.0 with 1 000 rows." in alt
    assert "constant prediction: 52.7." in alt


def test_a_size_without_runs_leaves_a_gap():
    result = sizes()
    for row in result.results:
        if row.task == "rte (100 rows)" and row.method == "r4f":
            row.mean, row.scores = None, [None] * 3
    panel = learning_curves.panels(result)[0]
    go.Figure(panel.figure)
    assert traces(panel, "mean")[1]["y"] == [None, 82.0]
    assert "r4f: 82.0 with 1 000 rows." in panel.alt


def test_one_size_has_no_curve(normal):
    assert learning_curves.panels(normal) == []
    assert learning_curves.panels(transfers()) == []
