"""The least arithmetic of each method, by hand, and against PyTorch's own count."""

from types import SimpleNamespace

import pytest
import torch

from holdfast.methods import catalogue, parse
from measuring.contestants import start
from measuring.floors import Frame, blocks_of, floor
from measuring.flops import flops
from measuring.setup import Setup, batches
from peers import PEERS
from tiny import classifier

SIX = Frame(blocks=6, epochs=3.0)

BY_HAND = {
    "vanilla": 1,
    "vanilla(dropout=0.0)": 1,
    "r3f": 2,
    "r3f(weight=0)": 1,
    "r3f(gradient=clean)": 4 / 3,
    "r3f(every=4)": 1.25,
    "r3f(rows=0.25)": 1.25,
    "r3f(layers=2)": 4 / 3,
    "r3f(layers=2,gradient=clean)": 10 / 9,
    "r3f(layers=3,rows=0.5,every=2,gradient=clean)": 1 + 1 / 24,
    "r4f(every=2)": 1.5,
    "smart": 3,
    "smart(proximal=0.0)": 8 / 3,
    "smart(proximal=0.0,steps=2)": 10 / 3,
    "smart(weight=0.0)": 4 / 3,
    "freelb": 3,
    "freelb(steps=2)": 2,
    "r_drop": 2,
    "lnsr": 2,
    "lnsr(layer=4)": 4 / 3,
    "lora": 2 / 3,
    "top_k_layers(k=3)": 2 / 3,
    "top_k_layers(k=0)": 1 / 3,
    "head_tuning": 1 / 9,
    "lp_ft": 10 / 9,
    "child_tuning_d": 4 / 3,
    "surt": None,
    "sift": None,
    "r3f+dps": 2,
    "dps+ema": 1,
    "r3f+r_drop": None,
    "r3f+sift": None,
}


@pytest.mark.parametrize(("text", "expected"), BY_HAND.items(), ids=str)
def test_floors_by_hand(text, expected):
    found = floor(parse(text), SIX)
    assert found == (None if expected is None else pytest.approx(expected))


def test_floors_that_depend_on_the_depth_are_left_open_where_it_is_not_known():
    two_stacks = SimpleNamespace(config=SimpleNamespace(is_encoder_decoder=True, num_hidden_layers=6))
    assert (blocks_of(two_stacks), blocks_of(torch.nn.Linear(1, 1)), blocks_of(classifier("bert"))) == (None, None, 2)
    unknown = Frame(None, 3.0)
    assert [floor(parse(text), unknown) for text in ("r3f(layers=1)", "lnsr", "top_k_layers", "r3f")] == [
        *[None] * 3,
        2,
    ]


def test_methods_of_others_have_none():
    method = type("Own", (catalogue()["vanilla"],), {"name": "own"})()
    assert floor([method], SIX) is None


COUNTED = [
    *("vanilla", "r3f", "r3f(gradient=clean)", "r3f(every=4)", "r3f(rows=0.25)", "r3f(layers=1)", "bitfit"),
    *("r3f(layers=1,gradient=clean)", "smart", "smart(proximal=0.0,steps=2)", "freelb", "r_drop", "lnsr(layer=1)"),
    *("neftune", "hype", "ema", *PEERS),
]


@pytest.fixture(scope="module")
def counted():
    """Operations of a step, counted on a tiny model of two blocks with next to no attention."""
    base = classifier("bert", dropout=0.1)
    cpu = torch.device("cpu")
    setup = Setup(base, batches(base, 4, 2, cpu), cpu, "fp32", accumulation=1, total_steps=100, epochs=3.0)

    def count(contestant):
        arm = start(contestant, setup, 100)
        arm.train(1)
        return flops(lambda: arm.train(4)) / 4

    return setup, count, count("vanilla")


@pytest.mark.slow
@pytest.mark.parametrize("text", COUNTED)
def test_what_is_done_is_the_floor_and_little_more(text, counted):
    """Heads, adapters and attention are what floors leave out: a twentieth here."""
    setup, count, plain = counted
    peer = PEERS.get(text)
    if peer is None:
        least = floor(parse(text), Frame(blocks_of(setup.base), setup.epochs))
    else:
        pytest.importorskip(peer.package)
        least = peer.floor
    assert count(peer or text) / plain == pytest.approx(least, rel=0.05)


def test_the_lowest_of_the_tuned_blocks_passes_no_gradient_on(counted):
    """Which its floor leaves out: it is a little above what is done, by less than that block's share of a pass."""
    _, count, plain = counted
    least = floor(parse("top_k_layers(k=1)"), Frame(2, 3.0))
    assert least - 1 / 6 < count("top_k_layers(k=1)") / plain < least
