import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from holdfast.records.run import RunRecord
from holdfast.study.define.options import read_data
from study import studies
from study.studies import begun, script


@pytest.mark.slow
def test_a_study_from_a_file_to_a_table_and_four_outputs(fakes, tickets, tmp_path, holdfast):
    told = holdfast("compare", tickets, "--seeds", 3, "--methods", "vanilla,r3f(sigma=0.0)")
    assert told.code == 0
    out = tmp_path / "holdfast-runs" / "tickets"
    assert "results go to holdfast-runs/tickets" in told.err
    for name in ("summary.json", "report.html", "best/config.json", "best/README.md", "study.yaml"):
        assert (out / name).is_file()
    assert len(list(out.glob("runs/*/record.json"))) == 6
    summary = json.loads((out / "summary.json").read_text())
    assert [row["method"] for row in summary["results"]] == ["vanilla", "r3f(sigma=0.0)"]
    for sentence in summary["sentences"]:
        assert "".join(sentence.split()) in "".join(told.out.replace("•", "").split())
    lines = [line for line in told.err.splitlines() if line.startswith("[")]
    assert len(lines) == 6
    first = json.loads(next(out.glob("runs/*/record.json")).read_text())["spec"]
    assert (first["model"], first["settings"]["epochs"]) == ("minilm", None)
    assert lines[0].startswith("[1/6] tickets  vanilla  seed 0  accuracy ")


def test_every_option_reaches_the_study(fakes, tickets, tmp_path, holdfast):
    options = {
        "model": "some/model",
        "revision": "v2",
        "seeds": "4,2",
        "data-seeds": "6,7",
        "max-seeds": "9",
        "subset-seed": "3",
        "train-size": "12,8",
        "ood": f"{tickets}(bad=bad,good=good)",
        "probe": str(tickets),
        "probe-rows": "9",
        "probe-seeds": "2",
        "probe-layer": "1",
        "pooling": "mean",
        "monitor": "5",
        "delta": "0.5",
        "baseline": "r3f",
        "holdout": "0.25",
        "epochs": "1.5",
        "max-steps": "7",
        "batch-size": "4",
        "eval-batch-size": "5",
        "accumulation": "2",
        "learning-rate": "3e-4",
        "weight-decay": "0.2",
        "warmup": "2",
        "schedule": "cosine",
        "max-grad-norm": "0",
        "max-length": "50",
        "label-smoothing": "0.1",
        "precision": "bf16",
        "workers": "0",
        "threads": "1",
    }
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    arguments += ["--method", "vanilla", "--method", "r3f", "--activation-checkpointing", "--remote-code"]
    arguments += ["--group-by-length", "--no-references"]
    told = holdfast("compare", tickets, "--out", "out", "--text", "text", "--label", "label", *arguments)
    assert told.code == 0
    written = yaml.safe_load((tmp_path / "out" / "study.yaml").read_text())
    settings = written.pop("settings")
    assert written.pop("tasks") == [{"source": str(tickets), "text": "text", "label": "label", "holdout": 0.25}]
    assert written == {
        "model": "some/model",
        "revision": "v2",
        "seq2seq_from_encoder": False,
        "methods": ["vanilla", "r3f"],
        "baseline": "r3f",
        "seeds": [4, 2],
        "data_seeds": [6, 7],
        "subset_seed": 3,
        "train_size": [8, 12],
        "ood": [{"task": {"source": str(tickets), "holdout": 0.2}, "labels": [["bad", "bad"], ["good", "good"]]}],
        "probed": [{"source": str(tickets), "holdout": 0.2}],
        "probe": {"rows": 9, "seeds": 2, "layer": 1, "pooling": "mean"},
        "monitor": 5,
        "references": False,
        "cycles": 3,
        "delta": 0.5,
        "max_seeds": 9,
        "workers": 0,
        "threads": 1,
        "remote_code": True,
        "pickled_weights": False,
    }
    defaults = {"adam_beta2": 0.999, "adam_epsilon": 1e-8, "max_target_length": 64, "num_beams": 1}
    defaults["activation_checkpointing"] = defaults["group_by_length"] = True
    for name, value in settings.items():
        given = options.get(name.replace("_", "-"))
        expected = defaults.get(name)
        assert value == (expected if given is None else type(value)(given)), name


