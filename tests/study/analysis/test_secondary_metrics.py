"""Metrics that are shown and not judged, from hand-made records."""

import pytest

from study.analysis.test_transfer import METHODS, info, summary
from study.run_records import run_record, run_spec


def run(method, seed, **metrics):
    return run_record(spec=run_spec("sst2", method, seed), metrics={"accuracy": 0.8} | metrics)


def test_every_metric_but_the_primary_has_a_row_a_method():
    records = [run("vanilla", seed, f1=0.5 + 0.1 * seed, matthews=None) for seed in range(3)]
    records += [run("r3f", 0, f1=float("nan"), matthews=0.2), run("r3f", 2, f1=0.9, matthews=-0.2)]
    found = {(row.metric, row.method): row for row in summary(records, [info(targets=[])]).metrics}
    assert list(found) == [("f1", "vanilla"), ("f1", "r3f"), ("matthews", "vanilla"), ("matthews", "r3f")]
    first = found["f1", "vanilla"]
    assert first.scores == pytest.approx([50, 60, 70])
    assert (first.n, first.mean, first.std) == pytest.approx((3, 60, 10))
    # Neither a run without a result nor an undefined score counts as anything.
    assert found["f1", "r3f"].scores == [None, None, pytest.approx(90)]
    assert found["matthews", "vanilla"].mean is None
    assert found["matthews", "r3f"].mean == pytest.approx(0)


def test_a_task_with_one_metric_has_none():
    assert summary([run(method, seed) for method in METHODS for seed in range(3)], [info(targets=[])]).metrics == []
