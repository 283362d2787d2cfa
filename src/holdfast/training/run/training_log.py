"""What a run keeps of its training."""

import math
import time
from collections.abc import Sequence
from typing import Any

from transformers import TrainerCallback

from holdfast.records.run import Checkpoint
from holdfast.training.pretraining.self_supervised import StageProgress
from holdfast.training.run.progress import OnProgress, Progress


class TrainingLog(TrainerCallback):
    """Collects what the trainer logs, times the steps and passes progress on."""

    def __init__(self, on_progress: OnProgress, methods: Sequence[str]) -> None:
        self.on_progress = on_progress
        self.methods = methods
        self.facts: dict[str, float] = {}
        self.loss: float | None = None
        self.losses: list[dict[str, float]] = []
        self.evaluations: list[Checkpoint] = []
        self.diverged = False
        self.seconds = 0.0
        self._began = 0.0

    def on_stage(self, progress: StageProgress) -> None:  # noqa: D102
        now = time.perf_counter()
        # Building the language model before the first step is no training.
        self.seconds += now - self._began if progress.step else 0.0
        self._began = now
        self.on_progress(Progress(progress.step, progress.total, "re-training", progress.loss))

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: D102
        self._began = time.perf_counter()

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: D102
        if state.global_step == 0:
            # A method that looked at the data before the first step pays for it.
            self.seconds += time.perf_counter() - self._began
        self._began = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: D102
        self.seconds += time.perf_counter() - self._began
        self.on_progress(Progress(state.global_step, state.max_steps, "training", self.loss))

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:  # noqa: D102
        facts = {name: float(value) for name, value in logs.items() if name.split("/")[0] in self.methods}
        self.facts |= {name: value for name, value in facts.items() if math.isfinite(value)}
        if "loss" not in logs:
            return
        entry = {"step": float(state.global_step), "loss": float(logs["loss"])}
        entry |= {name: float(value) for name, value in logs.items() if name.startswith("loss/")}
        # JSON has no NaN: a term that is not finite is left out, and `diverged` says so.
        finite = {name: value for name, value in entry.items() if math.isfinite(value)}
        self.diverged |= len(finite) < len(entry)
        self.losses.append(finite)
        self.loss = finite.get("loss", self.loss)

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **kwargs: Any) -> None:  # noqa: D102
        scores = {
            name.removeprefix("eval_"): float(value) if math.isfinite(value) else None
            for name, value in metrics.items()
            if name.startswith("eval_") and not name.endswith(("runtime", "per_second"))
        }
        self.evaluations.append(Checkpoint(step=state.global_step, epoch=float(state.epoch or 0.0), metrics=scores))
