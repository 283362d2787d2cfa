"""Timing methods against each other, in turns, so that whatever disturbs the machine disturbs all alike."""

import gc
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from holdfast.training.traits import measures
from measuring.arm import Arm
from measuring.ratios import TimeRatio, time_ratio
from measuring.setup import Setup

_FEW, _MORE = 2, 8
"""Batches that methods which look at the data are shown, to see what each batch takes."""


@dataclass
class Timed:
    """What was timed of one method."""

    start: float
    """Seconds before the first step."""
    hooks: dict[int, float]
    """Seconds of the hooks at each step."""
    blocks: list[float]
    """Seconds of a step, the mean over the block of a round."""


def positions(total_steps: int, rounds: int, steps: int, draw: random.Random) -> list[range]:
    """Return a block of ``steps`` consecutive steps for each round, one in each ``rounds``-th part of the training.

    Where in its part a block lies is drawn, as a method may do something at every k-th step.
    """
    # From step 1 on: the first makes the optimizer's state.
    bounds = [1 + (total_steps - 1) * part // rounds for part in range(rounds + 1)]
    starts = [draw.randint(low, high - steps) for low, high in pairwise(bounds)]
    return [range(start, start + steps) for start in starts]


def compare(
    methods: Mapping[str, str],
    setup: Setup,
    rounds: int,
    steps: int,
    together: bool,
    tell: Callable[[str], None],
) -> dict[str, TimeRatio]:
    """Return the time ratios of ``methods``, method text by name, to plain fine-tuning.

    ``together``: all take turns; otherwise each with plain fine-tuning alone, where memory holds no more.
    """
    groups = [methods] if together else [{name: text} for name, text in methods.items()]
    found = {}
    for group in groups:
        blocks = positions(setup.total_steps, rounds, steps, random.Random(0))
        timed = {}
        for name, text in group.items():
            tell(f"{name}: what it does rarely, over {setup.total_steps} steps")
            timed[name] = profile(text, setup)
        plain = Timed(0.0, {}, [])
        tell(f"{rounds} rounds of {steps} steps: vanilla, {', '.join(group)}")
        _take_turns(group, setup, blocks, timed, plain)
        for name in group:
            own = timed[name]
            found[name] = time_ratio(own.blocks, plain.blocks, blocks, own.hooks, own.start, setup.total_steps)
    return found


def profile(method: str, setup: Setup) -> Timed:
    """Time what a method does outside the forward and backward passes, once through a whole training."""
    # What it imports is paid here.
    Arm(method, setup, setup.total_steps).close()
    arm = Arm(method, setup, setup.total_steps)
    start = arm.preparing
    if any(measures(one) for one in arm.engine.methods):
        start += _measuring(method, setup)
    hooks = arm.walk(setup.total_steps)
    arm.close()
    return Timed(start, hooks, [])


def _measuring(method: str, setup: Setup) -> float:
    """Return the seconds that looking at all training rows takes, from two looks at few."""
    seconds = []
    for count in (_FEW, _MORE):
        data = [setup.batches[index % len(setup.batches)] for index in range(count)]
        arm = Arm(method, setup, setup.total_steps, data)
        first, usual = arm.train(1), min(arm.train(1), arm.train(1))
        seconds.append(first - usual)
        arm.close()
    each = (seconds[1] - seconds[0]) / (_MORE - _FEW)
    return max(0.0, seconds[0] + each * (setup.epoch_batches - _FEW))


def _take_turns(
    methods: Mapping[str, str], setup: Setup, blocks: Sequence[range], timed: Mapping[str, Timed], plain: Timed
) -> None:
    arms = [(Arm("vanilla", setup, setup.total_steps), plain)]
    arms += [(Arm(text, setup, setup.total_steps), timed[name]) for name, text in methods.items()]
    order, draw = list(arms), random.Random(1)
    for arm, _ in arms:
        arm.train(1)
    gc.disable()
    try:
        for block in blocks:
            for arm, own in arms:
                for index, seconds in arm.walk(block.start).items():
                    # What disturbed the machine is not the method's.
                    own.hooks[index] = min(seconds, own.hooks.get(index, seconds))
            draw.shuffle(order)
            for arm, own in order:
                own.blocks.append(arm.train(len(block)) / len(block))
            gc.collect()
    finally:
        gc.enable()
    for arm, _ in arms:
        arm.close()
