"""A plain script of the kind people write: one ``Trainer`` after another, each trained and evaluated."""

import json
import sys
from pathlib import Path

import numpy as np
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
    set_seed,
)

from holdfast.records.run import TrainingSettings

rows, model_name, runs, told = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])
settings = TrainingSettings()
tokenizer = AutoTokenizer.from_pretrained(model_name)
splits = json.loads(rows.read_text())
data = {
    name: [
        {**tokenizer(text, truncation=True, max_length=settings.max_length), "labels": label} for text, label in split
    ]
    for name, split in splits.items()
}


def compute_metrics(prediction):
    return {"accuracy": float((prediction.predictions.argmax(-1) == prediction.label_ids).mean())}


scores = []
for seed in range(runs):
    set_seed(seed)
    model = AutoModelForSequenceClassification.from_pretrained(model_name, num_labels=2)
    trainer = Trainer(
        model,
        TrainingArguments(
            output_dir=str(told.with_suffix("")),
            max_steps=settings.total_steps(len(data["train"])),
            per_device_train_batch_size=settings.batch_size,
            per_device_eval_batch_size=settings.eval_batch_size,
            learning_rate=settings.learning_rate,
            weight_decay=settings.weight_decay,
            warmup_steps=settings.warmup,
            lr_scheduler_type=settings.schedule,
            seed=seed,
            save_strategy="no",
            report_to="none",
        ),
        data_collator=DataCollatorWithPadding(tokenizer),
        train_dataset=data["train"],
        eval_dataset=data["validation"],
        compute_metrics=compute_metrics,
    )
    trainer.train()
    scores.append(trainer.evaluate()["eval_accuracy"])
    model.save_pretrained(told.with_suffix("") / f"model{seed}")
told.write_text(json.dumps({"mean": float(np.mean(scores)), "std": float(np.std(scores, ddof=1))}))
