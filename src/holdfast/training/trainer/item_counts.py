"""Whether a loss was divided by the number of items that its maker was given."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from holdfast.errors import HoldfastError
from holdfast.modes import same_modes
from holdfast.training.forward.task_loss import named


class Uses(TorchFunctionMode):
    """Within the block, follows what is computed of ``items``, a scalar tensor; no operation is changed by it."""

    def __init__(self, items: Tensor) -> None:
        super().__init__()
        self._made = {id(items): items}
        """Tensors computed of it, kept so that their ids stay theirs."""
        self._value = float(items)
        self._read = False
        """Whether it was read as a Python number, which leaves no trace but its value."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run ``func``, and note whether its result comes of the number."""
        given = [part for one in (*args, *(kwargs or {}).values()) for part in _parts(one)]
        result = func(*args, **(kwargs or {}))
        of_it = any(id(one) in self._made for one in given)
        tensors = [one for one in _parts(result) if isinstance(one, Tensor)]
        self._read = self._read or (of_it and not tensors)
        if of_it or (self._read and any(map(self._is_value, given))):
            self._made |= {id(one): one for one in tensors}
        return result

    def made(self, loss: Tensor) -> bool:
        """Return whether ``loss`` was computed of the number."""
        return id(loss) in self._made

    def _is_value(self, one: Any) -> bool:
        if not isinstance(one, (int, float)) or isinstance(one, bool):
            return False
        return math.isclose(one, self._value, rel_tol=1e-6) or math.isclose(one * self._value, 1.0, rel_tol=1e-6)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Within the block, which is inside of this one, operations are none of its business."""
        self.__exit__(None, None, None)  # type: ignore[no-untyped-call]
        try:
            yield
        finally:
            self.__enter__()  # type: ignore[no-untyped-call]


def _parts(value: Any) -> Sequence[Any]:
    return value if isinstance(value, (tuple, list)) else (value,)


def divides(model: nn.Module, inputs: Mapping[str, Any], items: Tensor) -> bool | None:
    """Return whether ``model`` divides its loss of ``inputs`` by ``items``, ``num_items_in_batch``.

    Most heads ignore the number, and give a mean. So the loss is computed for twice the number too: without gradient or
    dropout, and without leaving a trace. None where that does not tell, as of a batch without labels.
    """
    bare = {key: value for key, value in inputs.items() if key != "num_items_in_batch"}
    with same_modes(model), torch.no_grad():
        model.eval()
        try:
            once, twice = (
                named(model, model(**bare, num_items_in_batch=count), "loss")["loss"] for count in (items, 2 * items)
            )
        except HoldfastError:
            return False  # the loss is made of its outputs
        finally:
            # Autocast remembers weights cast without gradient and would hand them to the next forward.
            torch.clear_autocast_cache()
    if not bool(torch.isfinite(once)) or not bool(once):
        return None
    return not bool(torch.isclose(once, twice, rtol=1e-4))
