"""Score against cost, a point for each method.

python benchmarks/figures/tradeoff.py docs/images/cost-quality.svg cost.json runs/cheap
"""

import dataclasses
import json
import sys
from pathlib import Path
from statistics import fmean, stdev

from matplotlib import pyplot

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from figures.drawing import save
from figures.runs import Runs, read_runs, scores
from holdfast.errors import HoldfastError
from holdfast.methods import describe, parse


def draw(runs: Runs, costs: dict[str, float], to: Path) -> None:
    """Draw a panel for each task: the mean score with its standard error, against the ratio of step times."""
    figure, panels = pyplot.subplots(1, len(runs), figsize=(6.5 * len(runs), 5), squeeze=False, layout="constrained")
    for axes, (task, methods) in zip(panels[0], sorted(runs.items()), strict=True):
        for text, records in methods.items():
            values = scores(records)
            error = stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0
            x, y = _cost(text, costs), fmean(values)
            axes.errorbar(x, y, error, fmt="o", markersize=4, capsize=2, color=_colour(text))
            axes.annotate(text, (x, y), fontsize=7, xytext=(4, 3), textcoords="offset points")
        plain = fmean(scores(methods["vanilla"]))
        axes.axhline(plain, color="grey", linestyle="--", linewidth=0.8)
        axes.set(title=task, xlabel="step time, plain fine-tuning = 1", ylabel=f"{records[0].primary} (points)")
    save(figure, to)


def _cost(text: str, costs: dict[str, float]) -> float:
    if text == "vanilla":
        return 1.0
    form = _form(text)
    if form not in costs:
        raise HoldfastError(f"the costs have no row for {form}: add it to the --methods of benchmarks/cost.py")
    return costs[form]


def _form(text: str) -> str:
    """Return the methods with the default strength, as that costs nothing."""
    found = []
    for method in parse(text):
        strengths = {f.name: f.default for f in dataclasses.fields(method) if f.name in ("weight", "alpha")}
        found.append(dataclasses.replace(method, **strengths))
    return describe(found)


def _colour(text: str) -> str:
    return "tab:blue" if text.startswith("r3f") else "black" if text == "vanilla" else "tab:orange"


def read_costs(path: Path) -> dict[str, float]:
    """Return the ratio of step times by method, as benchmarks/cost.py saved them."""
    rows = json.loads(path.read_text(encoding="utf-8"))
    return {row["method"]: row["time_ratio"] for row in rows}


if __name__ == "__main__":
    draw(read_runs(*map(Path, sys.argv[3:])), read_costs(Path(sys.argv[2])), Path(sys.argv[1]))
