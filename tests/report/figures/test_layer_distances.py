import plotly.graph_objects as go

from holdfast.report.figures import layer_distances
from holdfast.report.figures.style import colour
from report.studies import instability, row, summary, task

VANILLA = (66.0, 70.0, 68.0)


def study(*found):
    rows = [row("rte", "vanilla", VANILLA), row("rte", "r3f", VANILLA, VANILLA)]
    return summary(rows, [task()], luck=list(found))


def test_a_panel_a_distance_and_a_line_a_method():
    panels = layer_distances.panels(study(instability("vanilla", 0.1), instability("r3f", 0.1)))
    assert [panel.title for panel in panels] == [
        f"rte: {name} distance between runs" for name in ("CKA", "SVCCA", "Procrustes")
    ]
    for panel, step in zip(panels, (0.1, 0.02, 0.04), strict=True):
        go.Figure(panel.figure)
        assert [trace["meta"]["method"] for trace in panel.figure["data"]] == [0, 1]
        for trace in panel.figure["data"]:
            assert trace["x"] == [1, 2]
            assert trace["y"] == [step, 2 * step]
    assert "0.1 in layer 1, 0.2 in layer 2" in panels[0].alt


def test_layers_that_are_the_same_for_every_row_are_told():
    found = instability("vanilla", 0.1)
    assert "no point" in layer_distances.panels(study(found))[0].note
    found.layers = found.layers[1:]
    assert layer_distances.panels(study(found))[0].note == ""


def test_varied_data_has_the_method_s_colour_and_a_line_of_its_own():
    panel, *_ = layer_distances.panels(study(instability("r3f", 0.1), instability("r3f", 0.1, "data")))
    seeds, data = panel.figure["data"]
    assert seeds["line"]["color"] == data["line"]["color"] == colour(1)
    assert (seeds["line"]["dash"], data["line"]["dash"]) == ("solid", "dot")
    assert data["marker"]["symbol"] == f"{seeds['marker']['symbol']}-open"
    assert "Dotted" in panel.note


def test_without_distances_there_is_nothing_to_draw():
    found = instability("vanilla", 0.1)
    found.layers = found.layers[:1]
    assert layer_distances.panels(study(found, instability("r3f", 0.1, layers=[]))) == []
