import plotly.graph_objects as go
import pytest

from holdfast.report.figures import transfer
from report.transfers import transfers


def traces(panel, kind):
    return {trace["meta"]["method"]: trace for trace in panel.figure["data"] if trace["meta"]["kind"] == kind}


def test_a_panel_a_target_with_a_dot_a_run():
    cola, subj = transfer.panels(transfers(), "probe")
    assert cola.title == "rte → cola: matthews, linear probes"
    go.Figure(cola.figure)
    assert traces(cola, "runs")[1]["x"] == [30.0, 29.0, 31.0, 30.5, 29.5]
    assert traces(cola, "mean")[1]["x"] == [30.0]
    # A run without a score has no dot.
    assert traces(subj, "runs")[1]["x"] == [84.0, 86.0, 86.0, 84.5]
    assert "seed 3: 84.5" in traces(subj, "runs")[1]["text"][3]
    (scitail,) = transfer.panels(transfers(), "ood")
    assert scitail.title == "rte → scitail: accuracy, out of domain"


def test_the_pre_trained_model_is_a_line_and_a_far_constant_is_pointed_at():
    cola, _ = transfer.panels(transfers(), "probe")
    layout = cola.figure["layout"]
    assert [shape["x0"] for shape in layout["shapes"]] == [0.0, 31.5]
    low, high = layout["xaxis"]["range"]
    assert 0 < low < 20
    assert high > 31.5
    said = [note["text"] for note in layout["annotations"]]
    assert "← constant prediction 0.0" in said
    assert "pre-trained 31.5" in said


def test_labels_of_two_references_never_share_a_line():
    for panel in transfer.panels(transfers(), "probe"):
        heights = [note["yshift"] for note in panel.figure["layout"]["annotations"] if "yshift" in note]
        assert len(set(heights)) == len(heights) == 2


def test_the_alt_text_states_the_numbers():
    cola, _ = transfer.panels(transfers(), "probe")
    for said in (
        "vanilla: 5 runs, 20.0 to 24.0, mean 22.0, baseline.",
        "r4f: 5 runs, 29.0 to 31.0",
        "pre-trained: 31.5",
    ):
        assert said in cola.alt


@pytest.mark.parametrize("kind", ["ood", "probe"])
def test_without_scores_there_is_nothing_to_draw(kind, normal):
    assert transfer.panels(normal, kind) == []
    result = transfers()
    for row in result.transfer:
        row.n, row.mean, row.scores = 0, None, [None] * 5
    assert transfer.panels(result, kind) == []
