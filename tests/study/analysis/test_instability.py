import numpy as np
import pytest

from holdfast.errors import HoldfastError
from holdfast.records.run import Perturbation
from holdfast.records.summary import TaskInfo
from holdfast.stability import jensen_shannon, linear_cka, pairwise_representations
from holdfast.study.analysis.instability import instability_rows
from holdfast.study.plan.prepare import StoredTask
from holdfast.study.run.study_runner import remake_results
from holdfast.study.store.run_store import Store
from study.run_records import run_record, run_spec
from study.studies import PLAIN, prepared, run, script


def stored(source="rte", kind="classification"):
    values = {"train_rows": 1, "scored_split": "test", "scored_rows": 40, "selection": "", "constant_score": 50.0}
    info = TaskInfo(task=source, metric="accuracy", kind=kind, labels=[], notes=[], warnings=[], **values)
    return StoredTask(source=source, fingerprint="", info=info)


def keep(store, record, rows=40, ids=None):
    """Write what a run stores; return its logits and states."""
    draw = np.random.default_rng(int(record.id[:8], 16))
    logits = draw.standard_normal((rows, 3)).astype(np.float32)
    # The first layer is the same for every row, as embeddings of a first token are.
    states = np.concatenate([np.ones((1, rows, 6)), draw.standard_normal((2, rows, 6))]).astype(np.float16)
    folder = store.begin(record.spec)
    ids = np.arange(rows) if ids is None else ids
    np.savez(folder / "predictions.npz", ids=ids, labels=np.zeros(rows, int), logits=logits)
    np.savez(folder / "representations.npz", ids=ids, states=states, scales=np.ones(3, np.float32))
    return logits, states


def perturbed(seed, score=0.7):
    spec = run_spec(seed=0, perturb=Perturbation(seed=seed))
    return run_record(score, spec=spec)


def test_a_row_holds_the_measures_of_its_runs_files(tmp_path):
    store = Store(tmp_path)
    records = [run_record(score, seed=seed, distance=2.0 + seed) for seed, score in enumerate((0.7, 0.8))]
    (logits, states), (others, other_states) = [keep(store, record) for record in records]
    (row,) = instability_rows(store, records, [stored()], ["vanilla"])
    assert (row.task, row.method, row.varied, row.runs, row.predicted_runs) == ("rte", "vanilla", "seed", 2, 2)
    assert row.score_std == pytest.approx(10 / 2**0.5)
    assert row.score_range == pytest.approx(10)
    assert row.disagreement == pytest.approx((logits.argmax(-1) != others.argmax(-1)).mean())
    softmax = [np.exp(one) / np.exp(one).sum(-1, keepdims=True) for one in (logits, others)]
    assert row.js == pytest.approx(jensen_shannon(softmax), rel=1e-5)
    assert [(layer.layer, layer.runs) for layer in row.layers] == [(0, 0), (1, 2), (2, 2)]
    assert row.layers[0].cka is None
    assert row.layers[2].cka == pytest.approx(1 - linear_cka(states[2], other_states[2]), abs=1e-6)
    assert (row.distance, row.distance_start) == (2.5, None)


def test_variance_over_rows_stands_beside_variance_over_seeds(tmp_path):
    store = Store(tmp_path)
    seeds = [run_record(0.7, seed=seed) for seed in range(3)]
    data = [perturbed(seed, score) for seed, score in enumerate((0.6, 0.8))]
    other = [run_record(0.7, method="r3f", seed=seed) for seed in range(2)]
    rows = instability_rows(store, [*seeds, *data, *other], [stored()], ["vanilla", "r3f"])
    assert [(row.method, row.varied, row.runs) for row in rows] == [
        ("vanilla", "seed", 3),
        ("r3f", "seed", 2),
        ("vanilla", "data", 2),
    ]
    assert [row.score_range for row in rows] == pytest.approx([0, 0, 20])


def test_failed_runs_count_and_are_judged_beside_the_other_methods(tmp_path):
    vanilla = [run_record(0.5, seed=seed) for seed in range(2)]
    r3f = [run_record(0.9, method="r3f", seed=seed) for seed in range(3)]
    rows = instability_rows(Store(tmp_path), vanilla + r3f, [stored()], ["vanilla", "r3f"])
    assert [row.failed_share for row in rows] == [1, 0]


