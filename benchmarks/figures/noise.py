"""Penalty and score of R3F against the size of its noise, with dropout of each copy's own and with the same.

    python benchmarks/figures/noise.py docs/images/r3f-noise.svg runs/noise-trec runs/noise-cr

docs/what-r3f-really-does.md has the command of the study.
"""

import sys
from pathlib import Path
from statistics import fmean

from matplotlib import pyplot
from matplotlib.axes import Axes

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from figures.drawing import save
from figures.runs import Runs, mean_term, read_runs, scores
from holdfast import R3F
from holdfast.methods import parse
from holdfast.records.run import RunRecord

_FLOOR = 3e-3
"""Where sigma 0 stands on the logarithmic axis."""
_LINES = [(False, "dropout of their own", "o", "tab:blue"), (True, "the same dropout", "s", "tab:orange")]


def draw(runs: Runs, to: Path) -> None:
    """Draw a row of two panels for each task."""
    figure, rows = pyplot.subplots(len(runs), 2, figsize=(9, 3.2 * len(runs)), squeeze=False, layout="constrained")
    for (left, right), (task, methods) in zip(rows, sorted(runs.items()), strict=True):
        for same, label, marker, colour in _LINES:
            points = _points(methods, same)
            _panel(left, points, lambda record: mean_term(record, "r3f"), label, marker, colour)
            _panel(right, points, lambda record: scores([record])[0], label, marker, colour)
        plain = fmean(scores(methods["vanilla"]))
        right.axhline(plain, color="grey", linestyle="--", label="plain fine-tuning")
        left.set(yscale="log", title=task, ylabel="mean penalty over training (nats)")
        right.set(title=task, ylabel=f"{methods['vanilla'][0].primary} (points)")
        for axes in (left, right):
            axes.set(xscale="log", xlabel="noise, share of the embedding's scale (left end: 0)")
        right.legend(fontsize=8)
    save(figure, to)


def _points(methods: dict[str, list[RunRecord]], same: bool) -> dict[float, list[RunRecord]]:
    found = {}
    for text, records in methods.items():
        (method,) = parse(text)
        if isinstance(method, R3F) and method.same_dropout == same:
            found[method.sigma] = records
    return dict(sorted(found.items()))


def _panel(axes: Axes, points: dict[float, list[RunRecord]], value, label: str, marker: str, colour: str) -> None:
    at = [max(sigma, _FLOOR) for sigma in points]
    each = [[value(record) for record in records] for records in points.values()]
    for x, values in zip(at, each, strict=True):
        axes.plot([x] * len(values), values, marker, color=colour, markersize=3, alpha=0.5)
    axes.plot(at, [fmean(values) for values in each], marker + "-", color=colour, label=label)


if __name__ == "__main__":
    draw(read_runs(*map(Path, sys.argv[2:])), Path(sys.argv[1]))
