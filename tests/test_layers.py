"""The walls between the rooms, and what importing costs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import holdfast

ROOT = Path(holdfast.__file__).parent

_GROUND = {"errors", "lazy", "modes", "wording", "records", "measures"}
MAY_IMPORT = {
    "errors": set(),
    "lazy": set(),
    "modes": set(),
    "wording": set(),
    "recipes": set(),
    "records": {"errors"},
    "measures": {"errors", "records"},
    "methods": {"errors", "lazy", "modes"},
    "tasks": _GROUND,
    "stability": _GROUND,
    "training": _GROUND | {"methods", "tasks"},
    "collapse": _GROUND | {"methods", "tasks", "training"},
    "study": _GROUND | {"methods", "tasks", "training", "stability", "collapse", "recipes"},
    "report": _GROUND | {"methods", "tasks", "training", "stability", "collapse", "study"},
    "api": _GROUND | {"methods", "tasks", "training", "stability", "collapse", "study", "report"},
    "cli": _GROUND | {"methods", "tasks", "training", "stability", "collapse", "study", "report"},
}

FLOORS = {
    "study": ["define", "plan", "store", "statistics", "diagnosis", "analysis", "run"],
    "training": ["forward", "models", "pretraining", "session", "task_models", "trainer", "run"],
    "tasks": ["sources", "kinds", "sampling", "scoring"],
    "collapse": ["monitor", "probes"],
}
"""The sub-rooms of a room; each imports from those before it alone."""


def imported(file):
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_imports_run_one_way(room):
    alone = ROOT / f"{room}.py"
    files = [alone] if alone.is_file() else list((ROOT / room).rglob("*.py"))
    assert files
    for file in files:
        rooms = {name.split(".")[1] for name in imported(file) if name.startswith("holdfast.")}
        assert (rooms & MAY_IMPORT.keys()) - {room} <= MAY_IMPORT[room] | {"lazy"}, file


@pytest.mark.parametrize("room", FLOORS)
def test_sub_rooms_are_floors(room):
    for floor, name in enumerate(FLOORS[room]):
        for file in (ROOT / room / name).rglob("*.py"):
            inside = {
                parts[2] for one in imported(file) if (parts := one.split("."))[:2] == ["holdfast", room] and parts[2:]
            }
            assert inside & set(FLOORS[room]) <= set(FLOORS[room][: floor + 1]), file


def test_methods_know_torch_only():
    for file in (ROOT / "methods").rglob("*.py"):
        outside = {name.split(".")[0] for name in imported(file)} - set(sys.stdlib_module_names)
        allowed = {"torch", "holdfast", "peft"} if file.parent.name == "lora" else {"torch", "holdfast"}
        assert outside <= allowed, file


@pytest.mark.parametrize(
    "module",
    ["holdfast", "holdfast.cli.main", "holdfast.tasks", "holdfast.study", "holdfast.stability", "holdfast.collapse"],
)
def test_importing_is_cheap(module):
    """What takes seconds to import is not loaded until it is used."""
    heavy = "torch", "transformers", "datasets", "pandas", "scipy", "sklearn", "plotly", "pyarrow"
    code = f"import sys, {module}; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
