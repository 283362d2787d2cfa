"""Scores beside the task, a panel for each target: probes of a study, or out-of-domain scores and learning curves.

python benchmarks/figures/beside.py docs/images/collapse-probe.svg runs/collapse-probe-sst2
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from matplotlib import pyplot
from matplotlib.axes import Axes

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from figures.drawing import save
from holdfast.records.summary import Summary, Target

COLOURS = ("black", "tab:blue", "tab:orange", "tab:green", "tab:purple", "tab:red")


def draw(summary: Summary, to: Path) -> None:
    """Draw the task itself and each target: runs as dots and means, against training rows where there are several."""
    targets: list[Target | None] = [None, *summary.tasks[0].targets]
    columns = min(4, len(targets))
    rows = -(-len(targets) // columns)
    figure, panels = pyplot.subplots(
        rows, columns, figsize=(3.2 * columns, 3.0 * rows), squeeze=False, layout="constrained"
    )
    flat = list(panels.flat)
    for axes, target in zip(flat, targets, strict=False):
        _panel(axes, summary, target)
    for axes in flat[len(targets) :]:
        axes.set_visible(False)
    # Only a probe's panel has the pre-trained model's line, and probes come last.
    handles, names = flat[len(targets) - 1].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=min(6, len(names)), fontsize=8)
    save(figure, to)


def _panel(axes: Axes, summary: Summary, target: Target | None) -> None:
    sizes = [info.train_rows for info in summary.tasks]
    curve = len(sizes) > 1
    for place, method in enumerate(summary.settings.methods):
        found = [_scores(summary, info.task, target, method) for info in summary.tasks]
        colour = COLOURS[place % len(COLOURS)]
        means = [sum(scores) / len(scores) if scores else float("nan") for scores in found]
        xs: Sequence[float] = sizes if curve else [place]
        axes.plot(
            xs, means, marker="_" if not curve else "o", markersize=14 if not curve else 5, color=colour, label=method
        )
        for x, scores in zip(xs, found, strict=True):
            axes.plot([x] * len(scores), scores, ".", color=colour, alpha=0.5, markersize=6)
    first = summary.tasks[0]
    constant = first.constant_score if target is None else target.constant_score
    axes.axhline(constant, color="grey", linestyle=":", linewidth=0.9, label="best constant")
    reference = None if target is None else next(row.reference for row in summary.transfer if row.target == target.name)
    if reference is not None:
        axes.axhline(reference, color="grey", linestyle="--", linewidth=0.9, label="pre-trained")
    kind = "" if target is None else " (probe)" if target.kind == "probe" else " (out of domain)"
    axes.set_title((first.base if target is None else target.name) + kind, fontsize=9)
    axes.set_ylabel(f"{first.metric if target is None else target.metric} (points)", fontsize=8)
    axes.tick_params(labelsize=7)
    # A level just above the runs would lie under the frame.
    axes.margins(y=0.1)
    if curve:
        axes.set_xscale("log")
        axes.set_xticks(sizes, map(str, sizes))
        axes.minorticks_off()
        axes.set_xlabel("training rows", fontsize=8)
    else:
        axes.set_xticks(range(len(summary.settings.methods)), summary.settings.methods, rotation=30)


def _scores(summary: Summary, task: str, target: Target | None, method: str) -> list[float]:
    rows = summary.results if target is None else [r for r in summary.transfer if r.target == target.name]
    (row,) = (row for row in rows if row.task == task and row.method == method)
    return [score for score in row.scores if score is not None]


if __name__ == "__main__":
    path = Path(sys.argv[2], "summary.json")
    draw(Summary.model_validate_json(path.read_text(encoding="utf-8")), Path(sys.argv[1]))
