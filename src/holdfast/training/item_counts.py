"""Whether a loss was divided by the number of items that its maker was given."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from holdfast.errors import HoldfastError
from holdfast.training.head import named
from holdfast.training.lifecycle import same_modes


class Uses(TorchFunctionMode):
    """Within the block, notes whether ``items``, a tensor, is an argument of any operation."""

    def __init__(self, items: Tensor) -> None:
        super().__init__()
        self.found = False
        self._items = items

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Note what ``func`` gets, and run it."""
        kwargs = kwargs or {}
        self.found = self.found or any(one is self._items for one in (*args, *kwargs.values()))
        return func(*args, **kwargs)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Within the block, which is inside of this one, operations are none of its business."""
        self.__exit__(None, None, None)  # type: ignore[no-untyped-call]
        try:
            yield
        finally:
            self.__enter__()  # type: ignore[no-untyped-call]


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
