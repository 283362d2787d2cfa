"""What a ``Trainer`` with methods saves and loads: plain models, and the methods' state beside them."""

import os
from typing import Any

from torch import Tensor, nn
from transformers import Trainer

from holdfast.training.session.lifecycle import Session, plain_state, replaces_model
from holdfast.training.trainer.state import Attachment
from holdfast.training.trainer.state_file import read_state, write_state


class Saving(Trainer):
    """Mixed in before the trainer's own class."""

    _holdfast: Attachment

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Tensor] | None = None) -> None:
        own = self._holdfast
        if state_dict is None and own.prepared and any(map(replaces_model, own.sessions)):
            assert own.objective is not None
            state_dict = plain_state(own.objective.model, own.sessions)
        super()._save(output_dir, state_dict)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        super()._save_checkpoint(model, trial)
        own = self._holdfast
        assert own.objective is not None
        if not self.args.should_save:
            return
        # Without the optimizer nobody can go on training; what undoes surgery is needed all the same.
        chosen = [session for session in own.sessions if not self.args.save_only_model or replaces_model(session)]
        folder = os.path.join(self._get_output_dir(trial), f"checkpoint-{self.state.global_step}")
        write_state(folder, own.sessions, chosen, own.skipped)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is not None:
            self._holdfast_restore(checkpoint, self._holdfast.sessions)
            self._holdfast.logged_step = self.state.global_step

    def _load_best_model(self) -> None:
        super()._load_best_model()
        if self.state.best_model_checkpoint is not None:
            replacing = [session for session in self._holdfast.sessions if replaces_model(session)]
            self._holdfast_restore(self.state.best_model_checkpoint, replacing)

    def _holdfast_restore(self, checkpoint: str, chosen: list[Session]) -> None:
        own = self._holdfast
        own.skipped = read_state(checkpoint, own.sessions, chosen)
