"""What was measured, as rows of a file and of a table."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from measuring.ratios import TimeRatio
from measuring.resources import Resources

_LEGEND = (
    "Ratios to plain fine-tuning. Of the step time, rare is what steps that do more than the usual ones add, start "
    "what comes before the first step. Floor: the least that FLOPs can be, in whole passes. State: bytes a selected "
    "weight beside model, gradients and optimizer."
)


@dataclass(frozen=True)
class Cost:
    """What a method costs: ratios to plain fine-tuning, and its state."""

    method: str
    time_ratio: float
    time_ratio_low: float
    time_ratio_high: float
    flops_ratio: float
    floor: float | None
    """The least that the arithmetic can be, by the method's definition; None where there is no simple one."""
    memory_ratio: float
    state_bytes_per_weight: float


def cost(method: str, time: TimeRatio, own: Resources, vanilla: Resources, floor: float | None) -> Cost:
    """Return the cost of ``method``."""
    return Cost(
        method=method,
        time_ratio=time.ratio,
        time_ratio_low=time.low,
        time_ratio_high=time.high,
        flops_ratio=own.flops / vanilla.flops,
        floor=floor,
        memory_ratio=own.peak_bytes / vanilla.peak_bytes,
        state_bytes_per_weight=own.state_bytes / own.weights,
    )


def as_json(costs: Sequence[Cost]) -> list[dict[str, object]]:
    """Return the rows as they are saved."""
    return [asdict(one) for one in costs]


def show(
    costs: Sequence[Cost],
    times: Mapping[str, TimeRatio],
    found: Mapping[str, Resources],
    about: str,
    notes: Sequence[str],
    console: Console,
) -> None:
    """Print a table of ``costs``, what they were measured on, where a method's own account is wrong, and ``notes``."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("method", overflow="fold")
    for column in ("step time [95 % CI]", "rare", "start", "FLOPs", "floor", "memory", "state"):
        table.add_column(Text(column), justify="right", no_wrap=True)
    for one in costs:
        time, own = times[one.method], found[one.method]
        table.add_row(
            Text(one.method),
            Text(f"{time.ratio:.3f} [{time.low:.3f}, {time.high:.3f}]"),
            f"{time.rare:.3f}",
            f"{time.start:.3f}",
            f"{one.flops_ratio:.3f}",
            "–" if one.floor is None else f"{one.floor:.3f}",
            f"{one.memory_ratio:.3f}",
            f"{one.state_bytes_per_weight:.2f}" + ("" if own.disagreement is None else " !"),
        )
    console.print(Text(about), Text(_LEGEND), "", table, sep="\n")
    for one in costs:
        problem = found[one.method].disagreement
        if problem is not None:
            console.print(Text(f"! {one.method}: {problem}"))
    for note in notes:
        console.print(Text(note))
