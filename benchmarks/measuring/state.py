"""The tensors that a method holds beside the model, its gradients and the optimizer's state."""

import copy
import gc
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from holdfast.methods.parts.body_cache import LIMIT
from holdfast.training.session.footprints import footprints
from measuring.contestants import Contestant, methods_of, start
from measuring.setup import Setup
from measuring.training import Training


class HeldState:
    """Bytes of all tensors alive that an engine's methods hold, wherever they keep them.

    Begin before the engine is built: what is alive then belongs to others. Every storage counts once.
    """

    def __init__(self) -> None:
        self.most = 0
        self._others = _storages(_alive())  # held, so that their addresses are not used again

    def sample(self, arm: Training) -> None:
        """Look at what is held now."""
        model, optimizer = arm.model, arm.optimizer
        # A copy of the model was made before the methods changed it: by place, its tensors are those of the base.
        plain = {name for name, _ in _named(arm.setup.base)}
        known = [tensor for name, tensor in _named(model) if name in plain]
        known += arm.given
        known += [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
        known += [gradient for _, gradient in arm.gradients] + arm.given_gradients
        for state in optimizer.state.values():
            known += [value for value in state.values() if isinstance(value, Tensor)]
        mine = {*self._others, *_storages(known)}
        held = sum(storage.nbytes() for key, storage in _storages(_alive()).items() if key not in mine)
        self.most = max(self.most, held)


def state_bytes(contestant: Contestant, setup: Setup, total_steps: int, steps: int, measured: int) -> int:
    """Return the most bytes that ``contestant`` holds in the first ``steps`` steps of a training of ``total_steps``.

    It is looked at between the method's hooks, and whenever it asks for one of ``measured`` batches of the
    training data.
    """
    held = HeldState()
    arms: list[Training] = []

    class Watched:
        """The training data; looks at what is held whenever a batch is asked for."""

        def __len__(self) -> int:
            return measured

        def __iter__(self) -> Iterator[Mapping[str, Any]]:
            for index in range(measured):
                for arm in arms:
                    held.sample(arm)
                yield setup.batches[index % len(setup.batches)]

    # What is frozen is not listed, so that looking takes no time.
    gc.freeze()
    try:
        arm = start(contestant, setup, total_steps, Watched())
        arms.append(arm)
        held.sample(arm)
        arm.walk(steps, lambda: held.sample(arm))
        arm.close()
    finally:
        gc.unfreeze()
    return held.most


def claimed(contestant: Contestant, setup: Setup) -> tuple[int, int | None]:
    """Return how many weights ``contestant`` works on, and the bytes of state that it says it keeps.

    All of the model's, and None, for peers and for methods that select none. Of methods used together, the weights
    of the one that selects most, as the others' are among them. None too where the account is a limit, of what is
    kept of each row.
    """
    every = footprints(methods_of(contestant), copy.deepcopy(setup.base).to("meta"))
    selecting = [one for one in every if one.footprint.action]
    if not selecting:
        return sum(parameter.numel() for parameter in setup.base.parameters()), None
    states = [one.footprint.state_bytes for one in selecting]
    return max(one.weights for one in selecting), None if max(states) >= LIMIT else sum(states)


def _alive() -> Iterator[Tensor]:
    for thing in gc.get_objects():
        # By its type: asking a proxy for its class may load what it stands for.
        if issubclass(type(thing), Tensor):
            yield thing


def _named(model: torch.nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from model.named_parameters(remove_duplicate=False)
    yield from model.named_buffers(remove_duplicate=False)


def _storages(tensors: Iterable[Tensor]) -> dict[int, torch.UntypedStorage]:
    found = {}
    for tensor in tensors:
        if tensor.is_meta or tensor.layout is not torch.strided:
            continue
        storage = tensor.untyped_storage()
        found[storage._cdata] = storage
    return found
