import math
import sys
from collections import Counter
from types import SimpleNamespace

import pytest

from holdfast.study.run import time_estimate as module
from holdfast.study.run.time_estimate import estimate
from study import studies
from study.run_records import run_record
from study.studies import prepared

PACE = {"vanilla": 0.1, "r3f": 0.25}
"""Seconds of a step on the first task; the second takes twice as long."""


@pytest.fixture
def machine(fakes, monkeypatch):
    """A machine of known speed: loading takes 3 s, starting a process 2 s."""
    now = [0.0]
    timed = []

    def run(spec, task, folder, on_progress, keep_model):
        pace = PACE[spec.method] * (2 if task.name == "slow" else 1)
        timed.append((task.name, spec.method))
        for step in range(1, spec.settings.max_steps + 1):
            # The first step warms up.
            now[0] += pace if step > 1 else 5.0
            on_progress(SimpleNamespace(step=step, total=spec.settings.max_steps, phase="training", loss=None))
        return run_record(spec=spec, method=spec.method, seconds=3.0, train_seconds=0.0)

    monkeypatch.setitem(sys.modules, "holdfast.training.run.train_run", SimpleNamespace(run=run))
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(module, "_start_up", lambda: 2.0)
    return timed


def test_a_run_takes_its_start_its_steps_and_its_scoring(machine, tickets, tmp_path):
    slow = studies.write_csv(tmp_path / "slow.csv", seed=4)
    plan = prepared([tickets, slow], settings={"max_steps": 40, "batch_size": 5, "accumulation": 2}, threads=1)
    guess = estimate(plan, plan.grid)
    # A row costs a third of its part of a step: 8 validation rows, 10 rows a step.
    scoring = 8 * 0.1 / 10 / 3
    expected = {
        ("tickets", "vanilla"): 2 + 3 + 40 * 0.1 + scoring,
        ("tickets", "r3f"): 2 + 3 + 40 * 0.25 + scoring,
        ("slow", "vanilla"): 2 + 3 + 40 * 0.2 + 2 * scoring,
        ("slow", "r3f"): 2 + 3 + 40 * 0.5 + 2 * scoring,
    }
    for spec in plan.grid:
        task = "slow" if "slow" in spec.task.source else "tickets"
        assert guess.runs[spec.id] == pytest.approx(expected[task, spec.method])
    assert sorted(machine) == [("slow", "vanilla"), ("tickets", "r3f"), ("tickets", "vanilla")]
    assert guess.total(plan.grid) == pytest.approx(2 * sum(expected.values()))
    assert guess.total([]) == 0.0


def test_a_reference_takes_a_pass_over_its_rows_where_a_model_reads_them(machine, tickets):
    plan = prepared(tickets, settings={"batch_size": 5, "accumulation": 2}, threads=1)
    words, states = (
        plan.grid[0].model_copy(update={"method": "", "reference": one}) for one in ("tfidf", "embeddings")
    )
    guess = estimate(plan, [*plan.grid, words, states])
    # 32 training and 8 scored rows, each a millisecond to fit, and 10 rows a step to read.
    assert guess.runs[words.id] == pytest.approx(2 + 40 * 1e-3)
    assert guess.runs[states.id] == pytest.approx(2 + 40 * 1e-3 + 3 + 40 * 0.1 / 10 / 3)


RETRAINING = {"surt(epochs=3)": (3, 0.5), "surt(epochs=1)+r3f": (1, 0.5)}
"""Passes before the task's own training, and seconds of a step of theirs on the first task."""


@pytest.fixture
def retraining_machine(fakes, monkeypatch):
    """As ``machine``, with methods that train first; building their language model takes 7 s."""
    now, steps = [0.0], []

    def run(spec, task, folder, on_progress, keep_model):
        slow = 2 if task.name == "slow" else 1
        settings = spec.settings
        passes, pace = RETRAINING.get(spec.method, (0, 0.0))
        total = passes * math.ceil(len(task.splits["train"]) / settings.batch_size / settings.accumulation)
        for step in range(total + 1 if passes else 0):
            now[0] += pace * slow if step > 1 else 7.0
            steps.append((task.name, spec.method))
            on_progress(SimpleNamespace(step=step, total=total, phase="re-training", loss=None))
        for step in range(1, settings.max_steps + 1):
            now[0] += (0.25 if "r3f" in spec.method else 0.1) * slow
            on_progress(SimpleNamespace(step=step, total=settings.max_steps, phase="training", loss=None))
        return run_record(spec=spec, method=spec.method, seconds=3.0, train_seconds=0.0)

    monkeypatch.setitem(sys.modules, "holdfast.training.run.train_run", SimpleNamespace(run=run))
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(module, "_start_up", lambda: 2.0)
    return steps


def test_what_is_trained_first_counts(retraining_machine, tickets, tmp_path):
    """32 rows, two to a step: 16 steps a pass, of which at most 6 are made to time them."""
    slow = studies.write_csv(tmp_path / "slow.csv", seed=4)
    settings = {"max_steps": 40, "batch_size": 1, "accumulation": 2}
    plan = prepared([tickets, slow], methods=["vanilla", *RETRAINING], settings=settings, threads=1)
    guess = estimate(plan, plan.grid)
    seconds = {
        "vanilla": 40 * 0.1,
        "surt(epochs=3)": 40 * 0.1 + 3 * 16 * 0.5,
        "surt(epochs=1)+r3f": 40 * 0.25 + 16 * 0.5,
    }
    for spec in plan.grid:
        pace = 2 if "slow" in spec.task.source else 1
        expected = 2 + 3 + pace * (seconds[spec.method] + 8 * 0.1 / 2 / 3)
        assert guess.runs[spec.id] == pytest.approx(expected)
    assert max(Counter(retraining_machine).values()) <= 7


def test_a_baseline_that_trains_first_is_timed_on_every_task(retraining_machine, tickets, tmp_path):
    slow = studies.write_csv(tmp_path / "slow.csv", seed=4)
    settings = {"max_steps": 40, "batch_size": 1, "accumulation": 2}
    plan = prepared([tickets, slow], methods=["surt(epochs=3)"], settings=settings, threads=1)
    guess = estimate(plan, plan.grid)
    for spec in plan.grid:
        pace = 2 if "slow" in spec.task.source else 1
        assert guess.runs[spec.id] == pytest.approx(2 + 3 + pace * (40 * 0.1 + 3 * 16 * 0.5 + 8 * 0.1 / 2 / 3))


def test_perturbed_data_cost_what_their_rows_do(machine, tickets):
    plan = prepared(tickets, perturb="data", settings={"batch_size": 1, "epochs": 1}, threads=1)
    guess = estimate(plan, plan.grid)
    assert sorted(machine) == [("tickets", "r3f"), ("tickets", "vanilla")]
    whole, tenth_less = (
        next(guess.runs[s.id] for s in plan.grid if s.method == "vanilla" and (s.perturb is None) == alone)
        for alone in (True, False)
    )
    # 32 rows, of which 3 are removed.
    assert whole - tenth_less == pytest.approx(3 * 0.1)


def test_workers_share_runs_but_none_is_shorter(machine, tickets):
    plan = prepared(tickets, workers=8, threads=1)
    guess = estimate(plan, plan.grid)
    assert guess.total(plan.grid) == pytest.approx(max(guess.runs.values()))
    two = prepared(tickets, workers=2, threads=1)
    assert estimate(two, two.grid).total(two.grid) == pytest.approx(sum(guess.runs.values()) / 2)
