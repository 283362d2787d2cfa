"""What is left of each task along a chain or over cycles: a panel a task, a line a method.

python benchmarks/figures/sequence.py docs/images/collapse-chain.svg runs/collapse-chain-sst2
"""

import sys
from pathlib import Path

from matplotlib import pyplot
from matplotlib.axes import Axes

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from figures.beside import COLOURS
from figures.drawing import save
from holdfast.records.summary import ProbeRow, SequenceSummary


def draw(summary: SequenceSummary, to: Path) -> None:
    """Draw the probes' scores against stages done, or, for cycles, before each task's own turns."""
    tasks = list(dict.fromkeys(row.target for row in summary.probes))
    figure, panels = pyplot.subplots(
        1, len(tasks), figsize=(max(5.0, 3.2 * len(tasks)), 3.6), squeeze=False, layout="constrained"
    )
    for axes, task in zip(panels[0], tasks, strict=True):
        _panel(axes, summary, task)
    handles, names = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=6, fontsize=8)
    save(figure, to)


def _panel(axes: Axes, summary: SequenceSummary, task: str) -> None:
    rows = [row for row in summary.probes if row.target == task]
    start = next((row for row in rows if row.stage == 0), None)
    chain = summary.protocol == "chain"
    for place, method in enumerate(summary.settings.methods):
        own = [row for row in rows if row.method == method]
        if start is not None and (chain or all(row.cycle > 1 for row in own)):
            own = [start, *own]
        colour = COLOURS[place % len(COLOURS)]
        xs = [row.stage if chain else row.cycle for row in own]
        axes.plot(xs, [row.mean for row in own], "o-", color=colour, label=method, markersize=4)
        for seed in range(len(summary.settings.seeds)):
            axes.plot(xs, [_of_seed(row, seed) for row in own], color=colour, alpha=0.3, linewidth=0.8)
    if start is not None and start.mean is not None:
        axes.axhline(start.mean, color="grey", linestyle="--", linewidth=0.9, label="pre-trained")
    stage = next(stage for stage in summary.stages if stage.task == task)
    axes.axhline(stage.constant_score, color="grey", linestyle=":", linewidth=0.9, label="best constant")
    axes.set_title(f"probe of {task}", fontsize=9)
    axes.set_ylabel(f"{stage.metric} (points)", fontsize=8)
    axes.tick_params(labelsize=8)
    if chain:
        axes.set_xticks(
            range(len(summary.stages) + 1), ["pre-trained", *(f"after {stage.task}" for stage in summary.stages)]
        )
    else:
        axes.set_xticks(sorted({row.cycle for row in rows}))
        axes.set_xlabel("before its turn in cycle", fontsize=8)


def _of_seed(row: ProbeRow, seed: int) -> float | None:
    return row.mean if row.stage == 0 else row.scores[seed]


if __name__ == "__main__":
    path = Path(sys.argv[2], "summary.json")
    draw(SequenceSummary.model_validate_json(path.read_text(encoding="utf-8")), Path(sys.argv[1]))
