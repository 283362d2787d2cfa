import json
import os
import signal
import subprocess
import sys

import pytest

from holdfast.errors import HoldfastError
from holdfast.records.summary import Summary
from holdfast.study.run.study_runner import remake_results
from holdfast.study.store.run_store import Store
from study import fake_runner, studies
from study.studies import begun, prepared, run, script, timeless

IN_PROCESS = {"workers": 0}


def expected_scores(plan, method):
    return [100 * fake_runner.score(spec) for spec in plan.grid if spec.method == method]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_a_study_ends_with_every_score_the_best_model_and_the_outputs(fakes, tickets, tmp_path, workers):
    plan = prepared(tickets, workers=workers, seeds=3)
    summary = run(plan, tmp_path / "out")

    assert [row.method for row in summary.results] == ["vanilla", "r3f"]
    for row in summary.results:
        assert row.scores == pytest.approx(expected_scores(plan, row.method))
    winner = max(plan.grid, key=fake_runner.score)
    (best,) = summary.best
    assert (best.run, best.path, best.optimistic) == (winner.id, "best", True)
    placed = json.loads((tmp_path / "out" / "best" / "config.json").read_text())
    assert placed["of"] == ["tickets", winner.method, winner.seed]
    assert (tmp_path / "out" / "best" / "README.md").read_text() == f"card of {winner.method} {winner.seed}"
    assert [path.parent.name for path in tmp_path.glob("out/runs/*/model")] == [winner.id]
    assert Summary.model_validate_json((tmp_path / "out" / "summary.json").read_text()) == summary
    assert (tmp_path / "out" / "report.html").read_text() == "page of 6 runs"


def test_runs_on_perturbed_data_are_done_last_and_change_no_result(fakes, tickets, tmp_path):
    plan = prepared(tickets, **IN_PROCESS, perturb="data")
    summary = timeless(run(plan, tmp_path / "out"))
    assert begun(fakes)[:4] == ["tickets vanilla 0", "tickets r3f 0", "tickets vanilla 1", "tickets r3f 1"]
    assert begun(fakes)[4:] == ["tickets vanilla 0", "tickets r3f 0"] * 2
    assert len(list(tmp_path.glob("out/runs/*/record.json"))) == 8
    assert len(list(tmp_path.glob("out/runs/*/model"))) == 1
    alone = timeless(run(prepared(tickets, **IN_PROCESS), tmp_path / "alone"))
    for part in ("results", "overall", "sentences", "best", "looks", "tasks", "settings"):
        assert summary[part] == alone[part], part


def test_perturbed_data_may_be_added_to_a_study_later(fakes, tickets, tmp_path):
    before = timeless(run(prepared(tickets, **IN_PROCESS), tmp_path / "out"))
    after = timeless(run(prepared(tickets, **IN_PROCESS, perturb="data"), tmp_path / "out"))
    assert len(begun(fakes)) == 8
    assert (after["results"], after["looks"], after["best"]) == (before["results"], 1, before["best"])


def test_methods_are_compared_seed_by_seed(fakes, tickets, tmp_path):
    run(prepared(tickets, **IN_PROCESS), tmp_path / "out")
    assert begun(fakes) == ["tickets vanilla 0", "tickets r3f 0", "tickets vanilla 1", "tickets r3f 1"]


def test_the_same_call_on_a_finished_study_runs_nothing(fakes, tickets, tmp_path):
    first = run(prepared(tickets, **IN_PROCESS), tmp_path / "out")
    again = run(prepared(tickets, **IN_PROCESS), tmp_path / "out")
    assert len(begun(fakes)) == 4
    assert again == first


