"""What Python blocks take for granted, by name: a script around them, its model as ``from_pretrained`` leaves it."""

import builtins
import symtable
from pathlib import Path

import pytest

from documentation import desk
from holdfast.cli.main import main

_ROWS, _STEPS = 32, 4


def names_of(code, kind):
    """Return the names that a block binds, ``kind`` "bound", or those that it needs from elsewhere, "free"."""
    top = symtable.symtable(code, "block", "exec")
    bound = {name.get_name() for name in top.get_symbols() if name.is_assigned() or name.is_imported()}
    if kind == "bound":
        return bound
    used = {name.get_name() for name in top.get_symbols() if name.is_referenced()}
    used |= {name.get_name() for table in _inner(top) for name in table.get_symbols() if name.is_global()}
    return used - bound - set(dir(builtins))


def _inner(table):
    for child in table.get_children():
        yield child
        yield from _inner(child)


def chapters(found):
    """Group the blocks of a page: one that needs a name which an earlier one binds goes on from it."""
    grouped = []
    for block in found:
        last = grouped[-1] if grouped and grouped[-1][0].page == block.page else []
        if names_of(block.text, "free") & {name for one in last for name in names_of(one.text, "bound")}:
            last.append(block)
        else:
            grouped.append([block])
    return grouped


def set_up(block, known):
    """Return what ``block`` needs beside ``known`` names. A name that no set-up gives fails, and says so."""
    wanted = names_of(block.text, "free") - set(known)
    script = _SFT if "SFTTrainer" in names_of(block.text, "bound") else _SCRIPT
    for name in sorted(wanted - set(script)):
        pytest.fail(f"{block}: {name} comes from nowhere; define it there, or give it in tests/documentation/setups.py")
    for file, write in FILES.items():
        if file in block.text:
            write(file)
    return {name: script[name]() for name in sorted(wanted)}


def _torch():
    import torch

    return torch


def _trainer():
    from transformers import Trainer

    return Trainer


def _model():
    from transformers import AutoModelForSequenceClassification

    return AutoModelForSequenceClassification.from_pretrained(desk.ENCODER)


def _decoder():
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(desk.DECODER)


def _args():
    from transformers import TrainingArguments

    return TrainingArguments("run", max_steps=_STEPS, report_to="none", disable_tqdm=True, use_cpu=True)


def _data():
    """Encoded rows with labels."""
    encoded = _tokenizer()(desk.some_texts("data", _ROWS), padding=True)
    return [{**{key: encoded[key][row] for key in encoded}, "labels": row % 2} for row in range(_ROWS)]


def _loader():
    """Batches of the model's keyword arguments, with labels."""
    from torch.utils.data import DataLoader
    from transformers import default_data_collator

    return DataLoader(_data(), batch_size=_ROWS // 8, collate_fn=default_data_collator)


def _tokenizer():
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(desk.ENCODER)


def _states(seed):
    return lambda: _torch().randn(20, 8, generator=_torch().Generator().manual_seed(seed))


def _texts():
    from datasets import Dataset

    return Dataset.from_dict({"text": desk.some_texts("sft", _ROWS)})


def _make_optimizer():
    return lambda parameters: _torch().optim.AdamW(parameters, 2e-5)


_SCRIPT = {
    "torch": _torch,
    "Trainer": _trainer,
    "model": _model,
    "args": _args,
    "data": _data,
    "held_out": _data,
    "loader": _loader,
    "batch": lambda: next(iter(_loader())),
    "make_optimizer": _make_optimizer,
    "tokenizer": _tokenizer,
    "rule": lambda: lambda step: 1 / (1 + step),
    "before": _states(0),
    "after": _states(1),
}
"""A script that tunes a classifier."""
_SFT = {"model": _decoder, "data": _texts}
"""A script that tunes a decoder on texts."""


def _predictions(file):
    """What a tuned model wrote for every scored row."""
    options = ["--model", "google-t5/t5-small", "--max-steps", "1", "--out", "tuned"]
    assert main(["tune", "support.jsonl", *options]) == 0
    Path("tuned", file).rename(file)


FILES = {"predictions.npz": _predictions}
"""What blocks read from the folder that they are run in."""
