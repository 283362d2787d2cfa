from collections.abc import Callable

import pytest

from holdfast.records.summary import Best, Overall, Summary
from report.studies import CONSTANT, FAILING, R3F, VANILLA, instability, row, summary, task


@pytest.fixture
def normal() -> Summary:
    """Two methods, five seeds, nothing wrong."""
    rows = [row("rte", "vanilla", VANILLA), row("rte", "r3f", R3F, VANILLA, verdict="better")]
    return summary(rows, [task()])


@pytest.fixture
def troubled() -> Summary:
    """Three methods: one failed twice, one lost two of its five runs."""
    lost = (69.0, None, 70.0, None, 71.0)
    rows = [
        row("rte", "vanilla", VANILLA),
        row("rte", "r3f(weight=5.0, sigma=0.01)", FAILING, VANILLA, failed=(0, 4)),
        row("rte", "r4f", lost, VANILLA),
    ]
    errors = [
        {"run": f"run{seed}", "task": "rte", "method": "r4f", "seed": str(seed), "error": "killed: out of memory"}
        for seed in (1, 3)
    ]
    info = task(warnings=["3 texts of train are also in test"], notes=["text column: sentence"])
    return summary(rows, [info], errors=errors)


@pytest.fixture
def unstable() -> Summary:
    """Two methods, with the seeds varied and with the training rows varied."""
    names = "vanilla", "r3f(weight=5.0, sigma=0.01)"
    rows = [row("rte", names[0], VANILLA), row("rte", names[1], R3F, VANILLA)]
    found = [
        instability(names[0], 0.11),
        instability(names[1], 0.04),
        instability(names[0], 0.13, "data"),
        instability(names[1], 0.07, "data"),
    ]
    return summary(rows, [task()], luck=found)


@pytest.fixture
def one_seed() -> Summary:
    rows = [row("rte", "vanilla", (66.0,)), row("rte", "r3f", (70.0,), (66.0,))]
    return summary(rows, [task()])


@pytest.fixture
def crowded() -> Callable[[int, int, int], Summary]:
    """Makes a study of so many tasks, methods and seeds, with a failed and a missing run where there is room."""

    def make(tasks: int, methods: int, seeds: int) -> Summary:
        names = [
            "vanilla",
            *(f"r3f(weight={i}.0, sigma=0.01, noise=normal)+dps(drop=0.{i})" for i in range(1, methods)),
        ]
        infos = [task(f"task-{t}", metric="matthews" if t % 2 else "accuracy") for t in range(tasks)]
        rows = []
        for t, info in enumerate(infos):
            groups: list[list[float | None]] = [
                [60 + t + m / 2 + 3 * ((7 * s + 3 * m) % 5) / 5 for s in range(seeds)] for m in range(methods)
            ]
            if seeds > 3:
                groups[-1][1], groups[-1][2] = None, CONSTANT
            for m, (name, group) in enumerate(zip(names, groups, strict=True)):
                failed = [2] if seeds > 3 and m == methods - 1 and m else []
                rows.append(row(info.task, name, group, groups[0] if m else None, failed))
        overall = [
            Overall(method=name, difference=0.5 * m, ci_low=0.5 * m - 1, ci_high=0.5 * m + 1, tasks=tasks)
            for m, name in enumerate(names)
            if m and tasks > 1
        ]
        return summary(rows, infos, overall=overall)

    return make


@pytest.fixture
def best() -> Best:
    return Best(
        task="rte",
        run="abc",
        method="r3f",
        seed=3,
        selection_score=74.0,
        score=71.12,
        optimistic=False,
        path="best",
    )
