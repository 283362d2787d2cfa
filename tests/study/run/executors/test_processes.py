import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from holdfast.study.run.executors import processes
from holdfast.study.run.executors.processes import Processes
from study import studies
from study.studies import begun, prepared, run, script


@pytest.mark.slow
@pytest.mark.parametrize(
    ("behaviour", "told", "kept"),
    [
        ("segfault", "the worker process was killed by SIGSEGV, a crash in native code", "about to crash"),
        ("memory", "the worker process was killed by SIGKILL, as the system does when memory runs out", ""),
        ("exit", "the worker process ended with exit code 3 and no result: no more patience", "no more patience"),
        ("raise", "ValueError: the loss is a tensor of", "Traceback"),
    ],
)
def test_whatever_ends_a_worker_costs_one_run(fakes, tickets, tmp_path, behaviour, told, kept):
    script(fakes, **{"vanilla:0": behaviour})
    summary = run(prepared(tickets, workers=2), tmp_path / "out")
    (error,) = summary.errors
    assert error["error"] == told
    assert [row.n for row in summary.results] == [1, 2]
    folder = tmp_path / "out" / "runs" / error["run"]
    assert kept in (folder / "error.txt").read_text()
    assert not (folder / "model").exists()
    assert len(run(prepared(tickets, workers=2), tmp_path / "out").errors) == 1
    assert len(begun(fakes)) == 4


def records_of(plan, out):
    store = processes.Store(out)
    return [store.record(spec.id) for spec in plan.grid]


@pytest.mark.slow
def test_workers_find_their_threads_and_their_gpu_in_the_environment(fakes, tickets, tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    plan = prepared(tickets, workers=2, threads=3)
    run(plan, tmp_path / "out")
    records = records_of(plan, tmp_path / "out")
    assert {record.threads for record in records} == {3}
    assert {record.versions["gpu"] for record in records} == {"4", "7"}


@pytest.mark.slow
def test_a_library_like_file_in_the_users_folder_is_not_imported(fakes, tickets, tmp_path, monkeypatch):
    (tmp_path / "pydantic.py").write_text("raise SystemExit('imported the wrong file')")
    monkeypatch.chdir(tmp_path)
    assert run(prepared(tickets, seeds=1), tmp_path / "out").errors == []


def hanging_study(folder):
    """A study in a process of its own whose worker hangs, and the worker's file descriptor."""
    command = [sys.executable, "-m", "study.driver", "study", str(folder / "tickets.csv"), str(folder / "out"), "1"]
    study = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert any(line == "vanilla 0 3\n" for line in study.stdout)
    (worker,) = Path(f"/proc/{study.pid}/task/{study.pid}/children").read_text().split()
    return study, os.pidfd_open(int(worker))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_no_worker_outlives_its_study(fakes, tickets, tmp_path, number):
    script(fakes, **{"vanilla:0": "hang"})
    study, worker = hanging_study(tmp_path)
    with study:
        study.send_signal(number)
    try:
        readable, _, _ = select.select([worker], [], [], 10)
    finally:
        os.close(worker)
    assert readable, "the worker is still there"
    assert not list(tmp_path.glob("out/runs/*/record.json"))


@pytest.mark.slow
@pytest.mark.parametrize("behaviour", ["hang", "stubborn"])
def test_interrupted_it_ends_its_workers_even_those_that_ignore_it(fakes, tickets, tmp_path, monkeypatch, behaviour):
    monkeypatch.setattr(processes, "_GRACE", 0.3)
    script(fakes, **{"vanilla:0": behaviour, "r3f:0": behaviour})
    started = []
    popen = subprocess.Popen

    def remember(*arguments, **options):
        started.append(popen(*arguments, **options))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", remember)

    class Impatient(studies.Heard):
        def moved(self, progress, run):
            super().moved(progress, run)
            if sum(move[2] == 3 for move in self.moves) == 2:
                raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run(prepared(tickets, workers=2), tmp_path / "out", Impatient())
    assert time.monotonic() - began < 10
    expected = -signal.SIGTERM if behaviour == "hang" else -signal.SIGKILL
    assert [process.returncode for process in started] == [expected] * 2
    assert not list(tmp_path.glob("out/runs/*/record.json"))


@pytest.mark.slow
def test_an_executor_of_one_slot_never_runs_two_at_a_time(fakes, tickets, tmp_path):
    heard = studies.Heard()
    run(prepared(tickets, seeds=2), tmp_path / "out", heard)
    order = [move[:2] for move in heard.moves]
    assert order == sorted(order, key=order.index)
    assert Processes(1, data_dir=None).slots == 1


@pytest.mark.slow
def test_a_worker_stays_until_one_of_its_runs_fails(fakes, tickets, tmp_path, monkeypatch):
    """One process for the runs before the failure, another for those after it; both are gone at the end."""
    script(fakes, **{"vanilla:1": "raise"})
    started = []
    popen = subprocess.Popen

    def remember(*arguments, **options):
        started.append(popen(*arguments, **options))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", remember)
    summary = run(prepared(tickets, seeds=3), tmp_path / "out")
    assert [error["error"] for error in summary.errors] == ["ValueError: the loss is a tensor of"]
    assert len(begun(fakes)) == 6
    assert len(started) == 2
    assert all(process.poll() is not None for process in started)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_what_a_run_prints_goes_to_its_own_log(fakes, tickets, tmp_path):
    script(fakes, **{"r3f:0": "print", "vanilla:1": "print"})
    plan = prepared(tickets, seeds=2)
    run(plan, tmp_path / "out")
    said = {(s.method, s.seed): (tmp_path / "out" / "runs" / s.id / "log.txt").read_text() for s in plan.grid}
    for (method, seed), text in said.items():
        expected = f"{method} {seed}" if (method, seed) in (("r3f", 0), ("vanilla", 1)) else ""
        assert text.split() == expected.split() * 2, "from Python and from below it"
