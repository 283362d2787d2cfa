"""The optimizer steps of all runs of a study and nothing else, as its runs do them."""

import json
import sys
import time
from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, DataCollatorWithPadding, set_seed
from transformers.optimization import get_linear_schedule_with_warmup

from holdfast import Engine, Vanilla
from holdfast.records.run import TrainingSettings

rows, model_name, runs, told = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])
settings = TrainingSettings()
tokenizer = AutoTokenizer.from_pretrained(model_name)
train = [
    {**tokenizer(text, truncation=True, max_length=settings.max_length), "labels": label}
    for text, label in json.loads(rows.read_text())["train"]
]
total = settings.total_steps(len(train))
seconds = 0.0
for seed in range(runs):
    set_seed(seed)
    model = AutoModelForSequenceClassification.from_pretrained(model_name, num_labels=2)
    loader = torch.utils.data.DataLoader(
        train, settings.batch_size, shuffle=True, collate_fn=DataCollatorWithPadding(tokenizer)
    )
    batches = [batch for _ in range(-(-total // len(loader))) for batch in loader][:total]
    engine = Engine(
        model,
        [Vanilla()],
        optimizer=lambda parameters: torch.optim.AdamW(
            parameters, settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        ),
        scheduler=lambda optimizer: get_linear_schedule_with_warmup(optimizer, int(0.1 * total), total),
        total_steps=total,
        data=batches,
        trim_vocabulary=True,
    )
    began = time.perf_counter()
    for batch in batches:
        engine.backward(engine.loss(batch))
        engine.step()
    seconds += time.perf_counter() - began
    engine.finish()
told.write_text(json.dumps({"seconds": seconds, "steps": runs * total}))
