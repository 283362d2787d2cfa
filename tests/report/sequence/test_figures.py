import plotly.graph_objects as go

from holdfast.report.sequence.figures import panels
from report.sequence.sequences import chain, cycles, probe


def traces(panel, kind):
    return {trace["meta"]["method"]: trace for trace in panel.figure["data"] if trace["meta"]["kind"] == kind}


def test_a_chain_is_one_panel_over_the_stages():
    (panel,) = panels(chain())
    go.Figure(panel.figure)
    mean = traces(panel, "mean")[0]
    assert mean["x"] == [0, 1, 2, 3]
    assert mean["y"] == [80.2, 85.0, 81.0, 77.0]
    assert panel.figure["layout"]["xaxis"]["ticktext"] == [
        "pre-trained",
        "after<br>sst2",
        "after<br>qnli",
        "after<br>rte",
    ]
    # Three seeds with gaps between them, each from the pre-trained model's score.
    assert traces(panel, "single runs")[1]["y"] == [
        *(80.2, 87.0, 86.0, 85.0, None),
        *(80.2, 88.0, 87.0, 86.0, None),
        *(80.2, 89.0, 88.0, 87.0, None),
    ]


def test_references_are_labelled_and_do_not_squeeze_the_lines():
    (panel,) = panels(chain())
    layout = panel.figure["layout"]
    said = [note["text"] for note in layout["annotations"]]
    assert said == ["constant prediction 50.9 ↓", "pre-trained 80.2"]
    assert [shape["y0"] for shape in layout["shapes"]] == [80.2]
    low, high = layout["yaxis"]["range"]
    assert 70 < low < 76
    assert 89 < high < 92


def test_cycles_have_a_panel_a_task():
    sst2, qnli = panels(cycles())
    assert traces(sst2, "mean")[1]["y"] == [80.2, 85.0]
    assert traces(qnli, "mean")[1]["y"] == [70.0, 72.0]
    assert qnli.figure["layout"]["xaxis"]["ticktext"] == ["1", "2"]
    assert "r4f: cycle 1 70.0, cycle 2 72.0." in qnli.alt
    assert "pre-trained: 70.4." in qnli.alt


def test_missing_runs_are_gaps():
    probes = [probe(0, "", [80.2]), probe(1, "vanilla", [85.0, None, 87.0]), probe(2, "vanilla", [80.0, 81.0, None])]
    (panel,) = panels(chain(probes=probes))
    go.Figure(panel.figure)
    assert traces(panel, "single runs")[0]["y"][4:8] == [80.2, None, 81.0, None]
    # Nothing but the pre-trained model is known of the other method.
    assert traces(panel, "mean")[1]["y"] == [80.2, None, None]


def test_without_probes_there_is_nothing_to_draw():
    assert panels(chain(probes=[])) == []
    assert panels(chain(probes=[probe(0, "", [None]), probe(1, "r4f", [None, None, None])])) == []
