"""What probes of checkpoints found, on a terminal."""

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from holdfast.records.probes import LayerScore, ProbedModel, ProbedOn, ProbeResults
from holdfast.report.terminal import item, put
from holdfast.report.text import ABSENT, clean, count, points, signed

_LEADING = ("task", "layer", "constant")


def show_probes(found: ProbeResults, sentences: list[str], console: Console) -> None:
    """Print ``found`` and the answer in words."""
    put(console, render(found, sentences))


def render(found: ProbeResults, sentences: list[str]) -> RenderableType:
    """Return ``found`` for Rich's ``console.print``."""
    parts: list[RenderableType] = [
        Text("Linear probes of frozen features, in points", style="bold"),
        *(Text(_about(task), style="dim") for task in found.tasks),
        Text(_conditions(found), style="dim"),
    ]
    named = [model for model in found.models if model.name != model.source]
    parts += [Text(f"{clean(model.name)}: {clean(model.source)}", style="dim") for model in named]
    parts += [Text(), ProbeTable(found), Text()]
    return Group(*parts, *(item(clean(sentence)) for sentence in sentences))


class ProbeTable:
    """Tasks and layers as rows, models as columns; several tables where one is too wide for the console."""

    def __init__(self, found: ProbeResults) -> None:
        self.found = found
        self.rows = [(task, layer) for task in found.tasks for layer in found.layers(task.task)]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        for place, models in enumerate(self._groups(width)):
            if place:
                yield Text()
            yield self._table(models)

    def _groups(self, width: int) -> list[list[ProbedModel]]:
        """Return the checkpoints that fit beside the pre-trained model in ``width`` columns."""
        shared = sum(self._width(cells) for cells in (*self._leading(), self._cells(self.found.pretrained)))
        groups: list[list[ProbedModel]] = [[]]
        left = width - shared
        for model in self.found.checkpoints:
            needed = self._width(self._cells(model))
            if groups[-1] and needed > left:
                groups.append([])
                left = width - shared
            groups[-1].append(model)
            left -= needed
        return groups

    def _table(self, models: list[ProbedModel]) -> Table:
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
        columns = [*self._leading(), *(self._cells(model) for model in (self.found.pretrained, *models))]
        for place, (header, *_) in enumerate(columns):
            table.add_column(Text(header), justify="right" if place else "left", overflow="fold")
        for row in zip(*(cells for _, *cells in columns), strict=True):
            table.add_row(*map(Text, row))
        return table

    def _leading(self) -> list[list[str]]:
        constants = [points(task.constant_score) for task, _ in self.rows]
        return [
            [_LEADING[0], *(clean(task.task) for task, _ in self.rows)],
            [_LEADING[1], *(str(layer) for _, layer in self.rows)],
            [_LEADING[2], *constants],
        ]

    def _cells(self, model: ProbedModel) -> list[str]:
        return [
            clean(model.name),
            *(cell(self.found.of(task.task, layer, model.name)) for task, layer in self.rows),
        ]

    @staticmethod
    def _width(cells: list[str]) -> int:
        return max(map(len, cells)) + 2


def cell(score: LayerScore) -> str:
    """Return mean, spread over probe seeds and difference from the pre-trained model, such as 71.2 ± 0.3 (−1.0)."""
    if score.mean is None:
        return ABSENT
    told = points(score.mean) if score.std is None else f"{points(score.mean)} ± {points(score.std)}"
    return told if score.difference is None else f"{told} ({signed(score.difference)})"


def _about(task: ProbedOn) -> str:
    scored = count(task.scored_rows, f"{clean(task.scored_split)} row")
    return f"{clean(task.task)}: {clean(task.metric)} on {scored}, learnt from {count(task.train_rows, 'training row')}"


def _conditions(found: ProbeResults) -> str:
    seeds = count(found.seeds, "probe seed")
    spread = f"mean ± spread over {seeds}" if found.seeds > 1 else seeds
    return (
        f"pooling {found.pooling}; {spread} (difference from {clean(found.pretrained.name)}); "
        "constant: what the best constant prediction scores"
    )
