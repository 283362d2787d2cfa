"""The words that occur: while a model trains, its embedding holds the rows of the tokens that the texts contain.

Rows of other tokens get no gradient, so Adam does not move them: leaving them out of gradient, optimizer state and
clipping changes nothing but the memory and time that they take. Where the optimizer decays weights, it would shrink
them; here they stay as pre-trained.
"""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import Method, MethodSession, Plan
from holdfast.methods.parts.model.embeddings import input_embedding
from holdfast.methods.requires import Footprint, Order, Requires

NAME = "trim_vocabulary"


def trimming_problem(model: nn.Module) -> str:
    """Return why the vocabulary of ``model`` cannot be trimmed exactly; empty where it can, or nothing is gained."""
    kind = type(model).__name__
    try:
        module = input_embedding(model)
    except HoldfastError as problem:
        return str(problem)
    if not isinstance(module, nn.Embedding):
        return f"the input embedding of {kind} is a {type(module).__name__}, not a table with a row a token"
    if module.max_norm is not None or module.sparse or module.scale_grad_by_freq:
        return f"the input embedding of {kind} has max_norm, sparse or scale_grad_by_freq, which look at all of it"
    sharing = [m for m in model.modules() if any(p is module.weight for p in m.parameters(recurse=False))]
    output = getattr(model, "get_output_embeddings", lambda: None)()
    if output is not None or not all(isinstance(one, nn.Embedding) for one in sharing):
        return f"the output layer of {kind} gives every token a score"
    return ""


class TrimVocabulary(Method):
    """Keep only the rows of ``tokens`` in the embedding while the model trains, and put it back whole at the end."""

    name = NAME
    summary = "trains the embeddings of the words that occur"

    def __init__(self, tokens: Iterable[int]) -> None:
        object.__setattr__(self, "tokens", sorted(set(tokens)))

    tokens: list[int]

    @property
    def requires(self) -> Requires:
        """To start after those that look at the whole embedding, and before those that end with other weights."""
        return Requires(order=Order.VOCABULARY)

    def check(self, model: nn.Module) -> Footprint:
        """Raise ``HoldfastError`` where training the rows that occur would not be exact."""
        if problem := trimming_problem(model):
            raise HoldfastError(f"{NAME}: {problem}; leave {NAME} out")
        rows = input_embedding(model).get_parameter("weight").shape[0]
        if self.tokens and not 0 <= self.tokens[0] <= self.tokens[-1] < rows:
            raise HoldfastError(
                f"{NAME}: the texts have tokens {self.tokens[0]} to {self.tokens[-1]}, and {type(model).__name__} "
                f"embeds 0 to {rows - 1}: use the tokenizer that belongs to the model"
            )
        return Footprint()

    def start(self, model: nn.Module, plan: Plan) -> "MethodSession[Any]":
        """Shrink the embedding, where it is trained."""
        if not input_embedding(model).get_parameter("weight").requires_grad:
            return MethodSession(self, model, plan)
        return TrimSession(self, model, plan)


@dataclass
class _Rows:
    """Which rows a trimmed table has. Shared by all modules with the same weight."""

    whole: Tensor
    """The table as it was, (tokens, width); rows that are trained have their first values here."""
    tokens: Tensor
    """Of each row that is trained, its token."""
    row_of: Tensor
    """(tokens,) of each token, its row among those that are trained; -1 for those that do not occur."""

    def to(self, device: torch.device) -> None:
        """Move to ``device``, where the model is, what is looked up at every batch."""
        if self.row_of.device != device:
            self.row_of, self.tokens = self.row_of.to(device), self.tokens.to(device)

    def merged(self, trained: Tensor) -> Tensor:
        """Return the table with the ``trained`` rows in their places."""
        whole = self.whole.to(trained.device, trained.dtype, copy=True)
        return whole.index_copy_(0, self.tokens.to(trained.device), trained.detach())


