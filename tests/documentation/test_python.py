"""Every Python block of the documentation is run, word for word, and its methods act."""

import pytest

from documentation.pages import ROOT, Code, blocks
from documentation.setups import chapters, set_up

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # of TRL, Transformers and PEFT about their own futures
]

DROPOUT = 1e-6
"""Between a penalty of two dropout masks, or of noise that can be seen, and one of the default noise alone."""


@pytest.fixture
def script(monkeypatch):
    """Trainers log each of their few steps, and bf16, which TRL trains in by default, may be had without a GPU.

    Studies are small, and run in this process, the only one that has the hub's models.
    """
    from transformers import DefaultFlowCallback

    from holdfast.study.define.options import study_keys

    usual = DefaultFlowCallback.on_step_end

    def log_too(self, args, state, control, **more):
        control = usual(self, args, state, control, **more)
        control.should_log = True
        return control

    monkeypatch.setattr(DefaultFlowCallback, "on_step_end", log_too)
    small = {"seeds": 1, "max_steps": 2, "workers": 0}
    monkeypatch.setattr("holdfast.api.compare.study_keys", lambda given: study_keys(given) | small)
    monkeypatch.setattr("transformers.training_args.is_torch_bf16_gpu_available", lambda: True)


def penalties(names):
    """Return what engines and trainers among ``names`` told of each method's share of the loss."""
    from transformers import Trainer

    from holdfast import Engine

    told = {}
    for name, thing in names.items():
        if isinstance(thing, Engine):
            told |= {(name, term): value for term, value in thing.terms.items()}
        elif isinstance(thing, Trainer):
            told |= {
                (name, term.removeprefix("loss/")): value
                for entry in thing.state.log_history
                for term, value in entry.items()
                if term.startswith("loss/")
            }
    return {key: value for key, value in told.items() if key[1] != "task"}


def run(chapter):
    """Run blocks that go on from each other; return all names at the end."""
    names = {}
    for block in chapter:
        names = set_up(block, names) | names
        # Lines are counted from the page's first, for the traceback.
        exec(compile("\n" * (block.line - 1) + block.text, str(block.page), "exec"), names)
    return names


@pytest.mark.parametrize("chapter", chapters(blocks("python")), ids=lambda chapter: "+".join(map(str, chapter)))
def test_blocks_run_and_penalties_are_not_zero(chapter, here, script):
    names = run(chapter)
    told = penalties(names)
    assert all(value > DROPOUT for value in told.values()), told
    if "R3F" in names:
        assert told, f"{chapter[0]}: R3F adds nothing to the loss"


def block(line, text):
    return Code(ROOT / "docs" / "page.md", line, "python", text)


def test_blocks_that_need_what_others_bind_go_on_from_them():
    first, second = (
        block(1, "import torch\nmodel = 1\nfor batch in loader:\n    print(model)"),
        block(9, "loader, batch = 1, 2"),
    )
    third, fourth = block(20, "def f():\n    return batch"), block(30, "class A:\n    x = loss")
    assert chapters([first, second, third, fourth]) == [[first], [second, third], [fourth]]


def test_a_name_from_nowhere_is_told(here):
    with pytest.raises(pytest.fail.Exception, match=r"docs/page.md:7: optimiser comes from nowhere"):
        run([block(7, "engine = model if loader else optimiser")])
