import plotly.graph_objects as go
import pytest

from holdfast.report.figures import losses
from report.studies import R3F, VANILLA, record, row, summary, task


@pytest.fixture
def study():
    return summary([row("rte", "vanilla", VANILLA), row("rte", "r3f", R3F, VANILLA)], [task()])


def records(methods=("vanilla", "r3f"), seeds=5, **changes):
    return [record(method, seed, **changes) for method in methods for seed in range(seeds)]


def lines(panel, kind):
    return {trace["meta"]["method"]: trace for trace in panel.figure["data"] if trace["meta"]["kind"] == kind}


def test_one_panel_a_term_with_the_task_first(study):
    panels = losses.panels(study, records())
    assert [panel.title for panel in panels] == ["rte: task loss", "rte: r3f penalty"]
    for panel in panels:
        go.Figure(panel.figure)
    assert set(lines(panels[0], "mean")) == {0, 1}
    assert set(lines(panels[1], "mean")) == {1}


def test_the_strong_line_is_the_mean_over_seeds(study):
    task_loss, penalty = losses.panels(study, records())
    # Seed s has (1 + s) / step: over seeds 0 to 4 the mean is 3 / step.
    mean = lines(task_loss, "mean")[1]
    assert mean["x"] == [10, 20, 30]
    assert mean["y"] == pytest.approx([0.3, 0.15, 0.1])
    assert lines(penalty, "mean")[1]["y"] == pytest.approx([0.003, 0.0015, 0.001])


def test_single_runs_are_faint_and_apart(study):
    task_loss, _ = losses.panels(study, records())
    single = lines(task_loss, "single runs")[0]
    assert single["opacity"] < 0.5
    runs = [single["y"][i : i + 3] for i in range(0, 20, 4)]
    assert runs == [pytest.approx([(1 + s) / step for step in (10, 20, 30)], rel=1e-4) for s in range(5)]
    assert single["y"][3::4] == [None] * 5


def test_only_penalties_are_on_a_logarithmic_axis(study):
    task_loss, penalty = losses.panels(study, records())
    assert task_loss.figure["layout"]["yaxis"].get("type", "linear") == "linear"
    assert penalty.figure["layout"]["yaxis"]["type"] == "log"


def test_a_penalty_that_is_zero_is_told_not_drawn(study):
    silent = [record("r3f", 0, losses=[{"step": 1.0, "loss": 0.5, "loss/task": 0.5, "loss/r3f": 0.0}])]
    _, penalty = losses.panels(study, silent)
    assert penalty.figure["data"] == []
    assert "r3f" in penalty.note


def test_zeros_between_are_gaps(study):
    values = (0.1, 0.0, 0.2)
    entries = [
        {"step": float(i), "loss": 1.0, "loss/task": 1.0, "loss/r3f": value} for i, value in enumerate(values, 1)
    ]
    _, penalty = losses.panels(study, [record("r3f", 0, losses=entries)])
    assert lines(penalty, "mean")[1]["y"] == [0.1, None, 0.2]


def test_the_mean_stops_where_a_run_stopped(study):
    runs = records(("vanilla",), 3)
    runs[2].losses[2:] = []
    runs[1].losses[1]["loss/task"] = float("inf")
    (task_loss,) = losses.panels(study, runs)
    mean = lines(task_loss, "mean")[0]
    assert mean["x"] == [10, 20]
    assert mean["y"] == [pytest.approx(0.2), None]


def test_without_terms_the_whole_loss_is_the_task_s(study):
    (panel,) = losses.panels(study, [record("vanilla", 0, losses=[{"step": 1.0, "loss": 0.7}])])
    assert lines(panel, "mean")[0]["y"] == [0.7]


def test_runs_without_losses_or_stopped_with_an_error_draw_nothing(study):
    assert (
        losses.panels(study, [record("vanilla", 0, losses=[]), record("r3f", 0, status="error", error="killed")]) == []
    )


def test_long_logs_are_thinned_but_keep_both_ends(study):
    steps = range(1, 20_001)
    panel, *_ = losses.panels(study, [record("vanilla", seed, steps=steps) for seed in range(2)])
    mean = lines(panel, "mean")[0]
    assert (mean["x"][0], mean["x"][-1]) == (1, 20_000)
    assert len(mean["x"]) == 200
    assert "200" in panel.note


def test_the_order_of_records_does_not_matter(study):
    runs = records()
    assert losses.panels(study, runs) == losses.panels(study, runs[::-1])
