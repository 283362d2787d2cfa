"""The settings of a run as arguments of Transformers' ``Trainer``."""

import math
from pathlib import Path
from typing import Any

import torch

from holdfast.records.run import RunSpec

_BEST_STEP: dict[str, Any] = {
    "eval_strategy": "steps",
    "save_strategy": "steps",
    "save_total_limit": 1,
    "save_only_model": True,
    "load_best_model_at_end": True,
}
_LAST_STEP: dict[str, Any] = {"eval_strategy": "no", "save_strategy": "no"}


def trainer_arguments(
    spec: RunSpec, *, rows: int, learning_rate: float, metric: str, best_step: bool, folder: Path
) -> dict[str, Any]:
    """Return the arguments of ``TrainingArguments`` for a run.

    Args:
        spec: The run.
        rows: Training rows, for logging some fifty times.
        learning_rate: What it trains with; some methods scale that of the settings.
        metric: Metric that the best step is chosen by.
        best_step: Keep the evaluated step with the best score, else the last step.
        folder: Where checkpoints are kept meanwhile.
    """
    settings = spec.settings
    total, every = settings.total_steps(rows), settings.evaluation_steps(rows)
    warm_up = math.ceil(settings.warmup * total) if settings.warmup < 1 else int(settings.warmup)
    # No checkpoint of the warm-up, whose first step moves nothing, is to win by a tie.
    best = _BEST_STEP | {"eval_steps": every, "save_steps": every, "eval_delay": min(warm_up + 1, total)}
    return dict(
        output_dir=str(folder),
        max_steps=total,
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=settings.eval_batch_size,
        gradient_accumulation_steps=settings.accumulation,
        learning_rate=learning_rate,
        weight_decay=settings.weight_decay,
        warmup_steps=settings.warmup if settings.warmup < 1 else int(settings.warmup),
        lr_scheduler_type=settings.schedule,
        max_grad_norm=settings.max_grad_norm,
        adam_beta2=settings.adam_beta2,
        adam_epsilon=settings.adam_epsilon,
        bf16=settings.precision == "bf16",
        # Else it refuses bf16 where there is no accelerator, though CPUs can do it.
        use_cpu=not torch.accelerator.is_available(),
        fp16=settings.precision == "fp16",
        activation_checkpointing=settings.activation_checkpointing,
        seed=spec.seed,
        data_seed=spec.data_seed,
        metric_for_best_model=metric,
        greater_is_better=True,
        logging_steps=max(1, total // 50),
        logging_nan_inf_filter=False,
        dataloader_pin_memory=torch.cuda.is_available(),
        report_to="none",
        disable_tqdm=True,
        label_smoothing_factor=settings.label_smoothing,
        **(best if best_step else _LAST_STEP),
    )
