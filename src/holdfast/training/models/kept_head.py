"""The head that a checkpoint brings along: kept, in the task's order, where its classes are the task's.

Seeds do not redraw a head that is kept, and one whose classes only have the right number means something else: so it
is kept by the names of its classes alone, else drawn anew. Names that Transformers made up (``LABEL_0``) are numbers.
"""

import logging
import re
import unicodedata
from collections.abc import Collection, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from torch import nn

from holdfast.methods.parts.model.initialisation import fresh_weights
from holdfast.methods.parts.model.layers import body_of
from holdfast.records.model_source import ModelSource
from holdfast.training.models.loading import empty_model, load_weights, model_config, name_classes

logger = logging.getLogger(__name__)

_HEADS = ("ForSequenceClassification", "ForTokenClassification", "ForMultipleChoice")
_NEEDED = "have a head for this task"
_MADE_UP = re.compile(r"LABEL_(\d+)")


@dataclass(frozen=True)
class Fate:
    """What becomes of the head that a checkpoint has."""

    rows: tuple[int, ...] | None
    """Of each output of the task, which one of the checkpoint's it is; None: the output layer is drawn anew."""
    note: str
    """What the user should know; empty where no file says whether there is such a head."""


def fate_of_head(auto_class: Any, source: ModelSource, config: Any) -> Fate | None:
    """Return what becomes of the head of ``source`` where it is loaded as ``auto_class`` with ``config``.

    None where it has none, as a pre-trained body or language model of Transformers. No weights are loaded.

    ``auto_class``: one of Transformers' auto classes; ``config``: the model's, with the classes of the task.
    """
    own = model_config(source)
    had = (getattr(own, "architectures", None) or [None])[0]
    if had is None:
        return Fate(None, "")
    if hasattr(transformers, had) and not had.endswith(_HEADS):
        return None
    empty = empty_model(auto_class, source, config, _NEEDED)
    theirs = [str(own.id2label[place]) for place in range(own.num_labels)]
    if had != type(empty).__name__:
        return Fate(None, f"the model's own head ({had}) is none for this task: {_DRAWN}")
    if had.endswith("ForMultipleChoice"):
        return Fate((0,), f"the model's own head, which scores choices, is kept; {_SEEDS}")
    ours = [str(config.id2label[place]) for place in range(config.num_labels)]
    if len(ours) == 1 == len(theirs):
        return Fate((0,), f"the model's own head, which gives a number, is kept, with its scale; {_SEEDS}")
    rows = places_by_name(theirs, ours)
    if rows is None:
        note = f"the model's own head is of other classes ({_listed(theirs)}): {_DRAWN}"
        if len(theirs) == len(ours) and all(map(_MADE_UP.fullmatch, theirs)):
            note += "; to keep it, give them their names in id2label of its config.json"
        return Fate(None, note)
    order = "" if rows == tuple(range(len(ours))) else f" in another order ({_listed(theirs)}), put in the task's,"
    return Fate(rows, f"the model's own head is of these classes{order} and is kept; {_SEEDS}")


_DRAWN = "its output layer is drawn anew with every seed"
_SEEDS = "seeds do not redraw it (to measure luck with the head too, give the model that it was tuned from)"


def places_by_name(theirs: Sequence[str], ours: Sequence[str]) -> tuple[int, ...] | None:
    """Return for each of ``ours`` where it is in ``theirs``; None where they are not the same names.

    Names that differ in case, in blanks, hyphens and underscores between words or in the form of their Unicode are
    the same, unless that would make two of one side the same.
    """
    for form in (_composed, _folded):
        there, here = [form(one) for one in theirs], [form(one) for one in ours]
        if len(set(there)) == len(there) and sorted(there) == sorted(here):
            return tuple(there.index(one) for one in here)
    return None


def load_with_head(auto_class: Any, source: ModelSource, config: Any) -> Any:
    """Return the model ``source`` as ``load_weights`` does, its head as ``fate_of_head`` says.

    Raises ``HoldfastError`` as ``load_weights`` does.
    """
    fate = fate_of_head(auto_class, source, config)
    if fate is None:
        return load_weights(auto_class, source, config)[0]
    logger.info("model %s: %s", source.name, fate.note)
    outputs = _outputs(auto_class, source, config)
    model, drawn = load_weights(auto_class, source, config)
    pretrained = {key: axis for key, axis in outputs.items() if key not in drawn}
    with torch.no_grad():
        if fate.rows is None:
            _draw(model, pretrained)
        else:
            for key, axis in pretrained.items():
                parameter = model.get_parameter(key)
                parameter.copy_(parameter.index_select(axis, torch.tensor(fate.rows)))
    return model


def _draw(model: nn.Module, outputs: Collection[str]) -> None:
    """Draw the parameters named in ``outputs`` anew, with the global random generator, as the model does its own."""
    generator = torch.Generator().manual_seed(int(torch.randint(2**62, ())))
    for layer in dict.fromkeys(key.rpartition(".")[0] for key in outputs):
        for key, value in fresh_weights(model, layer, generator, "a head of other classes").items():
            if key in outputs:
                model.get_parameter(key).copy_(value)


def _outputs(auto_class: Any, source: ModelSource, config: Any) -> dict[str, int]:
    """Return the parameters that make the outputs, by their names, each with the axis along which these lie.

    Found by what has another size where there is one class more. A head that scores choices has one output always.
    """
    more = deepcopy(config)
    more.problem_type = None
    name_classes(more, tuple(f"LABEL_{place}" for place in range(config.num_labels + 1)))
    empty = empty_model(auto_class, source, config, _NEEDED)
    wider = dict(empty_model(auto_class, source, more, _NEEDED).named_parameters())
    axes_by_name = {}
    for key, parameter in empty.named_parameters():
        axes = [
            axis for axis, pair in enumerate(zip(parameter.shape, wider[key].shape, strict=True)) if len(set(pair)) > 1
        ]
        if axes:
            axes_by_name[key] = axes[0]
    if axes_by_name:
        return axes_by_name
    body = {id(parameter) for parameter in body_of(empty).parameters()}
    return {key: 0 for key, one in empty.named_parameters() if id(one) not in body and one.shape[0] == 1}


def _composed(name: str) -> str:
    made_up = _MADE_UP.fullmatch(name)
    return made_up[1] if made_up else unicodedata.normalize("NFC", name).strip()


def _folded(name: str) -> str:
    """Return ``name`` without what people write differently. A sign before a number stays."""
    return re.sub(r"(?<=\w)[\s_-]+(?=\w)", " ", unicodedata.normalize("NFKC", _composed(name)).casefold())


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
