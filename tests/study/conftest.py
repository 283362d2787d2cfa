"""Fixtures of studies that are run by ``fake_runner``."""

import pytest

from study import studies


@pytest.fixture
def fakes(tmp_path, monkeypatch):
    """The folder in which fake runs find their script and leave their log."""
    studies.use_fakes(monkeypatch, tmp_path / "fakes")
    return tmp_path / "fakes"


@pytest.fixture
def tickets(tmp_path):
    return studies.write_csv(tmp_path / "tickets.csv")
