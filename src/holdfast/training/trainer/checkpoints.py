"""What a ``Trainer`` with methods saves and loads: plain models, and the methods' state beside them."""

import os
from typing import Any

from torch import Tensor, nn
from transformers import Trainer

from holdfast.methods.base import Method
from holdfast.training.requirements import operates
from holdfast.training.session.lifecycle import plain_state
from holdfast.training.trainer.state import Attachment
from holdfast.training.trainer.state_file import read_state, write_state


class Saving(Trainer):
    """Mixed in before the trainer's own class."""

    _holdfast: Attachment

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Tensor] | None = None) -> None:
        own = self._holdfast
        if state_dict is None and own.prepared and any(operates(method) for method in own.methods):
            assert own.objective is not None
            state_dict = plain_state(own.objective.model, own.methods)
        super()._save(output_dir, state_dict)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        super()._save_checkpoint(model, trial)
        own = self._holdfast
        assert own.objective is not None
        if not self.args.should_save:
            return
        # Without the optimizer nobody can go on training; what undoes surgery is needed all the same.
        chosen = [method for method in own.methods if not self.args.save_only_model or operates(method)]
        folder = os.path.join(self._get_output_dir(trial), f"checkpoint-{self.state.global_step}")
        write_state(folder, own.objective.model, own.methods, chosen, own.skipped)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is not None:
            self._holdfast_restore(checkpoint, self._holdfast.methods)
            self._holdfast.logged_step = self.state.global_step

    def _load_best_model(self) -> None:
        super()._load_best_model()
        if self.state.best_model_checkpoint is not None:
            operated = [method for method in self._holdfast.methods if operates(method)]
            self._holdfast_restore(self.state.best_model_checkpoint, operated)

    def _holdfast_restore(self, checkpoint: str, methods: list[Method]) -> None:
        own = self._holdfast
        assert own.objective is not None
        own.skipped = read_state(checkpoint, own.objective.model, own.methods, methods)
