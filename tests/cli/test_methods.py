from dataclasses import dataclass

import pytest

from holdfast.cli.attribute_docs import attribute_docs
from holdfast.methods import catalogue
from tiny import save_model


def test_every_method_is_listed_with_its_summary(holdfast):
    told = holdfast("methods")
    assert told.code == 0
    for name, method in catalogue().items():
        assert any(line.split() == [name, *method.summary.split()] for line in told.out.splitlines())


def test_a_method_is_described_with_its_arguments(holdfast):
    told = holdfast("methods", "r3f(sigma=0.5)")
    assert "  weight=1.0\n" in told.out
    assert "  sigma=0.5\n" in told.out
    assert "memory" not in told.out


def test_an_unknown_method_is_told_with_the_nearest(holdfast):
    told = holdfast("methods", "r3g")
    assert told.code == 2
    assert "did you mean 'r3f'" in told.err


@pytest.fixture
def model(tmp_path):
    """BERT of width 32 and 2 layers over 97 tokens."""
    return save_model(tmp_path / "model")


def test_what_a_method_does_to_a_model_is_listed(model, holdfast):
    told = holdfast("methods", "dps", "--model", model)
    assert told.code == 0
    lines = told.out[told.out.index("dps in ") :].splitlines()
    assert lines[1].split() == ["bert.encoder.layer.{0-1}.attention.self.query.weight", "32x32"]
    assert ["bert.encoder.layer.{0-1}.intermediate.dense.weight", "48x32"] in [line.split() for line in lines]
    # A layer has four matrices of 32 x 32 and two of 32 x 48; pooler and classifier follow.
    selected = 2 * (4 * 32 * 32 + 2 * 32 * 48) + 32 * 32 + 2 * 32
    assert lines[-2].startswith(f"{selected:,} of ")
    assert lines[-2].endswith(": 30% of each matrix frozen in every second stage.")
    assert lines[-1] == "Extra memory: 0.1 MB at most, 4 bytes a selected weight."


def test_methods_used_together_are_listed_each(model, holdfast):
    told = holdfast("methods", "dps(variant=mix)+r3f", "--model", model).out
    assert "9 bytes a selected weight" in told
    assert "r3f in " in told
    assert "keeps nothing a weight" in told
    frozen = holdfast("methods", "bitfit", "--model", model).out.splitlines()
    assert frozen[-2] == "No extra memory."
    assert frozen[-1].endswith("have gradients.")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["dps", "--model", "minilmm"], "did you mean 'minilm'"),
        (["dpz", "--model", "minilm"], "did you mean 'dps'"),
        (["dps", "--model", "./nowhere"], "there is no such folder"),
        (["--model", "minilm"], "needs a method: holdfast methods NAME --model minilm"),
    ],
)
def test_mistakes_are_told_instead_of_a_list(arguments, told, holdfast):
    found = holdfast("methods", *arguments)
    assert (found.code, found.out) == (2, "")
    assert told in found.err


@dataclass
class Base:
    shared: int = 1
    """As the base says."""
    bare: int = 2


@dataclass
class Derived(Base):
    own: str = "x"
    """Over two
    lines."""
    shared: int = 3


def test_documented_fields_are_found_along_the_bases():
    assert attribute_docs(Derived) == {"shared": "As the base says.", "own": "Over two lines."}
