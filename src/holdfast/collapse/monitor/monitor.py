"""Watches the representation while a Transformers ``Trainer`` trains."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from accelerate.utils import broadcast
from torch.utils.data import IterableDataset
from transformers import Trainer, TrainerCallback

from holdfast.collapse.monitor.looking import Layers, Look, Monitor, same_draws
from holdfast.errors import HoldfastError
from holdfast.training.models.hidden_states import spread_rows

logger = logging.getLogger(__name__)

_TRAINED_ROWS = 25
"""For each that is looked at: a forward pass is a third of a training step, so that looks take 1 to 2 % of the time."""
_PREFIX = "collapse/"
_LOGGED = ("cka", "effective_rank", "participation_ratio", "mean_cosine", "distance")


class CollapseMonitor(TrainerCallback):
    """Logs every so many optimizer steps what training does to the representation of fixed rows.

        trainer.add_callback(CollapseMonitor(trainer))

    The reference is the model as it is when the monitor is made, also where training is resumed later. Before the
    first step, after every ``every`` and after the last one, ``trainer.log`` gets ``collapse/cka``,
    ``collapse/effective_rank``, ``collapse/participation_ratio`` and ``collapse/mean_cosine`` of the last hidden
    layer, and ``collapse/distance`` of the body's weights, as far as they are defined; with ``layers="all"`` also
    ``collapse/layer_0/cka`` and so on, from the embeddings on. ``looks`` keeps them. What ``Monitor`` says of a look
    holds: training goes on bit for bit as without it.

    Works with ``attach`` before or after it; make it before where methods change the model at the start
    (``reinit``, ``noisytune``), as the reference is then the pre-trained one. Under DistributedDataParallel every
    process looks at the same rows, and the first one decides to stop.

    Args:
        trainer: Trainer whose model is watched.
        every: Optimizer steps from one look to the next; None takes as many as train on 25 rows for each that is
            looked at: 100 for 64 rows and steps of 16, under 3 % of the time from about 200 steps on
            (``benchmarks/monitor.py``).
        rows: Rows to look at, taken evenly spread from the trainer's ``eval_dataset`` (the first, if it has several),
            or else its ``train_dataset``, through its collator.
        batch: The model's keyword arguments, which take the place of those rows.
        stop: A share between 0 and 1: training ends, with a line in the log, once the effective rank of the last
            hidden layer falls below that share of the pre-trained model's, or the layer is not finite or the same for
            every row; None never stops.
        layers: ``"all"`` logs every hidden layer, ``"last"`` the last one.
        distance: Log the distance of the body's weights too.

    Raises:
        HoldfastError: As ``Monitor``, for arguments out of range, data that cannot be picked from, and with FSDP or
            DeepSpeed.

    Example:
        >>> trainer = attach(Trainer(model, args, train_dataset=data), R3F())
        >>> trainer.add_callback(CollapseMonitor(trainer, every=2))
        >>> output = trainer.train()
    """

    def __init__(
        self,
        trainer: Trainer,
        every: int | None = None,
        rows: int = 64,
        batch: Mapping[str, Any] | None = None,
        stop: float | None = None,
        *,
        layers: Layers = "last",
        distance: bool = True,
    ) -> None:
        if every is not None and every < 1:
            raise HoldfastError(f"CollapseMonitor(every={every}): it looks every so many optimizer steps, at least 1")
        if rows < 4:
            raise HoldfastError(f"CollapseMonitor(rows={rows}): it takes at least 4 rows, better 64")
        if stop is not None and not 0 < stop < 1:
            raise HoldfastError(
                f"CollapseMonitor(stop={stop}): it is a share of the pre-trained effective rank, between 0 and 1"
            )
        if trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
            raise HoldfastError("CollapseMonitor runs the whole model in every process, not its shards: use DDP")
        self._trainer = trainer
        args = trainer.args
        trained = args.per_device_train_batch_size * args.gradient_accumulation_steps
        self.every = every or max(1, round(_TRAINED_ROWS * rows / trained))
        self.stop = stop
        self.looks: list[Look] = []
        """Of the current training, from step 0 on, also when it was resumed; those before that without ``layers``."""
        batches = [batch] if batch is not None else _batches(trainer, rows)
        assert trainer.model is not None
        self.monitor = Monitor(
            trainer.model, batches, layers=layers, distance=distance, context=trainer.accelerator.autocast
        )

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Look at the model before the first step."""
        # Also where the Trainer begins anew with a smaller batch, or is resumed in another process.
        self.looks = _logged_looks(state.log_history)
        if state.global_step == 0:
            self._look(state, control)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Look at the model every so many steps, and after the last one; stop what has collapsed."""
        if state.global_step % self.every == 0 or state.global_step >= state.max_steps:
            self._look(state, control)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Look at a model whose training was stopped, unless an earlier checkpoint has taken its place."""
        if not (args.load_best_model_at_end and state.best_model_checkpoint is not None):
            self._look(state, control)

    def _look(self, state: Any, control: Any) -> None:
        step = state.global_step
        if self.looks and self.looks[-1].step == step:
            return
        assert self._trainer.model is not None
        # With model_init each training has a model of its own.
        self.monitor.model = self._trainer.model
        look = self.monitor.look(step)
        self.looks.append(look)
        logging_is_due = control.should_log
        self._trainer.log(_as_log(look))
        # Logging takes the loss of this step for logged too.
        control.should_log = logging_is_due
        if self.stop is not None and 0 < step < state.max_steps and self._has_collapsed(look, self.stop):
            control.should_training_stop = True

    def _has_collapsed(self, look: Look, share: float) -> bool:
        rank, before = look.effective_rank, self.monitor.start.effective_rank
        assert before is not None
        collapsed = rank is None or rank < share * before
        args = self._trainer.args
        if args.world_size > 1:
            # Of one mind also where processes compute on devices that round differently.
            collapsed = bool(broadcast(torch.tensor(int(collapsed), device=args.device)))
        if collapsed and self._trainer.is_world_process_zero():
            now = "is not finite or the same for every row" if rank is None else f"has an effective rank of {rank:.2f}"
            logger.warning(
                "training stops at step %d: the last hidden layer %s, and the pre-trained model's is %.2f (stop=%g)",
                look.step,
                now,
                before,
                share,
            )
        return collapsed