def test_a_study_file_runs_and_goes_on_from_the_folder_it_was_written_to(fakes, tickets, tmp_path, holdfast):
    (tmp_path / "mine.yml").write_text("tasks: tickets.csv\nmethods: [vanilla, r3f]\nseeds: 2\nworkers: 0\n")
    assert holdfast("compare", "mine.yml").code == 0
    assert len(begun(fakes)) == 4
    out = tmp_path / "holdfast-runs" / "mine"
    assert holdfast("compare", out / "study.yaml", "--seeds", 3).code == 0
    assert len(begun(fakes)) == 6
    assert json.loads((out / "summary.json").read_text())["settings"]["seeds"] == [0, 1, 2]


BAD = {
    "no such file": (["tickts.csv"], ["tickts.csv", "did you mean 'tickets.csv'"]),
    "unknown method": (["tickets.csv", "--methods", "vanilla,r5f"], ["unknown method 'r5f'", "did you mean"]),
    "unknown argument": (["tickets.csv", "--method", "r3f(sigm=1)"], ["'sigm'", "did you mean 'sigma'"]),
    "incompatible methods": (["tickets.csv", "--method", "r3f+r3f"], ["r3f is named twice"]),
    "doubled method": (["tickets.csv", "--methods", "r3f,r3f(weight=1.0)"], ["listed twice"]),
    "baseline elsewhere": (["tickets.csv", "--baseline", "r9f"], ["unknown method 'r9f'"]),
    "no column": (["tickets.csv", "--text", "txt"], ["'txt'", "tickets.csv"]),
    "too few rows": (["tickets.csv", "--train-size", "1"], ["tickets: --train-size 1", "2 classes", "at least 2"]),
    "no methods": (["tickets.csv", "--methods", ""], ["a name is missing"]),
    "no numbers": (["tickets.csv", "--seeds", ","], ["--seeds: ','", "such as 5"]),
    "no name": ([""], ["empty", "a file"]),
    "a name too long for the disk": (["x" * 300 + ".csv"], ["File name too long", "check the path"]),
    "all rows held out": (["tickets.csv", "--holdout", "1"], ["--holdout", "less than 1", "got 1.0"]),
    "an endless difference": (["tickets.csv", "--delta", "inf"], ["--delta", "finite"]),
    "seeds in words": (["tickets.csv", "--seeds", "five"], ["--seeds: 'five'", "such as 5"]),
    "no seeds": (["tickets.csv", "--seeds", "0"], ["--seeds: a study needs at least one seed"]),
    "negative batch": (["tickets.csv", "--batch-size", "-4"], ["--batch-size", "greater than 0"]),
    "zero delta": (["tickets.csv", "--delta", "0"], ["--delta", "greater than 0"]),
    "a task twice": (["tickets.csv", "tickets.csv"], ["tickets.csv is listed twice"]),
    "one validation for two": (["tickets.csv", "b.csv", "--validation", "v.csv"], ["--validation belongs to one DATA"]),
    "a study file among data": (["study.yaml", "tickets.csv"], ["a study file stands alone"]),
    "columns for a study file": (["study.yaml", "--text", "body"], ["--text says how to read DATA"]),
    "no such study file": (["study.yaml"], ["no such study file"]),
    "a mistyped key": (["typo.yaml"], ["typo.yaml", "'methods'"]),
    "a file's own remote code": (["remote.yaml"], ["add --remote-code"]),
    "an occupied folder": (["tickets.csv", "--out", "thesis"], ["not empty", "chapter.txt", "--out"]),
    "a file for a folder": (["tickets.csv", "--out", "tickets.csv"], ["is a file", "--out"]),
}


@pytest.mark.slow
def test_a_task_with_fewer_rows_than_asked_for_is_used_whole(fakes, tickets, holdfast):
    told = holdfast("compare", "tickets.csv", "--train-size", "999", "--seeds", "2")
    assert told.code == 0
    assert "warning: tickets: --train-size 999: there are only 32 training rows, and all of them are used" in told.err


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("dry", [False, True])
def test_bad_input_is_told_in_one_line_and_leaves_nothing(fakes, tickets, tmp_path, holdfast, case, dry):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").touch()
    (tmp_path / "typo.yaml").write_text("tasks: tickets.csv\nmethds: r3f\n")
    (tmp_path / "remote.yaml").write_text("tasks: tickets.csv\nremote_code: true\n")
    before = sorted(tmp_path.rglob("*"))
    arguments, parts = BAD[case]
    told = holdfast("compare", *arguments, *(["--dry-run"] if dry else []))
    assert (told.code, told.out) == (2, "")
    assert told.err.startswith("holdfast: error: ")
    assert told.err.count("\n") == 1
    for part in parts:
        assert part in told.err
    assert sorted(tmp_path.rglob("*")) == before


