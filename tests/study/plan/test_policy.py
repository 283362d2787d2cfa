"""A study whose runs depend on the results of others."""

from dataclasses import replace

import pytest

from holdfast.cli.plan import how_to_go_on, show_plan
from holdfast.study.plan.policy import Planned, Policy
from holdfast.study.run.progress import ended_line
from holdfast.study.run.study_runner import remake_results
from holdfast.study.run.time_estimate import Estimate
from holdfast.study.store.run_store import Store
from study import fake_runner, studies
from study.studies import begun, prepared, run, script, timeless

RATES, SEED = (1e-5, 2e-5), 7


class OnceMore(Policy):
    """The runs of a study, and then the better of its two methods with two further seeds."""

    def __init__(self, first):
        self.first = first

    def planned(self, records):
        ended = [record for spec in self.first if (record := records.get(spec.id)) is not None]
        if len(ended) < len(self.first):
            return Planned(self.first, complete=False)
        best = max((record for record in ended if record.metrics), key=lambda record: record.metrics["accuracy"]).spec
        return Planned([*self.first, *(best.model_copy(update={"seed": s, "data_seed": s}) for s in (SEED, SEED + 1))])


class Search(Policy):
    """One trial of a method at each of two learning rates, which is best on a seed of its own, before the study."""

    def __init__(self, first):
        self.first = first

    def planned(self, records):
        settings = self.first[0].settings
        trial = self.first[0].model_copy(update={"seed": 99, "data_seed": 99, "role": "search"})
        trials = [
            trial.model_copy(update={"settings": settings.model_copy(update={"learning_rate": rate})}) for rate in RATES
        ]
        done = all(spec.id in records for spec in trials)
        return Planned([*trials, *(self.first if done else [])], complete=done)


def growing(data, policy=OnceMore, **options):
    plan = prepared(data, workers=0, **options)
    return replace(plan, policy=policy(plan.grid))


def ids(runs):
    return [spec.id for spec in runs]


def winner(plan):
    return max(plan.grid, key=fake_runner.score).method


def test_runs_are_asked_for_by_the_results_of_others(fakes, tickets, tmp_path):
    plan = growing(tickets)
    summary = run(plan, tmp_path / "out")
    best = winner(plan)
    assert begun(fakes)[4:] == [f"tickets {best} 7", f"tickets {best} 8"]
    row = next(row for row in summary.results if row.method == best)
    # Two seeds that the study names, then those that the policy added.
    assert (row.n, row.missing, summary.settings.seeds) == (4, 0, [0, 1, 7, 8])
    for score, seed in zip(row.scores, [0, 1, 7, 8], strict=True):
        spec = plan.grid[0].model_copy(update={"method": best, "seed": seed})
        assert score == pytest.approx(100 * fake_runner.score(spec))
    assert remake_results(tmp_path / "out", studies.PLAIN) == summary


@pytest.mark.parametrize("at", [1, 7, 8])
def test_stopped_anywhere_it_goes_on_without_repeating_a_run(fakes, tickets, tmp_path, at):
    plan = growing(tickets)
    alone = run(plan, tmp_path / "alone")
    (fakes / "begun").unlink()
    stopped = f"{winner(plan)}:{at}"
    script(fakes, **{stopped: "interrupt"})
    with pytest.raises(KeyboardInterrupt):
        run(growing(tickets), tmp_path / "out")
    script(fakes)
    summary = run(growing(tickets), tmp_path / "out")
    assert timeless(summary) == timeless(alone)
    # Only the run that was stopped began twice.
    assert len(begun(fakes)) == 6 + 1
    assert len(set(begun(fakes))) == 6


def test_results_of_a_stopped_study_tell_what_was_asked_for(fakes, tickets, tmp_path):
    plan = growing(tickets)
    best = winner(plan)
    script(fakes, **{f"{best}:7": "interrupt"})
    with pytest.raises(KeyboardInterrupt):
        run(plan, tmp_path / "out")
    errors = remake_results(tmp_path / "out", studies.PLAIN).errors
    assert [(one["method"], one["seed"], one["error"]) for one in errors] == [
        (best, "7", "no result yet"),
        (best, "8", "no result yet"),
    ]
    assert "stopped with 4 of 6 runs done" in how_to_go_on(plan, tmp_path / "out")


def test_the_best_model_of_a_later_batch_stays_while_failed_runs_are_done_again(fakes, tickets, tmp_path):
    plan = growing(tickets, methods=["vanilla", "r3f"])
    loser = next(method for method in ("vanilla", "r3f") if method != winner(plan))
    script(fakes, **{f"{loser}:1": "raise"})
    run(plan, tmp_path / "out")
    script(fakes)
    summary = run(plan, tmp_path / "out", retry_failed=True)
    assert (summary.errors, len(begun(fakes))) == ([], 7)
    (best,) = summary.best
    assert best.run == max(Store(tmp_path / "out").planned(), key=fake_runner.score).id
    assert [path.parent.name for path in tmp_path.glob("out/runs/*/model")] == [best.run]


def test_trials_of_a_search_come_first_and_enter_no_result(fakes, tickets, tmp_path):
    summary = run(growing(tickets, Search), tmp_path / "out")
    assert begun(fakes)[:2] == ["tickets vanilla 99"] * 2
    assert len(begun(fakes)) == 6
    alone = run(prepared(tickets, workers=0), tmp_path / "alone")
    assert timeless(summary) == timeless(alone)


def test_a_trial_that_failed_is_told(fakes, tickets, tmp_path):
    script(fakes, **{"vanilla:99": "raise"})
    summary = run(growing(tickets, Search), tmp_path / "out")
    assert [(one["method"], one["seed"]) for one in summary.errors] == [("vanilla", "99")] * 2
    assert [row.n for row in summary.results] == [2, 2]


class Lines(studies.Heard):
    def ended(self, progress, record, seconds):
        self.ends.append(ended_line(progress, record, seconds).split("]")[0])


def test_progress_knows_at_least_so_many_runs(fakes, tickets, tmp_path):
    heard = Lines()
    run(growing(tickets), tmp_path / "out", heard)
    assert heard.ends == [*(f"[{n} of at least 4" for n in (1, 2, 3, 4)), "[5/6", "[6/6"]


def test_a_plan_that_may_grow_is_shown_as_the_least(fakes, tickets, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(
        "holdfast.cli.plan.estimate", lambda prepared, runs: Estimate(dict.fromkeys(ids(runs), 60.0), 1)
    )
    plan = growing(tickets)
    show_plan(plan, tmp_path / "out")
    told = capsys.readouterr().out
    assert told.startswith("at least 4 runs: 1 tasks x 2 methods x 2 seeds")
    assert "time     at least roughly 4 min for 4 runs" in told

    script(fakes, **{f"{winner(plan)}:7": "interrupt"})
    with pytest.raises(KeyboardInterrupt):
        run(plan, tmp_path / "out")
    show_plan(plan, tmp_path / "out")
    told = capsys.readouterr().out
    assert told.startswith("6 runs: 1 tasks x 2 methods x 2 seeds, 4 of them done in ")
    assert "time     roughly 2 min for 2 runs" in told