def _batches(trainer: Trainer, rows: int) -> list[Mapping[str, Any]]:
    """Return evenly spread rows in batches as large as the trainer takes."""
    data: Any = trainer.eval_dataset if trainer.eval_dataset is not None else trainer.train_dataset
    if isinstance(data, dict):
        data = next(iter(data.values()), None)
    if data is None:
        raise HoldfastError("CollapseMonitor: the trainer has no data to look at, give it batch=")
    if isinstance(data, IterableDataset) or not hasattr(data, "__len__"):
        raise HoldfastError(
            "CollapseMonitor: the trainer's data are a stream, whose rows cannot be picked: give it batch="
        )
    collate = trainer._get_collator_with_removed_columns(trainer.data_collator, description="collapse monitor")
    size = max(trainer.args.per_device_eval_batch_size, trainer.args.per_device_train_batch_size)
    # Loading rows and masking tokens may draw.
    with same_draws():
        picked: Sequence[Any] = [data[index] for index in spread_rows(len(data), rows)]
        # Rows of like length together take the least padding.
        picked = sorted(picked, key=_length)
        return [collate(list(picked[at : at + size])) for at in range(0, len(picked), size)]


def _length(row: Any) -> int:
    ids = row.get("input_ids") if isinstance(row, Mapping) else None
    return len(ids) if ids is not None and hasattr(ids, "__len__") else 0


def _as_log(look: Look) -> dict[str, float]:
    entry = {name: getattr(look, name) for name in _LOGGED}
    for layer in look.layers:
        entry |= {f"layer_{layer.layer}/{name}": getattr(layer, name) for name in _LOGGED[:-1]}
    return {f"{_PREFIX}{name}": value for name, value in entry.items() if value is not None}


def _logged_looks(history: Sequence[Mapping[str, Any]]) -> list[Look]:
    looks = []
    for entry in history:
        if any(key.startswith(_PREFIX) for key in entry):
            measures: dict[str, Any] = {name: entry.get(f"{_PREFIX}{name}") for name in _LOGGED}
            looks.append(Look(step=entry["step"], **measures))
    return looks
