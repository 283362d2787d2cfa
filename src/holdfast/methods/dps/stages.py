"""The two stages that DPS alternates between, in optimizer steps."""

from dataclasses import dataclass

from holdfast.errors import HoldfastError


@dataclass(frozen=True)
class Stages:
    """Stage I (scores are gathered) and stage II (a part is trained) in turn, ``length`` steps each.

    The last stage ends with the training, however short it is then.
    """

    length: int

    def selecting(self, index: int) -> bool:
        """Return whether step ``index``, from 0, is in stage II."""
        return index // self.length % 2 == 1

    def begins(self, index: int) -> bool:
        """Return whether step ``index`` is the first of a stage."""
        return index % self.length == 0


def stages_of(total_steps: int | None, update_ratio: float) -> Stages:
    """Return stages of floor(``total_steps`` * ``update_ratio``) steps, and of one step where that is none.

    Raises ``HoldfastError`` when the length of the training is unknown or leaves no stage II.
    """
    if total_steps is None:
        raise HoldfastError(
            "dps divides the training into stages and must know how long it is: pass Engine(..., total_steps=468)"
        )
    if total_steps < 2:
        raise HoldfastError(f"dps needs 2 optimizer steps, one a stage, and this training has {total_steps}")
    return Stages(max(1, int(total_steps * update_ratio)))
