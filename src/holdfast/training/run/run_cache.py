"""What the runs of one process have in common, made once."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class RunCache:
    """Keeps the ``limit`` things asked for last: encoded rows, say, or what the pre-trained model makes of them."""

    def __init__(self, limit: int = 24) -> None:
        self.limit = limit
        self._things: OrderedDict[Hashable, Any] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what ``make`` gave for ``key``, now or before; it must not be changed."""
        if key not in self._things:
            self._things[key] = make()
            while len(self._things) > self.limit:
                self._things.popitem(last=False)
        self._things.move_to_end(key)
        thing: T = self._things[key]
        return thing
