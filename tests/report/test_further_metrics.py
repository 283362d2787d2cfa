"""Metrics that are not judged, in every form of the report."""

import pytest

from holdfast.records.summary import MetricRow
from holdfast.report.sections import results
from report.rendered import grid, markdown, page, terminal


def row(method, metric, mean, std):
    return MetricRow(task="rte", method=method, metric=metric, n=3, mean=mean, std=std, scores=[])


@pytest.fixture
def study(normal):
    rows = [row("vanilla", "f1", 71.26, 1.04), row("r3f", "f1", 73.0, None), row("r3f", "matthews", None, None)]
    return normal.model_copy(update={"metrics": [*rows, row("vanilla", "matthews", -3.0, 0.5)]})


def test_methods_stand_beside_metrics(study):
    (block,) = results.blocks(study, [])
    (further,) = block.parts[0].parts
    header, lines = grid(further.table)
    assert header == ["f1", "matthews"]
    assert lines == {"vanilla": ["71.3 ± 1.0", "−3.0 ± 0.5"], "r3f": ["73.0", "–"]}


def test_every_report_shows_them_once(study, normal):
    for text in (markdown(study), page(study), terminal(study, 100)):
        assert text.count("71.3 ± 1.0") == 1
        assert text.lower().count("further metrics, mean ± std, not judged") == 1
    assert "urther metrics" not in markdown(normal) + page(normal)
