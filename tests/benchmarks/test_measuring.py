"""What is measured, on work whose cost is known."""

import dataclasses
import math
import random

import pytest
import torch

from measuring.arm import Arm
from measuring.flops import flops
from measuring.memory import peak_bytes
from measuring.resources import Resources, resources
from measuring.rounds import Timed, groups, positions
from measuring.setup import Setup, batches
from measuring.stages import stage_flops, stage_peak_bytes, stage_seconds
from measuring.state import claimed, state_bytes
from tiny import classifier, tokenizer

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def setup():
    base = classifier("bert", dropout=0.1)
    return Setup(base, batches(base, 2, 8, CPU), CPU, "fp32", accumulation=2, total_steps=40, epochs=2.0)


def test_blocks_lie_apart_and_cover_the_training():
    blocks = positions(100, 10, 3, random.Random(0))
    steps = [index for block in blocks for index in block]
    assert steps == sorted(set(steps))
    assert (len(steps), steps[0] >= 1, steps[-1] < 100) == (30, True, True)
    assert all(abs(block.start - (10 * part + 5)) <= 6 for part, block in enumerate(blocks))
    # Not at equal distances, which would always meet the same kind of step.
    assert len({block.start % 10 for block in blocks}) > 2


def test_groups_hold_what_there_is_room_for():
    sizes = dict(zip("abcdef", (3, 3, 3, 10, 1, 1), strict=True))
    assert groups(sizes, 7) == [["a", "b"], ["c"], ["d"], ["e", "f"]]
    assert groups(sizes, -1) == [[name] for name in sizes]
    assert [len(group) for group in groups(dict.fromkeys(range(30), 1), math.inf)] == [12, 12, 6]


def test_a_method_is_walked_to_its_turns_where_its_steps_differ():
    alike = dict.fromkeys(range(200), 1.0)
    for slow, varies in {(0,): False, (5, 90): False, (5, 90, 150): True, range(0, 200, 10): True}.items():
        assert Timed(0.0, alike | dict.fromkeys(slow, 3.0), []).varies == varies
    assert not Timed(0.0, dict.fromkeys(range(200), 0.0), []).varies


@pytest.mark.slow
def test_peak_memory_counts_what_is_held_at_once():
    def work():
        a = torch.zeros(1000)  # 4,000 bytes
        b = a + 1
        del a, b
        c = torch.zeros(2500)  # 10,000
        del c

    outside = torch.zeros(100_000)
    assert peak_bytes(work, CPU) == 10_000
    assert peak_bytes(lambda: outside.add(1).sum(), CPU) == pytest.approx(400_000, rel=0.01)


def test_flops_of_a_product_and_of_attention():
    a, b = torch.zeros(3, 5), torch.zeros(5, 7)
    assert flops(lambda: a @ b) == 2 * 3 * 5 * 7
    q = torch.zeros(2, 4, 16, 8)
    attention = torch.nn.functional.scaled_dot_product_attention
    assert flops(lambda: attention(q, q, q)) == 2 * (2 * 2 * 4 * 16 * 16 * 8)


@pytest.mark.slow
def test_state_is_what_each_method_s_definition_needs(setup):
    """DPS: float32 sums (4), or sums' successors: a mask and the held weights (1 + 4), the pre-trained ones (4)."""
    for method, expected in {"vanilla": 0, "dps": 4, "dps(scores=adam)": 1, "dps(freeze=hard)": 5, "mixout": 4}.items():
        weights, claim = claimed(method, setup)
        each = state_bytes(method, setup, 40, 5, 2) / weights
        assert each == pytest.approx(expected, abs=0.1), method
        assert (claim is None) == (method == "vanilla")


def test_a_walk_does_what_the_methods_do_without_the_passes(setup):
    """Masks of DPS come and go at the same steps as in training, and the passes are not run."""
    walked, trained = (Arm("dps(update_ratio=0.1)", setup, 40) for _ in range(2))
    passes = []
    walked.engine.model.register_forward_hook(lambda *_: passes.append(1))
    walked.walk(6)
    assert len(passes) == 1  # for the gradients
    assert len(walked.walk(20)) == 14
    trained.train(20)
    for arm in (walked, trained):
        assert arm.engine.steps == 20
    first, second = (arm.engine.sessions[0] for arm in (walked, trained))
    assert first.masks.keys() == second.masks.keys()
    assert len(first.masks) > 0 or len(first.scores) > 0
    assert all(parameter.grad is None for parameter in walked.engine.model.parameters())


def test_an_epoch_s_batches_follow_from_steps_and_accumulation(setup):
    assert setup.epoch_batches == 40  # 20 steps an epoch, 2 micro-batches each


def test_a_wrong_account_of_state_is_told():
    told = Resources(peak_bytes=1, flops=1, state_bytes=120, weights=100, claimed_bytes=100).disagreement
    assert told is not None
    assert "1.00 bytes a selected weight, 1.20 were found" in told
    assert Resources(1, 1, state_bytes=104, weights=100, claimed_bytes=100).disagreement is None
    assert Resources(1, 1, state_bytes=104, weights=100, claimed_bytes=None).disagreement is None


@pytest.mark.slow
def test_a_look_at_the_data_counts_its_share_of_the_arithmetic(setup):
    """Child-Tuning D runs the model once over the data: one pass beside two, less the gradients of pooler and head."""
    plain, child = (resources(method, setup, 2) for method in ("vanilla", "child_tuning_d"))
    assert child.flops / plain.flops == pytest.approx(1.5, abs=0.05)


@pytest.mark.slow
def test_resources_of_a_second_copy_of_the_batch(setup):
    """R3F runs the batch twice in one pass: twice the arithmetic, no state."""
    plain, r3f = (resources(method, setup, 2) for method in ("vanilla", "r3f"))
    assert r3f.flops / plain.flops == pytest.approx(2.0)
    assert r3f.peak_bytes > plain.peak_bytes
    assert r3f.state_bytes < 100


@pytest.mark.slow
def test_rows_that_are_kept_are_run_once_in_the_whole_training(setup):
    """Head tuning: a forward of the body for each row, a third of a step, in one of two epochs; the head is small."""
    plain, head = (resources(method, setup, 3) for method in ("vanilla", "head_tuning"))
    assert head.flops / plain.flops == pytest.approx(1 / 6, rel=0.1)
    assert head.claimed_bytes is None


@pytest.mark.slow
def test_training_first_costs_as_many_passes_as_it_takes(setup):
    texts = dataclasses.replace(setup, tokenizer=tokenizer())
    once, thrice = (stage_flops(f"surt(epochs={epochs})", texts) for epochs in (1, 3))
    assert thrice == pytest.approx(3 * once, rel=0.05)
    plain, surt = (resources(method, texts, 2) for method in ("vanilla", "surt(epochs=1)"))
    assert surt.flops - plain.flops == pytest.approx(once / texts.total_steps, rel=0.05)
    assert stage_peak_bytes("surt", texts) > 0
    assert stage_seconds("surt", texts) > 0
    assert (stage_flops("r3f", texts), stage_seconds("r3f", texts), stage_peak_bytes("r3f", texts)) == (0, 0, 0)
