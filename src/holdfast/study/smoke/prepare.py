"""From a recipe to what its smoke form needs: a model's folder, a folder of data, and the keys of its studies."""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from holdfast.study.define.recipe import Recipe

DATA, MODEL = "smoke-data", "smoke-model"
"""Folders of a smoke run."""

_SETTINGS = {
    "max_steps": 2,
    "batch_size": 8,
    "eval_batch_size": 16,
    "accumulation": 1,
    "warmup": 0.1,
    "max_length": 32,
    "precision": "fp32",
}
"""In place of the recipe's; its smoke form may set others."""


def prepare_smoke(recipe: Recipe, tasks: Sequence[str], folder: Path) -> dict[str, Any]:
    """Write model and data for ``tasks`` of ``recipe`` into ``folder``; return the keys for ``StudyFile``.

    ``settings`` go key by key over the recipe's. The same recipe gives the same files, so that a study can go on.
    """
    from holdfast.study.smoke.data import write_tasks
    from holdfast.study.smoke.models import write_model

    studies = [recipe.study_of(task) for task in tasks]
    others = [ood.task.source for study in studies for ood in study.ood]
    write_tasks(dict.fromkeys([*tasks, *others]), folder / DATA)
    write_model(recipe.smoke.model, folder / MODEL)
    return {
        "model": str(folder / MODEL),
        "revision": None,
        "train_size": None,
        "seeds": 2,
        "workers": 0,
        "smoke": True,
        "settings": {**_SETTINGS, **recipe.smoke.settings},
    }


@contextmanager
def spared() -> Iterator[None]:
    """Keep what is there already out of garbage collection meanwhile.

    The Trainer collects twice a run, and going over all of the libraries' objects takes longer than a tiny run.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
