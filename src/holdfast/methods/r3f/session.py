"""One training with R3F."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from holdfast.methods.base import MethodSession, Plan
from holdfast.methods.forward import Forward, Step, View
from holdfast.methods.parts.model.embeddings import embedding_scale, input_embedding
from holdfast.methods.parts.model.layers import bottom_stack
from holdfast.methods.parts.noise.embedding_noise import EmbeddingNoise
from holdfast.methods.parts.noise.rounding import warn_of_lost_embedding_noise, warn_of_lost_noise
from holdfast.methods.parts.outputs import logits_of
from holdfast.methods.r3f.method import R3F
from holdfast.methods.r3f.penalty import r3f_penalty, r3f_token_penalty


class R3FSession(MethodSession[R3F]):
    """The scale of the noise, and where the copies part."""

    def __init__(self, method: R3F, model: nn.Module, plan: Plan) -> None:
        super().__init__(method, model, plan)
        self.scale = embedding_scale(input_embedding(model)) if method.relative else 1.0
        """What ``sigma`` is multiplied by."""
        self.branch: int | None = None
        """The block before which the copies part; None for the embeddings."""
        if method.layers is not None:
            self.branch = len(bottom_stack(model, method.name)) - method.layers
            warn_of_lost_noise(model, method.sigma, method.name)
        else:
            remedy = "relative=True with a larger sigma"
            warn_of_lost_embedding_noise(model, method.sigma * self.scale, method.name, remedy)

    def views(self, step: Step) -> Sequence[View]:
        """One noised copy at the steps where the penalty applies."""
        method = self.method
        if method.weight == 0 or step.index % method.every:
            return ()
        return (
            View(
                EmbeddingNoise(method.sigma * self.scale, method.noise, method.detach),
                grad=method.gradient == "both",
                share=method.rows,
                layer=self.branch,
                same_dropout=method.same_dropout,
            ),
        )

    def loss(self, forward: Forward) -> Tensor | None:
        """Weight times the symmetric divergence between the clean and the noised outputs."""
        if not forward.views:
            return None
        method = self.method
        clean, noised = logits_of(forward.outputs, method.name), logits_of(forward.views[0], method.name)
        # The mean over the rows that have a copy stands for that over all.
        part = len(noised) / len(clean)
        clean, rows, mask = clean[: len(noised)], forward.rows * part, forward.token_mask
        if mask is None:
            value = r3f_penalty(clean, noised, forward.kind, rows)
        else:
            labelled, mask = mask.sum(), mask[: len(noised)]
            tokens = forward.tokens * float(mask.sum() / labelled.clamp(min=1)) if part < 1 else forward.tokens
            value = r3f_token_penalty(clean, noised, mask, method.positions, rows, max(tokens, 1e-9))
        return method.weight * method.every * value

    def state_dict(self) -> dict[str, Tensor]:
        """The scale measured before training, which a resumed run could not measure again."""
        return {"scale": torch.tensor(self.scale, dtype=torch.float64)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore the scale."""
        self.scale = float(state["scale"])
