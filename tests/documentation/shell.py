"""Shell blocks, word for word: a real shell reads them, and what they would run is written down and then checked."""

import contextlib
import importlib.util
import re
import runpy
import shutil
import subprocess
import sys
import tomllib

import pytest
from packaging.requirements import Requirement

from documentation.pages import ROOT

PROGRAMS = ("holdfast", "make", "pip", "python")
"""What blocks may call; a rule for each is below, or in ``QUICK``."""
_NOTE = '#!{shell}\nprintf "%s\\0" "${{0##*/}}" "$@" >> "$CALLS"; printf "\\36" >> "$CALLS"\n'

_PLAN = ("--dry-run", "--workers", "0", "--out", "planned")
QUICK = {
    ("compare",): _PLAN,
    ("collapse", "chain"): _PLAN,
    ("collapse", "cycles"): _PLAN,
    ("reproduce", "--list"): (),
    ("reproduce", "--smoke"): ("--task", "rte", "--methods", "vanilla", "--seeds", "1"),
    ("reproduce",): _PLAN,
    ("tune",): ("--max-steps", "2"),
    ("probe",): ("--seeds", "1", "--max-length", "16"),
    ("stability", "task"): ("--tune-steps", "1", "--max-length", "16"),
    ("stability", "synthetic"): (),
    ("tasks",): (),
}
"""What makes a ``holdfast`` command that has these words quick. The last value of an option is the one that counts."""


def calls(block, folder):
    """Return the words of each command that ``block`` runs, as a shell reads it in ``folder``, a folder of stubs."""
    shell = shutil.which("bash")
    folder.mkdir()
    for program in PROGRAMS:
        stub = folder / program
        stub.write_text(_NOTE.format(shell=shell))
        stub.chmod(0o755)
    log = folder / "calls"
    environment = {"PATH": str(folder), "CALLS": str(log)}
    done = subprocess.run([shell, "-eu", "-c", block.text], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, (
        f"{block}: {done.stderr.strip()}; a program that no rule is known for needs one in tests/documentation/shell.py"
    )
    return [call.split("\0")[:-1] for call in log.read_text().split("\36")[:-1]]


def quick(words):
    """Return the words of a ``holdfast`` command with what makes it quick."""
    for names, more in QUICK.items():
        if words[: len(names)] == list(names) or (names[0] == words[0] and set(names) <= set(words)):
            return [*words, *more]
    return pytest.fail(f"holdfast {' '.join(words)}: say in QUICK of tests/documentation/shell.py how to run it small")


def check_make(words):
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(words) <= set(targets), f"make {' '.join(words)}: the Makefile has {', '.join(targets)}"


def check_pip(words):
    """What is installed is this project with extras that it has, or something that it names itself."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    named = [*project["dependencies"], *(one for extra in extras.values() for one in extra)]
    assert words[0] == "install", f"pip {' '.join(words)}: no rule for this"
    for one in words[1:]:
        if one.startswith("-"):
            continue
        asked = Requirement(one.replace(".[", f"{project['name']}[", 1))
        assert asked.name == project["name"] or one in named, f"pip install {one}: pyproject.toml does not name it"
        assert asked.extras <= set(extras), f"pip install {one}: the extras are {', '.join(extras)}"


class _Read(Exception):  # noqa: N818 - no error
    """The command line was understood."""


def check_python(words, monkeypatch):
    """A module or script that there is, options that it has, and for paths in the repository files that there are."""
    if words[0] == "-m":
        assert importlib.util.find_spec(words[1]), f"python -m {words[1]}: no such module"
        words = words[1:]
    script = ROOT / words[0]
    for word in words:
        if word.startswith(("docs/", "tests/", "benchmarks/")):
            assert (ROOT / word).exists(), f"python {' '.join(words)}: there is no {word}"
    if "argparse" in (script.read_text() if script.is_file() else ""):
        _check_options(script, words[1:], monkeypatch)
    elif script.is_file():
        assert not any(word.startswith("-") for word in words), f"{words[0]} has no options"


def _check_options(script, words, monkeypatch):
    from argparse import ArgumentParser

    parse = ArgumentParser.parse_args

    def read(self, arguments=None, namespace=None):
        parse(self, arguments, namespace)
        raise _Read

    monkeypatch.setattr(ArgumentParser, "parse_args", read)
    monkeypatch.setattr(sys, "argv", [str(script), *words])
    monkeypatch.syspath_prepend(script.parent)
    with contextlib.suppress(_Read):
        runpy.run_path(str(script), run_name="__main__")
        pytest.fail(f"{script.name}: parses no options")


def check(program, words, monkeypatch):
    """Check what can be known of a call of another program without running it."""
    if program == "make":
        check_make(words)
    elif program == "pip":
        check_pip(words)
    else:
        check_python(words, monkeypatch)
