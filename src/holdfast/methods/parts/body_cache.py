"""What a frozen body computes for a row, computed once and kept.

While the model trains, its body's ``forward`` is answered from here. A row that is new runs through the body alone and
without its padding, so what is kept depends on the row and on nothing else: not on the batch it came in, the padding
there, the order of the rows, the number of processes or an interruption.
"""

import hashlib
import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods.parts.model.layers import body_of

logger = logging.getLogger(__name__)

LIMIT = 4 * 2**30
"""Bytes kept at most, in main memory."""

Kept = dict[str, tuple[int, Tensor]]
"""Of one row, by name of the output: the first position kept, from its first token, and (positions, ...) values.

An output without a dimension of tokens has one value, at 0.
"""


@dataclass(frozen=True)
class _Row:
    """One row's part of a batch: from column ``start`` on, the tensors (1, length) by name."""

    start: int
    length: int
    inputs: dict[str, Tensor]
    key: bytes


class BodyCache:
    """Answers for the body of ``model`` in training: in evaluation mode, without gradient, each row once.

    What the head reads of the body's outputs is learned in the backward pass that follows: outputs without a gradient
    are not kept, and of a sequence the one position with a gradient, or all. The rest is zero in what the head gets.
    Padding is left out only where that changes nothing, which is found out at the first padded batch; where it does
    (absolute positions behind left padding) it is part of the row. When the body's weights change, all is forgotten.

    Calls whose inputs are more than tokens a row, or whose outputs more than a tensor each (all layers' hidden
    states), are computed as they come, in a batch and every time. Rows beyond ``limit`` bytes are computed every time.
    Raises ``HoldfastError``, naming ``method``, in the backward pass when the head reads padding, or now this and now
    that output of the body or token of a row.
    """

    def __init__(self, model: nn.Module, method: str, limit: int = LIMIT) -> None:
        self.model = model
        self.method = method
        self.limit = limit
        self.body = body_of(model)
        self.rows: dict[bytes, Kept] = {}
        self.bytes = 0
        self.strips: bool | None = None
        """Whether padding is left out; None until a padded batch told."""
        self._kind: Callable[..., Any] = dict
        self._empty: dict[str, Tensor] = {}
        """By name of the output, a tensor of no values of its shape; in the order of the body's outputs."""
        self._per_token: dict[str, bool] = {}
        self._version = -1
        self._full = False
        self._active = True
        self._given = vars(self.body).get("forward")
        self._original: Callable[..., Any] = self.body.forward
        self._names = list(inspect.signature(self._original).parameters)
        self.body.forward = self._forwarder()

    def remove(self) -> None:
        """Give the body its own ``forward`` back, and forget all rows."""
        # Compiled code may go on calling ours.
        self._active = False
        self.rows.clear()
        if self._given is None:
            vars(self.body).pop("forward", None)
        else:
            self.body.forward = self._given

    def _forwarder(self) -> Callable[..., Any]:
        answer = torch.compiler.disable(self._answer)  # type: ignore[no-untyped-call]
        original, model = self._original, self.model

        def forward(*args: Any, **kwargs: Any) -> Any:
            if self._active and model.training:
                return answer(*args, **kwargs)
            return original(*args, **kwargs)

        return forward

    def _answer(self, *args: Any, **kwargs: Any) -> Any:
        given = dict(zip(self._names, args, strict=False)) | kwargs
        names = _row_tensors(given)
        if names is None:
            return self._run(given)
        version = sum(part._version for parts in (self.body.parameters(), self.body.buffers()) for part in parts)
        if version != self._version:
            self.rows.clear()
            self.bytes, self._version = 0, version
        if self.strips is None and _is_padded(given):
            self.strips = self._padding_is_nothing(given, names)
        rows = _cut(given, names, self.strips is not False)
        found = self._found(given, rows)
        if found is None:
            return self._run(given)
        outputs = self._join(rows, found, given["input_ids"])
        fresh = [at for at, row in enumerate(rows) if row.key not in self.rows]
        for name, output in outputs.items():
            lacking = any(name not in kept for kept in found)
            if fresh or lacking or self._per_token[name]:
                learn = self._learner(name, rows, found, fresh, lacking)
                output.requires_grad_().register_hook(learn)  # type: ignore[no-untyped-call]
        return self._kind(**outputs)

    def _run(self, given: Mapping[str, Any]) -> Any:
        # A part that the user put in evaluation mode must stay there.
        training = [module for module in self.body.modules() if module.training]
        self.body.eval()
        try:
            with torch.no_grad():
                return self._original(**given)
        finally:
            for module in training:
                module.training = True

    def _found(self, given: Mapping[str, Any], rows: Sequence[_Row]) -> list[Kept] | None:
        found = []
        for row in rows:
            kept = self.rows.get(row.key) or self._look({**given, **row.inputs}, row.length)
            if kept is None:
                return None
            found.append(kept)
        return found

    def _look(self, given: Mapping[str, Any], length: int) -> Kept | None:
        """Run one row; None where what comes out is more than a tensor an output."""
        outputs = self._run(given)
        if not isinstance(outputs, Mapping):
            return None
        kept: Kept = {}
        for name, value in outputs.items():
            if name == "past_key_values" or value is None:
                continue
            if not isinstance(value, Tensor) or not value.is_floating_point() or value.ndim < 2 or len(value) != 1:
                return None
            per_token = value.ndim > 2 and value.shape[1] == length
            if self._per_token.setdefault(name, per_token) != per_token:
                return None
            values = (value[0] if per_token else value).cpu()
            self._empty.setdefault(name, values[:0].clone())
            kept[name] = 0, values
        self._kind = type(outputs)
        return kept

    def _join(self, rows: Sequence[_Row], found: Sequence[Kept], ids: Tensor) -> dict[str, Tensor]:
        """Return the body's outputs for a batch like ``ids``, by name, zero where nothing is kept."""
        joined = {}
        for name, empty in self._empty.items():
            having = [(at, *kept[name]) for at, kept in enumerate(found) if name in kept]
            shape = (*(ids.shape if self._per_token[name] else ids.shape[:1]), *empty.shape[1:])
            if not having:
                joined[name] = empty.new_zeros((), device=ids.device).expand(shape)
                continue
            values = torch.cat([value for _, _, value in having]).to(ids.device)
            index = [[at for at, _, value in having for _ in value]]
            if self._per_token[name]:
                index.append([rows[at].start + first + i for at, first, value in having for i in range(len(value))])
            where = tuple(torch.tensor(numbers, device=ids.device) for numbers in index)
            joined[name] = values.new_zeros(shape).index_put_(where, values)
        return joined

    def _learner(
        self, name: str, rows: Sequence[_Row], found: Sequence[Kept], fresh: Sequence[int], lacking: bool
    ) -> Callable[[Tensor], None]:
        """Return what keeps the values of ``name`` that a gradient shows the head to read, for the ``fresh`` rows."""

        def learn(gradient: Tensor) -> None:
            if lacking:
                raise HoldfastError(
                    f"{self.method} keeps what the head of {type(self.model).__name__} reads, and it reads {name} "
                    "of the body in some batches only: use top_k_layers(k=0), which keeps nothing"
                )
            read = gradient.isfinite() & (gradient != 0)
            if self._per_token[name]:
                read = read.flatten(2).any(-1).cpu()
                for row, kept, of_row in zip(rows, found, read, strict=True):
                    self._check_read(row, *kept[name], of_row)
            for at in fresh:
                row, (first, values) = rows[at], found[at][name]
                if self._per_token[name]:
                    positions = read[at, row.start : row.start + row.length].nonzero().flatten()
                    # At one end, the head's choice. In between it may be a label's: the next one may be elsewhere.
                    if len(positions) == 1 and int(positions) in (0, row.length - 1):
                        first = int(positions)
                        values = values[first : first + 1]
                self._keep(row.key, name, first, values.clone())

        return learn

    def _check_read(self, row: _Row, first: int, values: Tensor, read: Tensor) -> None:
        """Raise ``HoldfastError`` where the head ``read`` a position of which nothing is kept, and got zeros."""
        kind, whole = type(self.model).__name__, read.sum()
        if whole > read[row.start : row.start + row.length].sum():
            raise HoldfastError(
                f"{self.method} runs each row without its padding, and the head of {kind} reads padding: "
                "pad on the other side, mask it in the head, or use top_k_layers(k=0)"
            )
        if whole > read[row.start + first : row.start + first + len(values)].sum():
            raise HoldfastError(
                f"{self.method} keeps what the head of {kind} reads, and it reads now one token of a row and now "
                "another: use top_k_layers(k=0), which keeps nothing"
            )

    def _keep(self, key: bytes, name: str, first: int, values: Tensor) -> None:
        self.bytes += values.numel() * values.element_size() + len(key)
        if self.bytes <= self.limit:
            self.rows.setdefault(key, {})[name] = first, values
            return
        self.rows.pop(key, None)
        if not self._full:
            self._full = True
            logger.warning(
                "%s keeps the features of %d rows, %.1f GB; further rows are computed each time",
                self.method,
                len(self.rows),
                self.limit / 1e9,
            )

    def _padding_is_nothing(self, given: Mapping[str, Any], names: Sequence[str]) -> bool:
        whole, rows = self._run(given), _cut(given, names, strips=True)
        # Not what is kept of rows seen before, which may be a part.
        looks = [self._look({**given, **row.inputs}, row.length) for row in rows]
        found = [look for look in looks if look is not None]
        if len(found) < len(looks):
            return True
        weight = next(self.body.parameters())
        exact = weight.element_size() >= 4 and not torch.is_autocast_enabled(weight.device.type)
        for name, output in self._join(rows, found, given["input_ids"]).items():
            expected = whole[name]
            if self._per_token[name]:
                real = [(at, i) for at, row in enumerate(rows) for i in range(row.start, row.start + row.length)]
                where = tuple(torch.tensor(numbers, device=output.device) for numbers in zip(*real, strict=True))
                output, expected = output[where], expected[where]
            apart = torch.linalg.vector_norm((output - expected).double())
            # Rounding on the one side, another position of every token on the other.
            if apart > (1e-3 if exact else 5e-2) * torch.linalg.vector_norm(expected.double()):
                return False
        return True


