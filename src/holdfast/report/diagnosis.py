"""What limits stability on a task, on a terminal."""

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from holdfast.records.diagnosis import Diagnosis, Features, FullTuning, HeadResult, HeadTuning, Lever
from holdfast.report.terminal import facts, item
from holdfast.wording import ABSENT, clean, count, percent

_LEVERS: dict[Lever, str] = {
    "rows": "half the rows",
    "centres": "centres twice as far",
    "rate": "half the learning rate",
    "steps": "twice the steps",
    "heads": "10 heads",
}
_KNOWN = (
    "How far the normalised head turns without a row, its leave-one-out distance, is a notion ascribed to Fu, So & "
    "Collier (2023), not confirmed against its text. The changes tried, shuffled labels, the second-order check and"
    " what counts as a limit (a tenth, where 1 % of the classes change) are Holdfast's own choices. Head tuning "
    "here is full-batch gradient descent at half the rate from which on it may overshoot, heads added up; AdamW's "
    "rate has no meaning for it. What frozen features show need not hold for the tuned encoder: holdfast compare "
    "tells."
)


def show_diagnosis(diagnosis: Diagnosis, console: Console) -> None:
    """Print ``found``."""
    console.print(render(diagnosis), highlight=False)


def render(diagnosis: Diagnosis) -> RenderableType:
    """Return ``found`` for Rich's ``console.print``."""
    title = f"{clean(diagnosis.task)}: what limits stability with {clean(diagnosis.model)}"
    parts: list[RenderableType] = [Text(title, style="bold"), Text(f"{count(diagnosis.train_rows, 'training row')}")]
    if diagnosis.features is not None:
        parts += [Text(), Text("Pre-trained features", style="bold"), facts(_features(diagnosis.features).items())]
    if diagnosis.head is not None:
        parts += [Text(), Text("Head tuning", style="bold"), Text(_conditions(diagnosis.head.given), style="dim")]
        parts += [_head(diagnosis.head)]
    if diagnosis.full is not None:
        parts += [Text(), Text("Full tuning", style="bold"), facts(_full(diagnosis.full).items())]
    parts += [Text(), Text("Limits", style="bold")]
    for limit in diagnosis.limits:
        style = {"limits": "bold yellow", "does not limit": "green", "cannot be judged": "dim"}[limit.verdict]
        parts.append(Text.assemble(f"{limit.name}: ", (limit.verdict, style)))
        parts += [item(line, 2) for line in limit.evidence]
        if limit.verdict != "does not limit":
            parts.append(item(f"acts on it: {limit.remedy}", 2))
    parts += [Text(), Text("Reading", style="bold"), *(Text(clean(line)) for line in diagnosis.sentences)]
    if diagnosis.notes:
        parts += [Text(), *(Text(clean(line), style="dim") for line in diagnosis.notes)]
    return Group(*parts, Text(), Text(_KNOWN, style="dim"))


def _features(features: Features) -> dict[str, str]:
    classes = ", ".join(f"{clean(name)} {rows}" for name, rows in features.classes.items())
    margins = sorted(pair.margin for pair in features.pairs if pair.margin is not None)
    overlapping = len(features.pairs) - len(margins)
    text = ABSENT if not margins else f"{margins[0]:.3g}"
    if len(margins) > 1:
        text = f"smallest {margins[0]:.3g}, typical {margins[len(margins) // 2]:.3g}, of {len(margins)} pairs"
    if overlapping:
        text += f"; {count(overlapping, 'pair')} not separable"
    shuffled = [pair.shuffled for pair in features.pairs if pair.shuffled is not None]
    facts = {
        "rows by class": classes,
        "width": str(features.width),
        "feature norm B, at most": f"{features.feature_norm:.3g}",
        "margin": text,
        "  with shuffled labels": f"{min(shuffled):.3g}" if shuffled else "not separable",
    }
    if features.margin is not None:
        facts["B / margin"] = f"{features.feature_norm / features.margin:.3g}"
    errors = [pair.soft_errors for pair in features.pairs if pair.soft_errors is not None]
    if errors:
        facts["soft margin errs, at most"] = percent(max(errors))
    return facts


def _head(head: HeadTuning) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("")
    for name in ("turn without\na row", "its class\nchanges", "right when\nleft out", "spread of\nseeds"):
        table.add_column(name, justify="right")
    table.add_column("seeds\ndisagree", justify="right")
    table.add_row("as given", *_cells(head.given))
    for lever, result in head.changed.items():
        table.add_row(_LEVERS[lever], *_cells(result))
    return table


def _conditions(given: HeadResult) -> str:
    steps = count(given.steps, "step")
    return (
        f"{count(given.n, 'row')}, {steps} at rate {given.learning_rate:.3g}, 1 head; then one thing changed at a time"
    )


def _cells(result: HeadResult) -> list[str]:
    return [
        f"{result.leave_one_out:.3g}",
        percent(result.flips),
        percent(result.accuracy),
        f"{result.seed_spread:.3g}",
        percent(result.disagreement),
    ]


def _full(full: FullTuning) -> dict[str, str]:
    facts = {
        f"curvature on {count(full.curvature_rows, 'row')}": f"{full.least_curvature:.3g} to {full.sharpness:.3g}",
        "rate x sharpness": f"{full.learning_rate * full.sharpness:.2g}  (plain gradient descent: below 2)",
        "a row's gradient, at most": f"{full.gradient_start:.3g} before, {full.gradient_end:.3g} after",
        f"distance in {full.steps} steps": f"{full.distance:.3g}, of weights of norm {full.weight_norm:.3g}",
        "loss": f"{full.loss_start:.3f} to {full.loss_end:.3f}; second-order expansion {full.loss_expanded:.3f}",
        "bound": ABSENT if full.bound is None else f"{full.bound:.2g}  ({full.bound_name})",
    }
    return facts | {"  " * (index + 1): note for index, note in enumerate(full.bound_notes)}
