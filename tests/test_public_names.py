"""What a bare ``import holdfast`` gives: every public name, for people, editors and type checkers alike."""

import importlib
import inspect
import pydoc
import subprocess
import sys

import pytest

import holdfast
from holdfast.methods import catalogue

ROOMS = ["holdfast", *(f"holdfast.{name}" for name in ("collapse", "methods", "stability", "study", "tasks"))]


@pytest.mark.parametrize("name", ROOMS)
def test_every_name_of_a_room_is_there_and_is_listed(name):
    room = importlib.import_module(name)
    assert dir(room) == sorted(room.__all__)
    assert all(inspect.ismodule(found := getattr(room, one)) or found.__name__ == one for one in room.__all__)
    with pytest.raises(AttributeError, match="R9F"):
        room.R9F  # noqa: B018


def test_every_method_is_exported_at_the_top():
    own = {method for method in catalogue().values() if method.__module__.startswith("holdfast.")}
    exported = {getattr(holdfast, name) for name in holdfast.__all__}
    assert own == {
        thing
        for thing in exported
        if inspect.isclass(thing) and issubclass(thing, holdfast.Method) and thing is not holdfast.Method
    }
    assert len(own) >= 30
    assert {holdfast.Engine, holdfast.attach, holdfast.HoldfastError} <= exported


def test_help_shows_what_there_is():
    told = pydoc.render_doc(holdfast, renderer=pydoc.plaintext)
    assert "class R3F(" in told
    assert "attach(trainer" in told


def test_rooms_answer_after_a_bare_import():
    code = """
import holdfast
import numpy as np
r3f, dps = holdfast.methods.parse("r3f(weight=0.5)+dps")
print(r3f.weight, type(dps) is holdfast.DPS, holdfast.methods.catalogue()["r3f"] is holdfast.R3F)
print(round(holdfast.collapse.linear_cka(x := np.arange(12).reshape(4, 3) ** 2, 2 * x), 6))
print(holdfast.stability.leave_one_out_head.__name__, holdfast.tasks.load_task.__name__, holdfast.study.Store.__name__)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["0.5", "True", "True", "1.0", "leave_one_out_head", "load_task", "Store"], (
        done.stderr
    )
