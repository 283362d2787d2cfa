"""What a model folder must hold before anything of it is loaded: configuration, weights and a tokenizer."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from holdfast.errors import HoldfastError

_SAFE = ("model.safetensors", "model.safetensors.index.json")
_PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json")
_FOREIGN = {
    "*.gguf": "GGUF",
    "*.onnx": "ONNX",
    "onnx/*.onnx": "ONNX",
    "tf_model*.h5": "TensorFlow",
    "flax_model*.msgpack": "Flax",
}
"""Weights that Transformers does not train, and what they are called."""
_STATE = ("optimizer.pt", "optimizer.bin", "scheduler.pt", "trainer_state.json", "training_args.bin")
"""What a Trainer keeps beside a model, to resume."""
_VOCABULARIES = (
    "tokenizer.json",
    "vocab*.txt",
    "vocab*.json",
    "*.model",
    "*.spm",
    "*.tiktoken",
    "tekken.json",
    "bpe.codes",
    "vocab.bpe",
    "dict.txt",
)
"""Files in which tokenizers of all families keep their words."""


def check_folder(folder: Path, pickled_weights: bool) -> None:
    """Raise ``HoldfastError`` where ``folder`` holds no configuration, or no weights that may be loaded.

    It says what the folder holds instead: sub-folders with models, a Trainer's state, weights of others.
    """
    if not (folder / "config.json").is_file():
        raise HoldfastError(f"model folder {folder}: config.json is missing, {_instead(folder)}")
    try:
        json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (ValueError, OSError) as problem:
        line = str(problem).splitlines()[0]
        raise HoldfastError(f"model folder {folder}: config.json cannot be read ({line})") from problem
    if any((folder / name).is_file() for name in _SAFE):
        return
    if not any((folder / name).is_file() for name in _PICKLED):
        raise HoldfastError(
            f"model folder {folder}: it holds no weights, expected model.safetensors beside config.json; "
            f"{_instead(folder)}"
        )
    if not pickled_weights:
        raise HoldfastError(
            f"model folder {folder}: its weights are pickled and could run code when read; "
            "convert them to safetensors, or pass --pickled-weights if you trust them"
        )


def has_vocabulary(folder: Path) -> bool:
    """Return whether ``folder`` holds a file in which a tokenizer of any family keeps its words."""
    return any(True for pattern in _VOCABULARIES for _ in folder.glob(pattern))


def missing_vocabulary(folder: Path, declared: Mapping[str, str]) -> list[str]:
    """Return which of the files with words and merges that a tokenizer's class declares ``folder`` lacks.

    ``declared``: its ``vocab_files_names``. None is lacking beside ``tokenizer.json``, which holds everything, for
    tokenizers of bytes or characters, which declare none, and where the words are in a file of another name.
    """
    if not declared or (folder / "tokenizer.json").is_file():
        return []
    own = [name for name in declared.values() if name != "tokenizer.json"]
    if not has_vocabulary(folder):
        return own or ["tokenizer.json"]
    pair = [declared[name] for name in ("vocab_file", "merges_file") if name in declared]
    lost = [name for name in pair if not (folder / name).is_file()]
    return lost if len(lost) < len(pair) else []


def tokenizer_missing(folder: Path, files: Sequence[str]) -> str:
    """Return that ``folder`` has no (whole) tokenizer, whose words would be in ``files``, and the remedy."""
    others = [name for name in files if name != "tokenizer.json"]
    missing = "tokenizer.json" + (f", or {' and '.join(others)}," if others else "")
    return (
        f"model folder {folder}: it holds no whole tokenizer ({missing} is missing); put in that of the model that it "
        f"was tuned from: AutoTokenizer.from_pretrained(BASE).save_pretrained({str(folder)!r})"
    )


def _instead(folder: Path) -> str:
    """Return what ``folder``, which holds no model, holds instead, and what to do."""
    inner = sorted(
        path.parent
        for path in folder.glob("*/config.json")
        if any((path.parent / n).is_file() for n in _SAFE + _PICKLED)
    )
    names = sorted((path.name for path in inner), key=_by_number)
    if len(names) == 1:
        return f"did you mean {folder / names[0]}?"
    if names:
        return f"its sub-folders {', '.join(names[-6:])} hold models; give one of them, such as {folder / names[-1]}"
    for pattern, name in _FOREIGN.items():
        file = next(iter(sorted(folder.glob(pattern))), None)
        if file is not None:
            return f"it holds weights for {name} ({file.name}), which are not trained here; give the original model"
    if any((folder / name).is_file() for name in _STATE):
        return "it holds only what a Trainer keeps to resume; give a folder written by trainer.save_model"
    return "give a folder written by save_pretrained"


def _by_number(name: str) -> tuple[int, str]:
    """Return a key that sorts ``checkpoint-500`` before ``checkpoint-1000``."""
    number = name.rpartition("-")[2]
    return (int(number) if number.isdigit() else -1, name)
