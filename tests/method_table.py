"""One row a method, or a form of it that takes another path: every row goes through the same tests.

Those are the same seed, interruption and resumption, mixed precision, accumulation with checkpointing and
clipping, plain checkpoints, best-model loading, and equality of Trainer and Engine.
"""

import pytest

from holdfast import R3F, R4F, Vanilla

TABLE = {
    "vanilla": Vanilla(),
    "r3f": R3F(sigma=0.01, weight=2.0),
    "r3f-clean": R3F(sigma=0.0, gradient="clean"),
    "r3f-relative": R3F(sigma=0.1, relative=True, every=2),
    "r4f": R4F(sigma=0.0),
    "r4f-last": R4F(layers="last"),
}

every_method = pytest.mark.parametrize("method", TABLE.values(), ids=TABLE)