def test_a_run_that_raises_costs_that_run_only_and_is_repeated_only_on_request(fakes, tickets, tmp_path):
    script(fakes, **{"r3f:0": "raise"})
    summary = run(prepared(tickets, **IN_PROCESS), tmp_path / "out")
    (error,) = summary.errors
    assert (error["method"], error["error"]) == ("r3f", "ValueError: the loss is a tensor of")
    assert [row.missing for row in summary.results] == [0, 1]
    (report,) = tmp_path.glob("out/runs/*/error.txt")
    assert "Traceback" in report.read_text()
    assert "two lines" in report.read_text()

    script(fakes)
    assert run(prepared(tickets, **IN_PROCESS), tmp_path / "out").errors == summary.errors
    mended = run(prepared(tickets, **IN_PROCESS), tmp_path / "out", retry_failed=True)
    assert mended.errors == []
    assert begun(fakes).count("tickets r3f 0") == 2
    assert len(begun(fakes)) == 5


def test_more_seeds_and_methods_keep_what_is_there(fakes, tickets, tmp_path):
    run(prepared(tickets, **IN_PROCESS), tmp_path / "out")
    summary = run(prepared(tickets, **IN_PROCESS, seeds=3, methods=["r4f", "vanilla", "r3f"]), tmp_path / "out")
    alone = run(prepared(tickets, **IN_PROCESS, seeds=3, methods=["r4f", "vanilla", "r3f"]), tmp_path / "alone")
    assert len(begun(fakes)) == 9 + 9
    assert timeless(summary)["results"] == timeless(alone)["results"]
    assert summary.best == alone.best
    assert (summary.looks, alone.looks) == (2, 1)


def test_data_that_change_under_a_study_are_noticed(fakes, tickets, tmp_path):
    run(prepared(tickets, **IN_PROCESS), tmp_path / "out")
    studies.write_csv(tickets, seed=1)
    with pytest.raises(HoldfastError, match=r"rows of task tickets .* have changed"):
        run(prepared(tickets, **IN_PROCESS), tmp_path / "out")


def test_data_that_change_before_a_worker_reads_them_are_an_error_of_the_run(fakes, tickets, tmp_path):
    plan = prepared(tickets, seeds=1, methods=["vanilla"])
    studies.write_csv(tickets, seed=1)
    summary = run(plan, tmp_path / "out")
    assert "rows of task tickets have changed" in summary.errors[0]["error"]


def test_several_tasks_have_a_best_model_each(fakes, tickets, tmp_path):
    other = studies.write_csv(tmp_path / "second set.csv", seed=5)
    plan = prepared([tickets, other], **IN_PROCESS)
    summary = run(plan, tmp_path / "out")
    assert [best.path for best in summary.best] == ["best/tickets", "best/second-set"]
    for best, task in zip(summary.best, ["tickets", "second set"], strict=True):
        runs = [spec for spec in plan.grid if spec.task.source.endswith(f"{task}.csv")]
        assert best.run == max(runs, key=fake_runner.score).id
        assert json.loads((tmp_path / "out" / best.path / "config.json").read_text())["of"][0] == task


def test_interrupted_in_this_process_it_goes_on_where_it_was(fakes, tickets, tmp_path):
    script(fakes, **{"vanilla:1": "interrupt"})
    with pytest.raises(KeyboardInterrupt):
        run(prepared(tickets, **IN_PROCESS), tmp_path / "out")
    script(fakes)
    summary = run(prepared(tickets, **IN_PROCESS), tmp_path / "out")
    assert begun(fakes).count("tickets vanilla 1") == 2
    assert len(begun(fakes)) == 5
    assert summary.looks == 1


