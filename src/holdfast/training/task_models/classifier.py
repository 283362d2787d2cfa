"""Texts and pairs of texts with a class or a number each."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from transformers import AutoModelForSequenceClassification, DataCollatorWithPadding

from holdfast.tasks.encode import EncodedSplit, count_cut, encode
from holdfast.tasks.scoring.metrics import compute
from holdfast.tasks.task import Split
from holdfast.training.models.loading import classifier_config
from holdfast.training.task_models.scoring import Scorer


class Classifier(Scorer):
    """A sequence classifier, for regression with one output. Outputs are logits, (rows, classes) or (rows, 1)."""

    auto_class: ClassVar[Any] = AutoModelForSequenceClassification
    ability = "classify sequences"

    def config(self) -> Any:  # noqa: D102
        return classifier_config(self.spec.source, self.task.num_outputs, self.task.label_names)

    def encode(self, split: Split, tokenizer: Any, *, training: bool) -> tuple[EncodedSplit, int]:  # noqa: D102
        return encode(split, tokenizer, self.spec.settings.max_length, self.task.kind)

    def count_cut(self, split: Split, tokenizer: Any) -> dict[str, int]:  # noqa: D102
        return {"--max-length": count_cut(split, tokenizer, self.spec.settings.max_length)}

    def collator(self, tokenizer: Any, model: Any) -> Any:  # noqa: D102
        return DataCollatorWithPadding(tokenizer)

    def read(self, prediction: Any, tokenizer: Any) -> NDArray[Any]:  # noqa: D102
        return np.asarray(prediction.predictions)

    def score(self, outputs: NDArray[Any], split: Split, metrics: Sequence[str]) -> dict[str, float | None]:  # noqa: D102
        return compute(metrics, outputs, np.asarray(split.labels))

    def finite(self, outputs: NDArray[Any]) -> bool:  # noqa: D102
        return bool(np.isfinite(outputs).all())

    def dominant_share(self, outputs: NDArray[Any]) -> float | None:  # noqa: D102
        if self.task.kind == "regression":
            return None
        counts = np.bincount(outputs.argmax(-1))
        return float(counts.max() / counts.sum())

    def prediction_arrays(self, split: Split, outputs: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Return ``ids``, ``labels`` and ``logits``."""
        return {
            "ids": np.asarray(split.ids),
            "labels": np.asarray(split.labels),
            "logits": outputs.astype(np.float32),
        }
