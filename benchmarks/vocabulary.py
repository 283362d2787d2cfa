"""What the embeddings of words that do not occur cost: step time and memory with and without them, in one run.

    python benchmarks/vocabulary.py --model minilm
    python benchmarks/vocabulary.py --model xlm-r-base-random --steps 4
    python benchmarks/vocabulary.py --model FOLDER --method lora

Each training has a process of its own, whose peak memory is read at its end; with and without take turns.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

RANDOM = "xlm-r-base-random"
WIDTHS = {"whole": False, "trimmed": True}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print what was found."""
    given = _options().parse_args(arguments)
    if given.alone:
        print(json.dumps(_alone(given)))
        return 0
    taken: dict[str, list[dict[str, Any]]] = {name: [] for name in WIDTHS}
    for _ in range(given.rounds):
        for name in WIDTHS:
            command = [sys.executable, __file__, "--alone", name, "--model", given.model, "--method", given.method]
            command += ["--steps", str(given.steps), "--rows", str(given.rows)]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                raise SystemExit(done.stderr[-2000:])
            taken[name].append(json.loads(done.stdout.splitlines()[-1]))
    print(f"{given.model}, {given.method}: {given.rows} rows, {given.steps} steps, {given.rounds} rounds")
    for name, parts in taken.items():
        one = parts[0]
        print(
            f"  {name:<8} {median(part['step_seconds'] for part in parts):7.3f} s a step, peak "
            f"{median(part['peak_bytes'] for part in parts) / 2**20:7.0f} MiB, {one['tokens']:,} of {one['table']:,} "
            f"tokens, {one['trained'] / 1e6:.1f} M trained of {one['parameters'] / 1e6:.1f} M parameters"
        )
    ratios = [b["step_seconds"] / a["step_seconds"] for a, b in zip(taken["whole"], taken["trimmed"], strict=True)]
    print(f"  step time ratio {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    if given.json:
        given.json.write_text(json.dumps({"options": vars(given) | {"json": None}, **taken}, indent=2) + "\n")
    return 0


def _alone(given: argparse.Namespace) -> dict[str, Any]:
    """Train for some steps in this process."""
    import torch
    from transformers import set_seed

    from holdfast import Engine
    from holdfast.methods import parse
    from holdfast.methods.parts.model.embeddings import input_embedding

    set_seed(0)
    model, batches = _setup(given)
    table = len(input_embedding(model).weight)
    parameters = sum(p.numel() for p in model.parameters())
    engine = Engine(
        model,
        parse(given.method),
        optimizer=lambda weights: torch.optim.AdamW(weights, 2e-5, weight_decay=0.0, fused=True),
        total_steps=given.steps,
        data=batches,
        trim_vocabulary=WIDTHS[given.alone],
    )
    times = []
    for step in range(given.steps):
        began = time.perf_counter()
        engine.backward(engine.loss(batches[step % len(batches)]))
        engine.step()
        times.append(time.perf_counter() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    tokens = len(input_embedding(model).weight)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    # The first step sets the optimizer up.
    seconds = median(times[1:])
    return {
        "step_seconds": seconds,
        "peak_bytes": peak,
        "tokens": tokens,
        "table": table,
        "trained": trained,
        "parameters": parameters,
    }


def _setup(given: argparse.Namespace) -> tuple[Any, list[dict[str, Any]]]:
    """Return the model and its batches: of a generated task's texts, or of random tokens for the random model."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, XLMRobertaConfig

    if given.model == RANDOM:
        config = XLMRobertaConfig(vocab_size=250002, max_position_embeddings=514, type_vocab_size=1, num_labels=2)
        draw = torch.Generator().manual_seed(0)
        batches = []
        for _ in range(max(1, given.rows // 16)):
            ids = torch.randint(5, 1005, (16, 24), generator=draw)
            batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
            batches.append(batch | {"labels": torch.randint(2, (16,), generator=draw)})
        return AutoModelForSequenceClassification.from_config(config), batches
    from holdfast.tasks import TaskSpec, load_task
    from holdfast.training.models.loading import resolve

    name = resolve(given.model)
    tokenizer = AutoTokenizer.from_pretrained(name)
    model = AutoModelForSequenceClassification.from_pretrained(name, num_labels=2, dtype=torch.float32)
    model.config.pad_token_id = tokenizer.pad_token_id
    split = load_task(TaskSpec(source="playground/agreement", size=given.rows)).splits["train"]
    batches = []
    for start in range(0, len(split) - 15, 16):
        encoded = tokenizer(split.texts[start : start + 16], padding=True, return_tensors="pt")
        batches.append({**encoded, "labels": torch.tensor(split.labels[start : start + 16])})
    return model, batches


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--model", default="minilm", help=f"minilm, a folder, a hub id, or {RANDOM}")
    add("--method", default="vanilla", help="method, as holdfast compare takes it")
    add("--rows", type=int, default=200, help="rows whose words occur")
    add("--steps", type=int, default=12, help="optimizer steps of each training")
    add("--rounds", type=int, default=3, help="turns of each")
    add("--json", type=Path, help="file for the results")
    add("--alone", choices=list(WIDTHS), help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
