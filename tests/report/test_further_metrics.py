"""Metrics that are not judged, in every form of the report."""

import io

import pytest
from rich.console import Console

from holdfast.records.summary import MetricRow
from holdfast.report.further_metrics import metric_table
from holdfast.report.markdown import markdown
from holdfast.report.page import page
from holdfast.report.terminal import render


def row(method, metric, mean, std):
    return MetricRow(task="rte", method=method, metric=metric, n=3, mean=mean, std=std, scores=[])


@pytest.fixture
def study(normal):
    rows = [row("vanilla", "f1", 71.26, 1.04), row("r3f", "f1", 73.0, None), row("r3f", "matthews", None, None)]
    return normal.model_copy(update={"metrics": [*rows, row("vanilla", "matthews", -3.0, 0.5)]})


def test_methods_stand_beside_metrics(study):
    table = metric_table(study, "rte")
    assert table.header == ("f1", "matthews")
    assert dict(zip(table.methods, table.lines, strict=True)) == {
        "vanilla": ("71.3 ± 1.0", "−3.0 ± 0.5"),
        "r3f": ("73.0", "–"),
    }
    assert metric_table(study, "cola") is None


def test_every_report_shows_them_once(study, normal):
    console = Console(file=io.StringIO(), width=100)
    console.print(render(study))
    for text in (markdown(study), page(study, []), console.file.getvalue()):
        assert text.count("71.3 ± 1.0") == 1
        assert text.lower().count("further metrics, mean ± std, not judged") == 1
    assert "urther metrics" not in markdown(normal) + page(normal, [])
