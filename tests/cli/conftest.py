"""The command line in this process, with studies that are run by ``study.fake_runner``."""

from types import SimpleNamespace

import pytest

from holdfast.cli.main import main
from study import studies


@pytest.fixture
def fakes(tmp_path, monkeypatch):
    """The folder in which fake runs find their script and leave their log; the user is in ``tmp_path``."""
    studies.use_fakes(monkeypatch, tmp_path / "fakes")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "fakes"


@pytest.fixture
def tickets(tmp_path):
    return studies.write_csv(tmp_path / "tickets.csv")


@pytest.fixture
def holdfast(capsys):
    """Run a command; gives its exit code, and what it wrote."""

    def run(*arguments):
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return SimpleNamespace(code=code, out=captured.out, err=captured.err)

    return run
