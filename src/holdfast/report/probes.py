"""What probes of checkpoints found."""

from collections.abc import Sequence

from holdfast.records.probes import LayerScore, ProbedModel, ProbedOn, ProbeResults
from holdfast.report.block import Block, Cell, Heading, Report, Row, Table
from holdfast.wording import ABSENT, clean, count, points, signed, spread


def probe_report(found: ProbeResults, sentences: Sequence[str]) -> Report:
    """Return ``found``, tasks and layers as rows and models as columns, and the answer in words."""
    named = [model for model in found.models if model.name != model.source]
    about = [*map(_about, found.tasks), _conditions(found), *(f"{model.name}: {model.source}" for model in named)]
    blocks = (
        Block("Linear probes of frozen features, in points", table=_table(found), notes=tuple(map(clean, sentences))),
        Block("What was probed", notes=tuple(map(clean, about))),
    )
    return Report(blocks)


def _table(found: ProbeResults) -> Table:
    headings = (
        Heading("task", "left"),
        Heading("layer", key=True),
        Heading("constant", key=True),
        Heading(clean(found.pretrained.name), key=True),
        *(Heading(clean(model.name)) for model in found.checkpoints),
    )
    models = (found.pretrained, *found.checkpoints)
    rows = tuple(_row(task, layer, models, found) for task in found.tasks for layer in found.layers(task.task))
    return Table(headings, rows, many=True)


def _row(task: ProbedOn, layer: int, models: Sequence[ProbedModel], found: ProbeResults) -> Row:
    cells = [Cell(str(layer)), Cell(points(task.constant_score))]
    cells += [Cell(_score(found.of(task.task, layer, model.name))) for model in models]
    return Row(clean(task.task), tuple(cells), "text")


def _score(score: LayerScore) -> str:
    """Mean, spread over probe seeds and difference from the pre-trained model, such as 71.2 ± 0.3 (−1.0)."""
    if score.mean is None:
        return ABSENT
    told = spread(score.mean, score.std)
    return told if score.difference is None else f"{told} ({signed(score.difference)})"


def _about(task: ProbedOn) -> str:
    scored = count(task.scored_rows, f"{clean(task.scored_split)} row")
    return f"{clean(task.task)}: {clean(task.metric)} on {scored}, learnt from {count(task.train_rows, 'training row')}"


def _conditions(found: ProbeResults) -> str:
    seeds = count(found.seeds, "probe seed")
    over = f"mean ± spread over {seeds}" if found.seeds > 1 else seeds
    return (
        f"pooling {found.pooling}; {over} (difference from {clean(found.pretrained.name)}); "
        "constant: what the best constant prediction scores"
    )
