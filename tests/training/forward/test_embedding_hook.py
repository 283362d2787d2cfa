"""Where the perturbation goes: the right rows of the first run of the embedding, and nowhere else."""

import pytest
import torch

from holdfast import HoldfastError
from holdfast.training.forward.embedding_hook import EmbeddingHook


class Shared(torch.nn.Module):
    """An embedding shared by encoder and decoder."""

    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(7, 4)

    def get_input_embeddings(self):
        return self.embedding


def test_only_the_views_rows_of_the_first_run_are_perturbed():
    model = Shared()
    hook, ids = EmbeddingHook(model), torch.randint(0, 7, (6, 3))
    plain = model.embedding(ids)
    with hook.perturbing([(2, None), (2, lambda e: e + 1), (2, lambda e: e + 2)]):
        encoder, decoder = model.embedding(ids), model.embedding(ids)
    assert torch.equal(encoder, plain + torch.tensor([0, 0, 1, 1, 2, 2])[:, None, None])
    assert torch.equal(decoder, plain)
    assert torch.equal(model.embedding(ids), plain)


def test_rows_that_are_not_the_batchs_are_refused():
    model = Shared()
    hook = EmbeddingHook(model)
    with (
        pytest.raises(HoldfastError, match="gave 18 rows for 6, as unpadded attention does"),
        hook.perturbing([(3, None), (3, None)]),
    ):
        model.embedding(torch.zeros(18, dtype=torch.long))
