"""Leave-one-out trainings of a head all at once, as a ratio to loops that train one after the other.

    python benchmarks/leave_one_out.py --rows 100 --dimensions 20,50 --steps 1000 --json leave_one_out.json

Seconds are of processor time in one thread, so that other work on the machine does not count. The loops do the same
n + 1 trainings: with autograd and torch's SGD; with the gradient written by hand; and scikit-learn's logistic
regression, which is another thing, the optimum of a loss with next to no penalty, and is there for comparison.
"""

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from holdfast.stability import largest_learning_rate, leave_one_out_head, with_constant

_WIDTH = 110
"""Columns of a table that is written to a file."""
_SCALE = 0.1
"""Of the initial weights."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and save; return the exit code."""
    given = _options().parse_args(arguments)
    torch.set_num_threads(1)
    found = [measure(given.rows, dimension, given.steps, given.rounds) for dimension in given.dimensions]
    _show(found)
    if given.json is not None:
        given.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


def measure(n: int, dimension: int, steps: int, rounds: int) -> dict[str, float]:
    """Return seconds at once, the ratios of the loops to it, and how far the loop's distances are from ours."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(n) % 2
    x = torch.randn(n, dimension, generator=generator, dtype=torch.float64)
    x[:, 0] += 4.0 * y
    rows = with_constant(x)
    rate = largest_learning_rate(rows) / 2
    start = torch.randn(dimension + 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * _SCALE
    ways: dict[str, Callable[[], object]] = {
        "at_once": lambda: leave_one_out_head(x, y, steps, rate, init_scale=_SCALE, seed=0),
        "autograd": lambda: _loop(rows, y, lambda x, y: _autograd(x, y, start, steps, rate)),
        "by_hand": lambda: _loop(rows, y, lambda x, y: _by_hand(x, y, start, steps, rate)),
        "scikit_learn": lambda: _loop(rows, y, _scikit_learn),
    }
    # What is imported and allocated at first use is paid here.
    leave_one_out_head(x, y, 1, rate)
    _scikit_learn(rows, y)
    seconds = {name: min(_seconds(way) for _ in range(rounds)) for name, way in ways.items()}
    apart = _distances(_loop(rows, y, lambda x, y: _by_hand(x, y, start, steps, rate)))
    ours = leave_one_out_head(x, y, steps, rate, init_scale=_SCALE, seed=0).distances
    return {
        "rows": n,
        "dimension": dimension,
        "steps": steps,
        "seconds": seconds["at_once"],
        **{name: value / seconds["at_once"] for name, value in seconds.items() if name != "at_once"},
        "largest_difference": float((apart - ours).abs().max()),
    }


def _seconds(way: Callable[[], object]) -> float:
    start = time.process_time()
    way()
    return time.process_time() - start


def _loop(x: Tensor, y: Tensor, train: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Return the head of all rows and, below it, those without each row."""
    heads = [train(x, y)]
    for row in range(len(x)):
        kept = torch.arange(len(x)) != row
        heads.append(train(x[kept], y[kept]))
    return torch.stack(heads)


def _distances(heads: Tensor) -> Tensor:
    heads = heads / heads.norm(dim=1, keepdim=True)
    return (heads[1:] - heads[0]).norm(dim=1)


def _autograd(x: Tensor, y: Tensor, start: Tensor, steps: int, rate: float) -> Tensor:
    head = nn.Linear(x.shape[1], 1, bias=False, dtype=torch.float64)
    head.weight.data.copy_(start)
    optimizer = torch.optim.SGD(head.parameters(), lr=rate)
    target = y.to(torch.float64)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(head(x)[:, 0], target).backward()
        optimizer.step()
    return head.weight.detach()[0].clone()


def _by_hand(x: Tensor, y: Tensor, start: Tensor, steps: int, rate: float) -> Tensor:
    rows = torch.where(y[:, None] > 0, -x, x)
    head = start.clone()
    for _ in range(steps):
        head = head - rate / len(x) * (rows.T @ torch.sigmoid(rows @ head))
    return head


def _scikit_learn(x: Tensor, y: Tensor) -> Tensor:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = LogisticRegression(C=1e6, fit_intercept=False, max_iter=1000).fit(x.numpy(), y.numpy())
    return torch.from_numpy(found.coef_[0])


def _show(found: list[dict[str, float]]) -> None:
    table = Table(title="Leave-one-out trainings: seconds at once, and the loops as multiples of it")
    for name in found[0]:
        table.add_column(name.replace("_", " "), justify="right")
    for one in found:
        table.add_row(*(f"{value:.3g}" for value in one.values()))
    Console(width=None if sys.stdout.isatty() else _WIDTH).print(table)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--dimensions", type=lambda text: [int(one) for one in text.split(",")], default=[20, 50])
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3, help="of which the fastest counts, for each way")
    parser.add_argument("--json", type=Path)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
