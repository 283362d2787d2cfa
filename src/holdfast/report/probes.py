"""What probes of checkpoints found."""

from collections.abc import Sequence

from holdfast.records.probes import LayerScore, ProbedModel, ProbedOn, ProbeResults
from holdfast.report.block import Block, Cell, Heading, Report, Row, Table
from holdfast.wording import ABSENT, clean, count, points, signed, spread


def probe_report(results: ProbeResults, sentences: Sequence[str]) -> Report:
    """Return ``found``, tasks and layers as rows and models as columns, and the answer in words."""
    named = [model for model in results.models if model.name != model.source]
    about = [*map(_about, results.tasks), _conditions(results), *(f"{model.name}: {model.source}" for model in named)]
    blocks = (
        Block("Linear probes of frozen features, in points", table=_table(results), notes=tuple(map(clean, sentences))),
        Block("What was probed", notes=tuple(map(clean, about))),
    )
    return Report(blocks)


def _table(results: ProbeResults) -> Table:
    headings = (
        Heading("task", "left"),
        Heading("layer", key=True),
        Heading("constant", key=True),
        Heading(clean(results.pretrained.name), key=True),
        *(Heading(clean(model.name)) for model in results.checkpoints),
    )
    models = (results.pretrained, *results.checkpoints)
    rows = tuple(_row(task, layer, models, results) for task in results.tasks for layer in results.layers(task.task))
    return Table(headings, rows, many=True)


def _row(task: ProbedOn, layer: int, models: Sequence[ProbedModel], results: ProbeResults) -> Row:
    cells = [Cell(str(layer)), Cell(points(task.constant_score))]
    cells += [Cell(_score(results.of(task.task, layer, model.name))) for model in models]
    return Row(clean(task.task), tuple(cells), "text")


def _score(score: LayerScore) -> str:
    """Mean, spread over probe seeds and difference from the pre-trained model, such as 71.2 ± 0.3 (−1.0)."""
    if score.mean is None:
        return ABSENT
    text = spread(score.mean, score.std)
    return text if score.difference is None else f"{text} ({signed(score.difference)})"


def _about(task: ProbedOn) -> str:
    scored = count(task.scored_rows, f"{clean(task.scored_split)} row")
    return f"{clean(task.task)}: {clean(task.metric)} on {scored}, learnt from {count(task.train_rows, 'training row')}"


def _conditions(results: ProbeResults) -> str:
    seeds = count(results.seeds, "probe seed")
    over = f"mean ± spread over {seeds}" if results.seeds > 1 else seeds
    return (
        f"pooling {results.pooling}; {over} (difference from {clean(results.pretrained.name)}); "
        "constant: what the best constant prediction scores"
    )