def test_runs_without_files_and_runs_that_stopped(tmp_path):
    """Runs without files have scores only; one run alone, and one with an error, have no row."""
    store = Store(tmp_path)
    old = [run_record(0.7, seed=seed) for seed in range(2)]
    alone = [run_record(method="r3f"), run_record(method="r3f", seed=1, status="error")]
    (row,) = instability_rows(store, old + alone, [stored()], ["vanilla", "r3f"])
    assert (row.method, row.predicted_runs, row.disagreement, row.layers) == ("vanilla", 0, None, [])


def test_regression_has_no_classes_to_disagree_on(tmp_path):
    store = Store(tmp_path)
    records = [run_record(0.7, seed=seed) for seed in range(2)]
    for record in records:
        keep(store, record)
    (row,) = instability_rows(store, records, [stored(kind="regression")], ["vanilla"])
    assert (row.disagreement, row.js, row.kappa_distance) == (None, None, None)
    assert row.layers[2].cka is not None


def test_files_that_cannot_be_read_or_hold_other_rows_are_told_with_their_place(tmp_path):
    store = Store(tmp_path)
    records = [run_record(0.7, seed=seed) for seed in range(2)]
    keep(store, records[0])
    keep(store, records[1], ids=np.arange(1, 41))
    with pytest.raises(HoldfastError, match=rf"{records[1].id}.*predictions\.npz holds other rows .* delete") as caught:
        instability_rows(store, records, [stored()], ["vanilla"])
    assert "\n" not in str(caught.value)
    keep(store, records[1])
    (store.runs / records[1].id / "representations.npz").write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(HoldfastError, match=r"representations\.npz is damaged .* delete .* and start again"):
        instability_rows(store, records, [stored()], ["vanilla"])


def test_representations_are_measured_again_only_where_a_file_is_new(tmp_path, monkeypatch):
    store = Store(tmp_path)
    records = [run_record(0.7, seed=seed) for seed in range(3)]
    for record in records:
        keep(store, record)
    few = instability_rows(store, records[:2], [stored()], ["vanilla"])
    first = instability_rows(store, records, [stored()], ["vanilla"])
    assert first[0].layers != few[0].layers
    measured = []
    monkeypatch.setattr(
        "holdfast.stability.instability.pairwise_representations",
        lambda runs: measured.append(len(runs)) or pairwise_representations(runs),
    )
    assert instability_rows(store, records, [stored()], ["vanilla"]) == first
    assert measured == []
    # Another run of the same name; and what is damaged, or from another version, is measured anew.
    keep(store, records[1], rows=40, ids=None)
    changed = store.runs / records[1].id / "representations.npz"
    held = dict(np.load(changed))
    np.savez(changed, **held | {"states": held["states"][:, ::-1]})
    again = instability_rows(store, records, [stored()], ["vanilla"])
    assert (measured, again == first) == ([3, 3], False)
    for content in (b"{", (tmp_path / "layers.json").read_bytes().replace(b'"holdfast":"', b'"holdfast":"0')):
        (tmp_path / "layers.json").write_bytes(content)
        assert instability_rows(store, records, [stored()], ["vanilla"]) == again
    assert measured == [3] * 6


def test_a_study_s_summary_has_its_instability(fakes, tickets, tmp_path):
    plan = prepared(tickets, workers=0, seeds=3)
    result = run(plan, tmp_path / "out")
    by_method = {row.method: row for row in result.results}
    assert [(row.method, row.varied, row.runs) for row in result.luck] == [("vanilla", "seed", 3), ("r3f", "seed", 3)]
    for row in result.luck:
        assert row.score_std == pytest.approx(by_method[row.method].std)
        assert row.score_range == pytest.approx(by_method[row.method].best - by_method[row.method].worst)
    assert remake_results(tmp_path / "out", PLAIN).luck == result.luck


def test_runs_on_perturbed_data_are_instability_and_nothing_else(fakes, tickets, tmp_path):
    script(fakes, **{"r3f:0": "raise"})
    result = run(prepared(tickets, workers=0, seeds=2, perturb="data"), tmp_path / "out")
    assert [row.n for row in result.results] == [2, 1]
    assert [(row.method, row.varied, row.runs) for row in result.luck] == [
        ("vanilla", "seed", 2),
        ("vanilla", "data", 2),
    ]
    # The fake fails by method and seed, and perturbed runs have the first seed.
    assert [error["seed"] for error in result.errors] == ["0", "0 (data 0)", "0 (data 1)"]
    assert (tmp_path / "out" / "report.html").read_text() == "page of 4 runs"