def _row_tensors(given: Mapping[str, Any]) -> list[str] | None:
    """Return the names of the inputs of shape (rows, tokens); None where there are inputs of other kinds."""
    ids = given.get("input_ids")
    if not isinstance(ids, Tensor) or ids.ndim != 2:
        return None
    names = []
    for name, value in given.items():
        if isinstance(value, Tensor) and value.ndim:
            if value.shape != ids.shape:
                return None
            names.append(name)
        elif not (value is None or isinstance(value, bool | int | float | str | Tensor)):
            return None
    return names


def _is_padded(given: Mapping[str, Any]) -> bool:
    mask = given.get("attention_mask")
    return mask is not None and not bool((mask != 0).all())


def _cut(given: Mapping[str, Any], names: Sequence[str], strips: bool) -> list[_Row]:
    """Return the rows of a batch; ``strips``: without what the attention mask hides at either end."""
    tokens = {name: given[name].cpu().contiguous() for name in names}
    count, width = given["input_ids"].shape
    mask = tokens.get("attention_mask")
    rows = []
    for at in range(count):
        start, stop = 0, width
        if strips and mask is not None and len(seen := mask[at].nonzero()):
            start, stop = int(seen[0]), int(seen[-1]) + 1
        digest = hashlib.blake2b(digest_size=16)
        for name in names:
            digest.update(f"{name}:{stop - start};".encode())
            digest.update(tokens[name][at, start:stop].view(torch.uint8).numpy().tobytes())
        inputs = {name: given[name][at : at + 1, start:stop] for name in names}
        rows.append(_Row(start, stop - start, inputs, digest.digest()))
    return rows