class TrimSession(MethodSession[TrimVocabulary]):
    """The whole table, beside the model."""

    def __init__(self, method: TrimVocabulary, model: nn.Module, plan: Plan) -> None:
        super().__init__(method, model, plan)
        self.weight = input_embedding(model).get_parameter("weight")
        names = model.named_parameters(remove_duplicate=False)
        self.names = [name for name, parameter in names if parameter is self.weight]
        self.modules = [cast(nn.Embedding, model.get_submodule(name.rpartition(".")[0])) for name in self.names]
        self.padding = [module.padding_idx for module in self.modules]
        # Padding gets no gradient, and has to be told from the others.
        chosen = sorted({*method.tokens, *(one for one in self.padding if one is not None)})
        tokens = torch.tensor(chosen, dtype=torch.long, device=self.weight.device)
        row_of = torch.full((len(self.weight),), -1, dtype=torch.long, device=self.weight.device)
        row_of[tokens] = torch.arange(len(tokens), device=self.weight.device)
        self.rows = _Rows(self.weight.detach(), tokens, row_of)
        # The parameter stays the object it is: optimizers and other methods hold on to it.
        self.weight.data = self.weight.data[tokens]
        modules: list[Any] = list(self.modules)
        self.hooks = [module.register_load_state_dict_pre_hook(self._load_whole) for module in modules]
        for module, padding in zip(self.modules, self.padding, strict=True):
            module.padding_idx = None if padding is None else int(row_of[padding])
            module.trimmed_rows = self.rows  # type: ignore[assignment]
            module.__class__ = _trimmed(cast(Any, type(module)))

    def plain_state(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the state dict with the whole table, one tensor under all its names."""
        whole = self.rows.merged(state[self.names[0]])
        return state | dict.fromkeys(self.names, whole)

    def finish(self) -> Mapping[str, float]:
        """Put the table back, with the rows as they were trained."""
        self.weight.data = self.rows.merged(self.weight.data)
        self.weight.grad = None
        for hook in self.hooks:
            hook.remove()
        for module, padding in zip(self.modules, self.padding, strict=True):
            module.__class__ = type(module).__mro__[1]
            module.padding_idx = padding
            del module.trimmed_rows
        return {}

    def _load_whole(self, module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
        """Let ``load_state_dict`` of the model take a plain checkpoint."""
        value = state.get(f"{prefix}weight")
        if value is not None and len(value) == len(self.rows.whole):
            self.rows.whole = value.to(self.rows.whole.device, self.rows.whole.dtype)
            state[f"{prefix}weight"] = value[self.rows.tokens.to(value.device)]


@functools.cache
def _trimmed(kind: Any) -> Any:
    """Return ``kind``, a class of embeddings, that looks up tokens by the rows that its table has."""

    def forward(self: Any, tokens: Tensor) -> Tensor:
        table: _Rows = self.trimmed_rows
        table.to(tokens.device)
        rows = table.row_of[tokens]
        absent = rows < 0
        if not bool(absent.any()):
            return cast(Tensor, kind.forward(self, rows))
        if torch.is_grad_enabled() and self.weight.requires_grad:
            raise HoldfastError(
                f"{NAME}: a batch has token {int(tokens[absent][0])}, which the rows that were looked at before "
                f"training do not: train without {NAME}"
            )
        # Scored alone: such rows are as pre-trained, after those that are trained.
        missing, places = torch.unique(tokens[absent], return_inverse=True)
        rows = rows.masked_scatter(absent, len(self.weight) + places)
        trained = self.weight
        own = table.whole[missing.to(table.whole.device)].to(trained.device, trained.dtype)
        self._parameters["weight"] = nn.Parameter(torch.cat([trained.detach(), own]), requires_grad=False)
        try:
            return cast(Tensor, kind.forward(self, rows))
        finally:
            self._parameters["weight"] = trained

    return type(f"Trimmed{kind.__name__}", (kind,), {"forward": forward})


def occurring_tokens(rows: Iterable[Mapping[str, Any]], model: nn.Module, tokenizer: Any = None) -> set[int]:
    """Return the tokens of ``rows``, rows or batches with ``input_ids``, and those that padding and the model add.

    Raises ``HoldfastError`` for rows without ``input_ids``, as where a collator makes them of text.
    """
    tokens: set[int] = set(getattr(tokenizer, "all_special_ids", ()))
    rows_of_table = input_embedding(model).get_parameter("weight").shape[0]
    for name, value in vars(getattr(model, "config", object)).items():
        if name.endswith("_token_id"):
            named = [value] if isinstance(value, int) else value or ()
            # Defaults of a configuration may be beyond a smaller table.
            tokens.update(token for token in named if 0 <= token < rows_of_table)
    for row in rows:
        if row.get("input_ids") is None:
            raise HoldfastError(
                f"{NAME} looks up which tokens the rows have, and they hold {', '.join(row) or 'nothing'} and no "
                f"input_ids: tokenise them before, or leave {NAME} out"
            )
        for name in ("input_ids", "decoder_input_ids"):
            if (ids := row.get(name)) is not None:
                tokens.update(torch.as_tensor(_flat(ids)).flatten().tolist())
    return tokens


def _flat(ids: Any) -> Any:
    """Return lists of lists, of choices that differ in length, as one list."""
    if isinstance(ids, list) and ids and isinstance(ids[0], list):
        return [token for choice in ids for token in choice]
    return ids
