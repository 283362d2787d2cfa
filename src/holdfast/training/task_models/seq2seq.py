"""Texts to write from texts, by encoder-decoders such as BART, T5 and Pegasus."""

from collections.abc import Mapping
from typing import Any, ClassVar

from transformers import AutoModelForSeq2SeqLM, DataCollatorForSeq2Seq, Seq2SeqTrainer, Seq2SeqTrainingArguments

from holdfast.training.models.loading import model_config
from holdfast.training.task_models.base import on_one_gpu
from holdfast.training.task_models.writing import PairWriter


class Seq2Seq(PairWriter):
    """An encoder-decoder as it was pre-trained, with ``Seq2SeqTrainer``."""

    auto_class: ClassVar[Any] = AutoModelForSeq2SeqLM
    ability = "write texts from texts"

    def config(self) -> Any:  # noqa: D102
        return model_config(self.spec.source)

    def load(self) -> Any:  # noqa: D102
        return self.set_generation(super().load())

    def collator(self, tokenizer: Any, model: Any) -> Any:
        """Return ``DataCollatorForSeq2Seq``, which also makes the decoder's input: label smoothing needs it."""
        return DataCollatorForSeq2Seq(tokenizer, model)

    def trainer(self, arguments: Mapping[str, Any], **parts: Any) -> Seq2SeqTrainer:  # noqa: D102
        collator = self.collator(parts["processing_class"], parts["model"])
        return Seq2SeqTrainer(
            args=on_one_gpu(Seq2SeqTrainingArguments(**arguments, predict_with_generate=True)),
            data_collator=collator,
            **parts,
        )
