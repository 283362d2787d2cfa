"""A linear layer whose weight is divided by its largest singular value."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


class SpectralLinear(nn.Linear):
    """``nn.Linear`` with weight W / sigma_max(W); made from an existing layer by ``constrain``.

    The parameter keeps its name and identity (state-dict keys and optimizers see no change). The singular
    vectors are constants of a forward pass, sigma = u^T W v is differentiated through W (Miyato et al. 2018),
    and the forward changes no state: it may run twice, be recomputed or compiled. ``refresh`` follows the
    weight, once an optimizer step.
    """

    u: Tensor
    """(out_features,) left singular vector, float32."""
    v: Tensor
    """(in_features,) right singular vector, float32."""

    def singular_value(self) -> Tensor:
        """Return the estimate of the largest singular value, a float32 scalar that carries gradient."""
        # Elementwise, because a matrix product would run in half precision under autocast.
        return (self.u[:, None] * self.weight.float() * self.v).sum()

    def normalised_weight(self) -> Tensor:
        """Return W / sigma_max(W), (out_features, in_features)."""
        return (self.weight.float() / self.singular_value()).to(self.weight.dtype)

    def forward(self, input: Tensor) -> Tensor:
        """Return the layer's output with the normalised weight and the bias as it is."""
        return F.linear(input, self.normalised_weight(), self.bias)

    @torch.no_grad()
    def refresh(self) -> None:
        """Move the singular vectors after the weight: one step of power iteration."""
        weight = self.weight.float()
        self.v.copy_(F.normalize(weight.T @ self.u, dim=0, eps=1e-12))
        self.u.copy_(F.normalize(weight @ self.v, dim=0, eps=1e-12))


@torch.no_grad()
def constrain(layer: nn.Linear) -> SpectralLinear:
    """Turn ``layer`` into a ``SpectralLinear`` in place, starting from its exact singular vectors."""
    u, _, vt = torch.linalg.svd(layer.weight.float(), full_matrices=False)
    layer.__class__ = SpectralLinear
    spectral = cast(SpectralLinear, layer)
    spectral.register_buffer("u", u[:, 0].clone(), persistent=False)
    spectral.register_buffer("v", vt[0].clone(), persistent=False)
    return spectral


@torch.no_grad()
def release(layer: SpectralLinear) -> nn.Linear:
    """Turn ``layer`` back into a plain ``nn.Linear`` of the same function, in place."""
    layer.weight.copy_(layer.normalised_weight())
    del layer.u, layer.v
    layer.__class__ = nn.Linear  # type: ignore[assignment]
    return layer
