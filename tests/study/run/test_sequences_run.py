"""Sequences of tasks as they are run: in order, going on where they were stopped, with no model kept for longer."""

import pytest

from study import studies


@pytest.fixture
def data(tmp_path):
    return [studies.write_csv(tmp_path / f"{name}.csv", seed=seed) for seed, name in enumerate(("first", "second"))]


def models(out):
    return {path.parent.name for path in out.glob("runs/*/model")}


def test_a_sequence_stopped_goes_on_from_the_models_it_kept(data, fakes, tmp_path):
    plan = studies.prepared(data, sequence="cycles", cycles=2, workers=0)
    out = tmp_path / "out"
    studies.script(fakes, **{"r3f:1": "interrupt"})
    with pytest.raises(KeyboardInterrupt):
        studies.run(plan, out)
    turns = [spec for spec in plan.grid if not spec.untrained]
    ended = [spec.id for spec in turns[:3]]
    assert models(out) >= set(ended), "what later stages go on from is kept"
    studies.script(fakes)
    summary = studies.run(plan, out)
    assert summary.protocol == "cycles"
    assert [row.n for row in summary.results] == [2] * 8
    assert (out / "report.html").read_text() == "page of cycles"
    lines = [line for line in studies.begun(fakes) if line.split()[1] in ("vanilla", "r3f")]
    assert lines == [
        *["first vanilla 0", "first r3f 0", "first vanilla 1", "first r3f 1", "first r3f 1"],
        *["second vanilla 0", "second r3f 0", "second vanilla 1", "second r3f 1"],
        *["first vanilla 0", "first r3f 0", "first vanilla 1", "first r3f 1"],
        *["second vanilla 0", "second r3f 0", "second vanilla 1", "second r3f 1"],
    ]
    assert models(out) == set(), "nothing goes on from any of them now"


def test_a_run_that_failed_keeps_the_model_it_is_to_go_on_from(data, fakes, tmp_path):
    plan = studies.prepared(data, sequence="chain", methods=["r3f"], seeds=1, workers=0)
    out = tmp_path / "out"
    studies.run(plan, out)
    reference, first, second = plan.grid
    assert second.after == first.id
    (out / "runs" / second.id / "record.json").unlink()
    (out / "runs" / first.id / "record.json").unlink()
    (out / "runs" / reference.id / "record.json").unlink()
    studies.script(fakes, **{"r3f:0": "raise"})
    studies.run(plan, out)
    studies.script(fakes)
    summary = studies.run(plan, out, retry_failed=True)
    assert [row.n for row in summary.results] == [1, 1]
    assert summary.errors == []


def test_a_chain_may_grow_by_seeds_but_not_change_its_order(data, fakes, tmp_path):
    from holdfast.errors import HoldfastError
    from holdfast.study.store.run_store import Store

    out = tmp_path / "out"
    plan = studies.prepared(data, sequence="chain", seeds=1, workers=0)
    studies.run(plan, out)
    more = studies.prepared(data, sequence="chain", seeds=2, workers=0)
    grown = studies.run(more, out)
    assert [row.n for row in grown.results] == [2] * 4
    assert any("Looked at 2 times" in text for text in grown.sentences), "adding seeds is a second look at the results"
    turned = studies.prepared(data[::-1], sequence="chain", seeds=2, workers=0)
    with pytest.raises(HoldfastError, match="holds another study: tasks is"):
        Store(out).check(turned.study, turned.stored)
