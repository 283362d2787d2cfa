"""The dropout masks of one forward pass, given to others."""

import torch

State = tuple[torch.Tensor, torch.Tensor | None]


class SameDropout:
    """Lets several passes draw the same numbers from one point of the model on.

    The first pass that comes to that point draws as ever. Later ones repeat its draws from there; what they drew before
    (noise, say) is new, and so is all that is drawn once they have ended.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._start: State | None = None
        self._resume: State | None = None

    @property
    def begun(self) -> bool:
        """Whether a pass has come to the point."""
        return self._start is not None

    def reach(self) -> None:
        """Tell that a pass has come to the point."""
        now = _state(self._device)
        if self._start is None:
            self._start = now
        else:
            self._resume = now
            _restore(self._device, self._start)

    def end(self) -> None:
        """Tell that a pass has ended."""
        if self._resume is not None:
            _restore(self._device, self._resume)
            self._resume = None


def _state(device: torch.device) -> State:
    return torch.get_rng_state(), torch.cuda.get_rng_state(device) if device.type == "cuda" else None


def _restore(device: torch.device, state: State) -> None:
    torch.set_rng_state(state[0])
    if state[1] is not None:
        torch.cuda.set_rng_state(state[1], device)
