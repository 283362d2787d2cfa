import plotly.graph_objects as go

from holdfast.report.figures import representation
from report.transfers import layers, transfers


def lines(panel):
    return {trace["meta"]["method"]: trace for trace in panel.figure["data"] if "method" in trace["meta"]}


def test_a_panel_a_measure_and_a_line_a_method():
    panels = representation.panels(transfers())
    names = ("CKA with the pre-trained model", "effective rank", "mean cosine", "distance of the weights")
    assert [panel.title for panel in panels] == [f"rte: {name}" for name in names]
    for panel in panels:
        go.Figure(panel.figure)
        assert set(lines(panel)) == {0, 1}
    assert lines(panels[0])[1]["x"] == [0, 1, 2]
    assert lines(panels[0])[1]["y"] == [1.0, 0.9, 0.7]
    assert "r4f: 1 in layer 0, 0.7 in layer 2." in panels[0].alt


def test_the_pre_trained_model_is_a_line_that_no_button_hides():
    cka, rank, *_ = representation.panels(transfers())
    (start,) = [trace for trace in rank.figure["data"] if trace["meta"]["kind"] == "pre-trained"]
    assert start["y"] == [60.0] * 3
    assert "method" not in start["meta"]
    assert "Pre-trained model: 60 in layer 0" in rank.alt
    assert "pre-trained" in rank.note
    assert cka.note == ""


def test_a_measure_without_values_has_no_panel():
    result = transfers()
    result.representations = layers("vanilla", (1.0, 0.5), weight_distance=None, effective_rank=None)
    assert [panel.title for panel in representation.panels(result)] == [
        "rte: CKA with the pre-trained model",
        "rte: mean cosine",
    ]


def test_a_layer_without_a_value_has_no_point():
    result = transfers()
    result.representations[1].cka = None
    assert lines(representation.panels(result)[0])[0]["x"] == [0, 2]