@pytest.mark.slow
def test_killed_at_any_run_it_ends_with_the_same_summary(fakes, tickets, tmp_path):
    alone = run(prepared(tickets, seeds=3, **IN_PROCESS), tmp_path / "alone")
    (fakes / "begun").unlink()
    script(fakes, **{"r3f:1": "hang"})
    command = [sys.executable, "-m", "study.driver", "study", str(tickets), str(tmp_path / "out"), "3"]
    study = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with study:
        for line in study.stdout:
            if line == "r3f 1 3\n":
                study.send_signal(signal.SIGKILL)
    assert study.returncode == -signal.SIGKILL
    # What the killed run left behind does not count.
    begun_runs = [path.parent for path in tmp_path.glob("out/runs/*/spec.json")]
    (half,) = [folder for folder in begun_runs if not (folder / "record.json").exists()]
    assert (half / "model").is_dir()
    script(fakes)
    summary = run(prepared(tickets, seeds=3), tmp_path / "out")
    assert timeless(summary) == timeless(alone)
    assert begun(fakes).count("tickets r3f 1") == 2
    assert len(begun(fakes)) == 7


def test_results_are_made_anew_from_the_folder_alone(fakes, tickets, tmp_path):
    summary = run(prepared(tickets, **IN_PROCESS), tmp_path / "out")
    for name in ("summary.json", "report.html"):
        (tmp_path / "out" / name).unlink()
    tickets.unlink()
    assert remake_results(tmp_path / "out", studies.PLAIN) == summary
    assert (tmp_path / "out" / "report.html").exists()


def test_a_look_at_a_stopped_study_is_counted(fakes, tickets, tmp_path):
    script(fakes, **{"vanilla:1": "interrupt"})
    with pytest.raises(KeyboardInterrupt):
        run(prepared(tickets, **IN_PROCESS), tmp_path / "out")
    assert remake_results(tmp_path / "out", studies.PLAIN).looks == 1
    script(fakes)
    assert run(prepared(tickets, **IN_PROCESS), tmp_path / "out").looks == 2


def test_a_declared_second_stage_uses_the_smaller_level_at_both_looks(fakes, tickets, tmp_path):
    first = run(prepared(tickets, max_seeds=3, **IN_PROCESS), tmp_path / "out")
    second = run(prepared(tickets, max_seeds=3, seeds=3, **IN_PROCESS), tmp_path / "out")
    assert (first.settings.alpha, second.settings.alpha, second.looks) == (0.025, 0.025, 2)
    assert not any("Looked at" in sentence for sentence in second.sentences)
    with pytest.raises(HoldfastError, match="max_seeds is 3 and there are 4 seeds"):
        prepared(tickets, max_seeds=3, seeds=4)


@pytest.mark.slow
def test_listeners_hear_every_step_and_every_end(fakes, tickets, tmp_path):
    script(fakes, **{"r3f:1": "raise"})
    heard = studies.Heard()
    run(prepared(tickets), tmp_path / "out", heard)
    assert heard.moves[:2] == [("vanilla", 0, "started"), ("vanilla", 0, 1, 3, 1.0)]
    assert ("r3f", 1, 3, 3, pytest.approx(1 / 3)) in heard.moves
    assert heard.ends == [
        ("vanilla", 0, "finished", 1, 4),
        ("r3f", 0, "finished", 2, 4),
        ("vanilla", 1, "finished", 3, 4),
        ("r3f", 1, "error", 4, 4),
    ]


def test_a_study_without_a_single_result_is_still_summarised(fakes, tickets, tmp_path):
    script(fakes, **{"vanilla:0": "raise", "r3f:0": "mistake"})
    summary = run(prepared(tickets, seeds=1, **IN_PROCESS), tmp_path / "out")
    assert [row.n for row in summary.results] == [0, 0]
    assert summary.best == []
    assert not (tmp_path / "out" / "best").exists()
    assert summary.errors[1]["error"] == "precision fp16 needs a GPU: use bf16 or fp32"


def test_model_files_of_the_best_run_take_no_space_twice(fakes, tickets, tmp_path):
    summary = run(prepared(tickets, **IN_PROCESS), tmp_path / "out")
    run_model = Store(tmp_path / "out").runs / summary.best[0].run / "model" / "model.safetensors"
    assert os.path.samefile(run_model, tmp_path / "out" / "best" / "model.safetensors")
