"""Timing methods against each other, in turns, so that whatever disturbs the machine disturbs all alike."""

import gc
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from measuring.arm import Arm
from measuring.contestants import Contestant, keeps_rows, looks, start
from measuring.ratios import TimeRatio, time_ratio
from measuring.setup import Setup
from measuring.stages import stage_seconds
from measuring.training import Training

_RARE = 0.01
"""Of the steps, those that may differ from the others without a method's being walked to where it is timed."""
_TOGETHER = 12
"""Of more, the turns would lie too far from those of plain fine-tuning."""

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

    @property
    def varies(self) -> bool:
        """Whether the hooks of some steps do more than those of others, and not once or twice alone."""
        usual = median(self.hooks.values())
        return sum(seconds > 2 * usual for seconds in self.hooks.values()) > _RARE * len(self.hooks)


def positions(total_steps: int, rounds: int, steps: int, draw: random.Random) -> list[range]:
    """Return a block of ``steps`` consecutive steps for each round, one in each ``rounds``-th part of the training.

    Where in its part a block lies is drawn, as a method may do something at every k-th step.
    """
    # From step 1 on: the first makes the optimizer's state.
    bounds = [1 + (total_steps - 1) * part // rounds for part in range(rounds + 1)]
    starts = [draw.randint(low, high - steps) for low, high in pairwise(bounds)]
    return [range(start, start + steps) for start in starts]


def groups(resident: Mapping[str, int], room: float) -> list[list[str]]:
    """Return who takes turns with whom: as many at once, by bytes of memory, as there is ``room`` for."""
    found: list[list[str]] = []
    held = 0
    for name, size in resident.items():
        if not found or len(found[-1]) == _TOGETHER or held + size > room:
            found.append([])
            held = 0
        found[-1].append(name)
        held += size
    return found


def compare(
    contestants: Mapping[str, Contestant],
    setup: Setup,
    rounds: int,
    steps: int,
    together: Sequence[Sequence[str]],
    tell: Callable[[str], None],
) -> dict[str, TimeRatio]:
    """Return the time ratios of ``contestants``, by name, to plain fine-tuning.

    ``together``: the names of those that take turns, each such group with a plain fine-tuning of its own.
    """
    found = {}
    for names in together:
        group = {name: contestants[name] for name in names}
        blocks = positions(setup.total_steps, rounds, steps, random.Random(0))
        timed = {}
        for name, contestant in group.items():
            tell(f"{name}: what it does rarely, over {setup.total_steps} steps")
            timed[name] = profile(contestant, setup)
        plain = Timed(0.0, dict.fromkeys(range(setup.total_steps), 0.0), [])
        tell(f"{rounds} rounds of {steps} steps: vanilla, {', '.join(group)}")
        _take_turns(group, setup, blocks, timed, plain)
        for name in group:
            own = timed[name]
            found[name] = time_ratio(own.blocks, plain.blocks, blocks, own.hooks, own.start, setup.total_steps)
    return found


def profile(contestant: Contestant, setup: Setup) -> Timed:
    """Time what is done outside the forward and backward passes, once through a whole training."""
    # What it imports is paid here.
    start(contestant, setup, setup.total_steps).close()
    arm = start(contestant, setup, setup.total_steps)
    before = arm.preparing + stage_seconds(contestant, setup)
    if looks(contestant):
        before += _looking(contestant, setup)
    if keeps_rows(contestant):
        before += _meeting(contestant, setup)
    hooks = arm.walk(setup.total_steps)
    arm.close()
    return Timed(before, hooks, [])


def _looking(contestant: Contestant, setup: Setup) -> float:
    """Return the seconds that looking at all training rows takes, from two looks at few."""
    seconds = []
    for count in (_FEW, _MORE):
        arm = start(contestant, setup, setup.total_steps, setup.some(count))
        first, usual = arm.train(1), min(arm.train(1), arm.train(1))
        seconds.append(first - usual)
        arm.close()
    each = (seconds[1] - seconds[0]) / (_MORE - _FEW)
    return max(0.0, seconds[0] + each * (setup.epoch_batches - _FEW))


def _meeting(contestant: Contestant, setup: Setup) -> float:
    """Return the seconds that running all training rows through the body for the first time adds."""
    arm = start(contestant, setup, setup.total_steps)
    assert isinstance(arm, Arm)
    seconds = []
    for _ in range(2):
        setup.synchronise()
        began = time.perf_counter()
        arm.meet_all()
        setup.synchronise()
        seconds.append(time.perf_counter() - began)
    arm.close()
    return max(0.0, seconds[0] - seconds[1]) / len(setup.batches) * setup.epoch_batches


def _take_turns(
    group: Mapping[str, Contestant], setup: Setup, blocks: Sequence[range], timed: Mapping[str, Timed], plain: Timed
) -> None:
    arms: list[tuple[Training, Timed]] = [(start("vanilla", setup, setup.total_steps), plain)]
    arms += [(start(contestant, setup, setup.total_steps), timed[name]) for name, contestant in group.items()]
    order, draw = list(arms), random.Random(1)
    for arm, _ in arms:
        arm.train(1)
    for (arm, _), contestant in zip(arms[1:], group.values(), strict=True):
        if keeps_rows(contestant):
            assert isinstance(arm, Arm)
            arm.meet_all()
    gc.disable()
    # What is there already need not be looked through after each round.
    gc.freeze()
    try:
        for block in blocks:
            for arm, own in arms:
                if not own.varies:
                    # Where it is in the training makes no difference.
                    arm.skip(block.start)
                    continue
                for index, seconds in arm.walk(block.start).items():
                    # What disturbed the machine is not the method's.
                    own.hooks[index] = min(seconds, own.hooks[index])
            draw.shuffle(order)
            for arm, own in order:
                own.blocks.append(arm.train(len(block)) / len(block))
            gc.collect()
    finally:
        gc.unfreeze()
        gc.enable()
    for arm, _ in arms:
        arm.close()
