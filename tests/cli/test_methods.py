from dataclasses import dataclass

from holdfast.cli.attribute_docs import attribute_docs
from holdfast.methods import catalogue


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
