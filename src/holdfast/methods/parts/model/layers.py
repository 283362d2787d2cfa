"""The transformer blocks of a model, found by its structure and not by the names of its modules."""

from collections.abc import Iterable
from typing import Any

from torch import nn

from holdfast.errors import HoldfastError
from holdfast.methods.parts.model.matrices import is_linear

Stack = list[tuple[str, nn.Module]]
"""Blocks with their names as in ``named_modules``, bottom first."""


def layer_stacks(model: nn.Module, method: str) -> list[Stack]:
    """Return the blocks of each stack of ``model``, in order of definition: the encoder's before the decoder's.

    A stack is an outermost ``nn.ModuleList`` of the body whose items are of one kind and hold linear layers:
    lists inside a block (T5's sub-layers, experts) are not looked at, nor is the head. ALBERT, which runs one
    group of weights again and again, has one block a group. Raises ``HoldfastError``, naming ``method``, where
    there is none.
    """
    inside = {id(module) for module in body_of(model).modules()}
    found: list[Stack] = []
    taken = ""
    for name, module in model.named_modules():
        nested = taken and name.startswith(taken)
        if not nested and id(module) in inside and isinstance(module, nn.ModuleList) and _is_stack(module):
            taken = f"{name}." if name else ""
            found.append([(f"{taken}{index}", block) for index, block in enumerate(module)])
            if not name:
                break
    if not found:
        raise HoldfastError(
            f"{method} works on the blocks of a transformer, and {type(model).__name__} has no nn.ModuleList "
            "of layers of one kind: give it a model that keeps its blocks in one"
        )
    return found


def top_stack(model: nn.Module, method: str) -> Stack:
    """Return the stack below the head: the only one, or in encoder-decoder models the decoder's.

    Raises ``HoldfastError``, naming ``method``, where it cannot be told (XLM has two stacks).
    """
    stacks = layer_stacks(model, method)
    if len(stacks) > 1 and not is_encoder_decoder(model):
        names = ", ".join(stack[0][0].rpartition(".")[0] for stack in stacks)
        raise HoldfastError(
            f"{method} cannot tell which blocks of {type(model).__name__} are on top, it has several stacks "
            f"({names}): use a method that works on all blocks alike, such as lora or bitfit"
        )
    return stacks[-1]


def bottom_stack(model: nn.Module, method: str) -> Stack:
    """Return the stack above the input embedding, to step between its blocks: the only one, or the encoder's.

    Raises ``HoldfastError``, naming ``method``, where it cannot be told (XLM), or its items do not compute
    as blocks (Funnel keeps lists of them).
    """
    top_stack(model, method)  # refuses several stacks of which none is an encoder's
    found = layer_stacks(model, method)[0]
    if any(isinstance(block, nn.ModuleList) for _, block in found):
        raise HoldfastError(
            f"{method} steps between the blocks of a transformer, and {type(model).__name__} keeps lists of them in "
            f"{found[0][0].rpartition('.')[0]}: use a model with one block after another"
        )
    return found


def is_encoder_decoder(model: nn.Module) -> bool:
    """Return whether ``model`` says it has an encoder and a decoder."""
    return bool(getattr(getattr(model, "config", None), "is_encoder_decoder", False))


def body_of(model: nn.Module) -> nn.Module:
    """Return the pre-trained body below the head, also through PEFT's wrapper; ``model`` itself where it has none."""
    plain: Any = model.get_base_model() if hasattr(model, "get_base_model") else model  # type: ignore[operator]
    body = getattr(plain, "base_model", None)
    return body if isinstance(body, nn.Module) else model


def above_stack(model: nn.Module, stack: Stack) -> list[nn.Module]:
    """Return what the body computes after ``stack``: the final normalisation and the pooler, where there are any.

    Those are defined after it, at its own level or further out. Embeddings are not among them, nor what is
    defined after an embedding there (DeBERTa's normalisation of relative positions), as all blocks read that.
    """
    top = stack[-1][1]
    output = getattr(model, "get_output_embeddings", lambda: None)()
    found: list[nn.Module] = []
    level = body_of(model)
    while level is not top:
        children = list(level.named_children())
        at = next(index for index, (_, child) in enumerate(children) if any(m is top for m in child.modules()))
        for name, child in children[at + 1 :]:
            if any(isinstance(module, nn.Embedding) for module in child.modules()):
                break
            if "emb" not in name and child is not output:
                found.append(child)
        level = children[at][1]
    return found


def _is_stack(blocks: Iterable[nn.Module]) -> bool:
    items = list(blocks)
    holds_linears = [not is_linear(item) and any(is_linear(module) for module in item.modules()) for item in items]
    return bool(items) and all(holds_linears) and _of_one_kind(items)


def _of_one_kind(items: list[nn.Module]) -> bool:
    # A common ancestor will do, since hybrid models alternate two classes of block.
    shared = set.intersection(*(set(type(item).__mro__) for item in items))
    return bool(shared - set(nn.Module.__mro__))
