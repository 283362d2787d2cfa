"""How a ``Trainer`` with methods evaluates, and lets them choose by what came out."""

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from transformers import Trainer

from holdfast.errors import HoldfastError
from holdfast.training.session.lifecycle import final_weights, select
from holdfast.training.trainer.state import Attachment


class Evaluating(Trainer):
    """Mixed in before the trainer's own class."""

    _holdfast: Attachment

    def evaluation_loop(self, *args: Any, **kwargs: Any) -> Any:
        """Evaluate, in the middle of training too, the model that training would end with."""
        own = self._holdfast
        if own.objective is None or not own.prepared:
            return super().evaluation_loop(*args, **kwargs)
        with final_weights(own.sessions):
            return super().evaluation_loop(*args, **kwargs)

    def _holdfast_select(self) -> None:
        """After the last step and the loading of the best checkpoint."""
        own = self._holdfast
        if self.eval_dataset is not None and own.objective is not None:
            with self._holdfast_unnoticed():
                select(own.objective.model, own.sessions, self._holdfast_score)

    def _holdfast_score(self) -> float:
        """Return the metric that the trainer selects models by, turned so that higher is better."""
        metrics = self.evaluate()
        name = self.args.metric_for_best_model or "loss"
        key = name if name.startswith("eval_") else f"eval_{name}"
        if key not in metrics:
            raise HoldfastError(
                f"evaluation gives no {key} to choose by, but {', '.join(metrics)}: name one of these as "
                "metric_for_best_model, with greater_is_better"
            )
        higher = self.args.greater_is_better
        higher = not key.endswith("loss") if higher is None else higher
        value = float(metrics[key])
        if math.isnan(value):
            return -math.inf
        return value if higher else -value

    @contextmanager
    def _holdfast_unnoticed(self) -> Iterator[None]:
        """Within the block, evaluations leave no trace in logs, callbacks and state."""
        handler, history = self.callback_handler, list(self.state.log_history)
        callbacks, control = handler.callbacks, copy.copy(self.control)
        handler.callbacks = []
        try:
            yield
        finally:
            handler.callbacks, self.control, self.state.log_history = callbacks, control, history
