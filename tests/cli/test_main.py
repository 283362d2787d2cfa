import os
import subprocess
import sys

import pytest

import holdfast as package
from holdfast.cli.stopping import Stopped

HELP = "import sys; from holdfast.cli.main import main; code = main(['--help'])"


@pytest.mark.slow
def test_help_answers_at_once():
    def once():
        # Processor time: other tests run beside this one.
        began = os.times()
        subprocess.run([sys.executable, "-c", HELP], check=True, stdout=subprocess.DEVNULL)
        return os.times().children_user - began.children_user

    assert min(once() for _ in range(5)) < 0.5


def test_help_loads_nothing_heavy():
    code = HELP + "; print([name for name in sys.modules if '.' not in name])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    heavy = {"torch", "transformers", "datasets", "pandas", "sklearn", "scipy", "plotly", "numpy"}
    assert not heavy & set(eval(done.stdout.splitlines()[-1]))


def test_without_a_command_it_shows_its_help(holdfast):
    told = holdfast()
    assert told.code == 0
    for command in ("compare", "tune", "report", "methods", "tasks", "stability"):
        assert f"\n  {command} " in told.out


@pytest.mark.parametrize("command", ["compare", "tune", "report", "methods", "tasks", "stability"])
def test_every_command_has_worked_examples(holdfast, command):
    told = holdfast(command, "--help")
    assert told.code == 0
    assert f"    holdfast {command}" in told.out


def test_version(holdfast):
    told = holdfast("--version")
    assert (told.code, told.out) == (0, f"holdfast {package.__version__}\n")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["compar", "x.csv"], ["No such command 'compar'", "did you mean 'compare'?", "`holdfast --help`"]),
        (["compare", "x.csv", "--sead", "3"], ["No such option: --sead", "--seed", "`holdfast compare --help`"]),
        (["compare", "x.csv", "--epochs", "many"], ["--epochs", "number", "`holdfast compare --help`"]),
        (["compare", "x.csv", "--precision", "int8"], ["--precision", "'int8'", "bf16"]),
        (["compare"], ["data", "`holdfast compare --help`"]),
        (["stability", "synthetik"], ["did you mean 'synthetic'?", "`holdfast stability --help`"]),
        (["report"], ["folder", "`holdfast report --help`"]),
    ],
)
def test_a_command_line_that_makes_no_sense_is_told_in_one_line(holdfast, arguments, told):
    result = holdfast(*arguments)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("holdfast: error: ")
    assert result.err.count("\n") == 1
    for part in told:
        assert part in result.err
    assert result.err.lower().count("did you mean") <= 1


@pytest.mark.parametrize(("stop", "code"), [(KeyboardInterrupt, 130), (Stopped, 143)])
@pytest.mark.parametrize("command", ["compare", "tune"])
def test_stopped_before_the_first_run_it_says_so(holdfast, monkeypatch, command, stop, code):
    def interrupted(*arguments):
        raise stop

    monkeypatch.setattr("holdfast.study.plan.prepare.prepare", interrupted)
    result = holdfast(command, "x.csv")
    assert (result.code, result.out, result.err) == (code, "", "holdfast: stopped\n")


def test_help_needs_no_module_that_only_some_systems_have():
    code = "import sys; sys.modules['fcntl'] = None; " + HELP + "; sys.exit(code)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_reader_that_stops_reading_is_no_crash():
    command = f'{sys.executable} -c "{HELP.replace("--help", "tasks")}; sys.exit(code)" | true'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.stderr == ""
