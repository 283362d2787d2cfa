"""Calls from Python, with studies that are run by ``study.fake_runner``."""

from cli.conftest import fakes, holdfast, tickets  # noqa: F401
