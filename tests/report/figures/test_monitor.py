import plotly.graph_objects as go
import pytest

from holdfast.report.figures import losses, monitor
from report.transfers import sizes, transfers, watched


def traces(panel, kind):
    return {trace["meta"]["method"]: trace for trace in panel.figure["data"] if trace["meta"]["kind"] == kind}


def test_the_strong_line_is_the_mean_over_seeds_and_single_runs_are_faint():
    runs = [watched(method, seed, 0.1 * seed) for method in ("vanilla", "r4f") for seed in range(3)]
    panels = monitor.panels(transfers(), runs)
    assert [panel.title for panel in panels] == [
        f"rte: {name} during training" for name in ("CKA", "effective rank", "mean cosine", "distance")
    ]
    for panel in panels:
        go.Figure(panel.figure)
    mean = traces(panels[0], "mean")[1]
    assert mean["x"] == [0, 10, 20]
    # Shifts of 0, .1 and .2 after the first look.
    assert mean["y"] == pytest.approx([1.0, 0.7, 0.5])
    single = traces(panels[0], "single runs")[1]
    assert single["y"] == pytest.approx([1.0, 0.8, 0.6, None, 1.0, 0.7, 0.5, None, 1.0, 0.6, 0.4, None])
    assert single["opacity"] < mean["opacity"]
    assert "r4f: 1 at step 0, 0.5 at step 20." in panels[0].alt


def test_runs_that_stopped_or_were_not_watched_are_left_out():
    stopped = watched("vanilla", 1, status="error", error="killed")
    assert monitor.panels(transfers(), [stopped, watched("r4f", 0, monitored=[])]) == []
    panels = monitor.panels(transfers(), [stopped, watched("vanilla", 0)])
    assert traces(panels[0], "single runs") == {}
    assert traces(panels[0], "mean")[0]["y"] == [1.0, 0.8, 0.6]


def test_looks_without_a_value_are_gaps():
    run = watched("vanilla", 0)
    run.monitored[1].cka = None
    assert traces(monitor.panels(transfers(), [run])[0], "mean")[0]["y"] == [1.0, None, 0.6]


def test_runs_go_to_the_size_they_trained_on():
    runs = [watched("vanilla", 0, train_size=rows) for rows in (100, 1000, 500)]
    titles = [panel.title.split(":")[0] for panel in monitor.panels(sizes(), runs)]
    assert titles == ["rte (1000 rows)"] * 4 + ["rte (100 rows)"] * 4
    assert [panel.title for panel in losses.panels(sizes(), runs)] == [
        "rte (1000 rows): task loss",
        "rte (100 rows): task loss",
    ]