def test_a_model_that_cannot_be_loaded_is_bad_input_too(fakes, tickets, tmp_path, holdfast, monkeypatch):
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weightless").mkdir()
    told = holdfast("compare", "tickets.csv", "--model", "weightless", "--out", "out")
    assert told.code == 2
    assert "config.json is missing" in told.err
    assert not (tmp_path / "out").exists()


def test_what_was_decided_about_the_data_is_told_before_the_runs(fakes, tmp_path, holdfast, monkeypatch):
    (tmp_path / "odd.csv").write_text("body,kind\n" + "".join(f"text {i},{'ab'[i % 2]}\n" for i in range(40)))
    (tmp_path / "held.csv").write_text("body,kind\ntext 0,a\ntext 99,b\n")
    monkeypatch.setattr(
        "holdfast.training.run.preview.count_truncated",
        lambda run, task, splits: {"--max-length": {name: len(split) // 20 or 1 for name, split in splits.items()}},
    )
    told = holdfast("compare", "odd.csv", "--validation", "held.csv", "--seeds", 1, "--workers", 0)
    lines = told.err.splitlines()
    run = next(at for at, line in enumerate(lines) if line.startswith("["))
    assert any(line.startswith("note: odd: ") and "'body'" in line for line in lines[:run])
    assert any(line.startswith("warning: odd: ") and "stand in train" in line for line in lines[:run])
    assert "warning: odd: 2 of 40 train, 1 of 2 validation texts are longer than 128 tokens and are cut" in told.err


def test_a_method_that_switches_dropout_off_is_told_before_the_runs_and_with_the_results(fakes, tickets, holdfast):
    told = holdfast("compare", tickets, "--methods", "vanilla,dps", "--seeds", 1, "--workers", 0, "--out", "out")
    lines = told.err.splitlines()
    run = next(at for at, line in enumerate(lines) if line.startswith("["))
    said = "add vanilla(dropout=0.0) to the methods"
    assert sum(line.startswith("note: dps trains without dropout") and said in line for line in lines[:run]) == 1
    assert said in " ".join(told.out.split())
    assert said in Path("out/report.html").read_text()


@pytest.mark.slow
def test_failed_runs_are_listed_and_all_failed_is_a_failure(fakes, tickets, tmp_path, holdfast):
    script(fakes, **{"vanilla:0": "segfault", "r3f:0": "raise"})
    some = holdfast("compare", tickets, "--methods", "vanilla,r3f", "--seeds", 2)
    assert some.code == 0
    assert "stopped with an error: the worker process was killed by SIGSEGV" in some.err
    assert "runs without a result: 2" in some.err
    assert "--retry-failed" in some.err
    none = holdfast("compare", tickets, "--methods", "vanilla,r3f", "--seeds", 1, "--out", "none")
    assert none.code == 1
    script(fakes)
    again = holdfast("compare", tickets, "--methods", "vanilla,r3f", "--seeds", 1, "--out", "none", "--retry-failed")
    assert (again.code, "without a result" in again.err) == (0, False)


def test_a_dry_run_shows_the_grid_and_writes_nothing(fakes, tickets, tmp_path, holdfast, monkeypatch):
    monkeypatch.setitem(sys.modules, "holdfast.training.run.train_run", SimpleNamespace(run=short_run))
    monkeypatch.setattr("holdfast.study.run.time_estimate._start_up", lambda: 2.0)
    before = sorted(tmp_path.rglob("*"))
    told = holdfast("compare", tickets, "--seeds", "0,5", "--methods", "vanilla,r3f", "--epochs", 4, "--dry-run")
    assert told.code == 0
    assert "4 runs: 1 tasks x 2 methods x 2 seeds, to be written to holdfast-runs/tickets" in told.out
    # 32 rows in batches of 16 make 2 steps an epoch.
    assert "task     tickets: 32 training rows, 8 steps a run, accuracy on 8 validation rows" in told.out
    assert "method   vanilla (baseline)" in told.out
    assert "seeds    0, 5" in told.out
    # Each: 2 s of start, 1 s around the training, 8 steps of 10 s, 8 rows scored in 1.7 s.
    assert "time     roughly 6 min for 4 runs, 1 at a time" in told.out
    assert sorted(tmp_path.rglob("*")) == before


def short_run(spec, task, folder, on_progress, keep_model):
    """A stand-in for the few steps that an estimate times: of 10 s each."""
    return RunRecord(id=spec.id, spec=spec, status="finished", seconds=11.0, train_seconds=10.0)


DRIVER = [sys.executable, "-m", "study.driver"]


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_it_says_how_to_go_on_and_does(fakes, tickets, tmp_path, holdfast, number, code):
    script(fakes, **{"vanilla:1": "hang"})
    command = [*DRIVER, "compare", "tickets.csv", "--methods", "vanilla,r3f", "--seeds", "2"]
    # A job in the background of a shell ignores Ctrl-C, and so would what it starts.
    study = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, preexec_fn=lambda: signal.signal(number, signal.SIG_DFL)
    )
    with study:
        for line in study.stderr:
            if line.startswith("[2/4]"):
                break
        study.send_signal(number)
        rest = study.stderr.read()
    assert study.returncode == code
    assert "Traceback" not in rest
    assert "stopped with 2 of 4 runs done; go on with: holdfast compare holdfast-runs/tickets/study.yaml" in rest
    script(fakes)
    told = holdfast("compare", "holdfast-runs/tickets/study.yaml")
    assert told.code == 0
    assert begun(fakes).count("tickets vanilla 0") == 1


@pytest.mark.slow
def test_on_a_terminal_progress_is_live(fakes, tickets, tmp_path):
    main, theirs = pty.openpty()
    command = [*DRIVER, "compare", "tickets.csv", "--methods", "vanilla,r3f", "--seeds", "1"]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    study = subprocess.Popen(command, stdout=theirs, stderr=theirs, stdin=theirs, env=environment)
    os.close(theirs)
    seen = b""
    try:
        while block := os.read(main, 65536):
            seen += block
    except OSError:
        # Linux tells the end of a terminal so.
        pass
    os.close(main)
    assert study.wait() == 0
    text = seen.decode()
    assert "/2 done" in text
    assert "[2/2] tickets  r3f  seed 0  accuracy" in text
    # The cursor moves up: lines are drawn over.
    assert "\x1b[1A" in text or "\x1b[2A" in text


def test_several_tasks_share_a_default_folder(fakes, tickets, tmp_path, holdfast):
    studies.write_csv(tmp_path / "more data.csv", seed=3)
    told = holdfast("compare", "tickets.csv", "more data.csv", "--seeds", 1, "--workers", 0, "--label", "label")
    assert told.code == 0
    assert (tmp_path / "holdfast-runs" / "tickets-more-data" / "best" / "more-data" / "config.json").exists()


def test_a_dry_run_counts_and_names_the_runs_on_perturbed_data(fakes, tickets, tmp_path, holdfast, monkeypatch):
    monkeypatch.setitem(sys.modules, "holdfast.training.run.train_run", SimpleNamespace(run=short_run))
    monkeypatch.setattr("holdfast.study.run.time_estimate._start_up", lambda: 2.0)
    arguments = ["--seeds", "4,5", "--methods", "vanilla,r3f", "--perturb", "data"]
    told = holdfast("compare", tickets, *arguments, "--dry-run")
    assert told.code == 0
    assert "8 runs: 1 tasks x 2 methods x 2 seeds, and as many on perturbed data, to be written to" in told.out
    assert "data     10% of the training rows removed at random (draws 4, 5), always with seed 4" in told.out
    assert "for 8 runs" in told.out


def test_runs_on_perturbed_data_are_told_apart_while_they_run(fakes, tickets, tmp_path, holdfast):
    arguments = ["--seeds", "4,5", "--methods", "vanilla", "--perturb", "data", "--workers", 0]
    told = holdfast("compare", tickets, *arguments)
    assert told.code == 0
    lines = [line for line in told.err.splitlines() if line.startswith("[")]
    assert ["seed 4, data 4 " in line for line in lines] == [False, False, True, False]
    assert ["seed 4, data 5 " in line for line in lines] == [False, False, False, True]


@pytest.mark.parametrize(("given", "pair"), [("model", False), ("seq2seq_from_encoder", True)])
def test_a_model_takes_the_place_of_the_study_file_s_in_its_own_form(tmp_path, given, pair):
    file = tmp_path / "study.yaml"
    file.write_text("tasks: [gigaword]\nmodel: first\nseq2seq_from_encoder: true\n")
    study, _ = read_data([str(file)], {given: "second"})
    assert (study.model, study.seq2seq_from_encoder) == ("second", pair)
