"""A user's machine for the documentation's examples: a folder of their own, and the hub's models in its cache."""

import shutil

import pytest
import typer

from cli.conftest import holdfast  # noqa: F401 - the command line in this process
from documentation import desk
from holdfast.training.models import loading as models


@pytest.fixture(scope="session")
def machine(tmp_path_factory):
    place = tmp_path_factory.mktemp("machine")
    desk.write_hub(place / "hub")
    (place / "desk").mkdir()
    desk.write_desk(place / "desk")
    return place


@pytest.fixture
def here(machine, tmp_path, monkeypatch):
    """The folder that the user is in. What a page names is there; the network is not."""
    folder = tmp_path / "desk"
    shutil.copytree(machine / "desk", folder, symlinks=True)
    monkeypatch.chdir(folder)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(machine / "hub"))
    # As where the package with the real one is not installed.
    monkeypatch.setitem(models.PACKAGED, "minilm", ("not_installed", "model", desk.MINILM))
    monkeypatch.setenv("HOLDFAST_DATA", str(folder / "glue"))
    monkeypatch.setenv("HOLDFAST_CACHE", str(folder / "cache"))
    return folder


@pytest.fixture
def untimed(monkeypatch):
    """Work that takes its time whatever it is given ends where it would begin."""

    def no_estimate(prepared, specs):
        raise OSError("not timed here")

    def nothing_to_measure(*arguments, **options):
        raise typer.Exit

    monkeypatch.setattr("holdfast.cli.plan.estimate", no_estimate)
    monkeypatch.setattr("holdfast.stability.synthetic_results.synthetic_results", nothing_to_measure)
