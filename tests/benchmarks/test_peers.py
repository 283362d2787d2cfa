"""Peers train the same model on the same batches with the same optimizer."""

import pytest
import torch

from holdfast.errors import HoldfastError
from measuring.contestants import start
from measuring.resources import resources
from measuring.setup import Setup, batches
from peers import PEERS, chosen, installed
from peers.peer import Peer
from tiny import classifier

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def setup():
    base = classifier("bert", dropout=0.1)
    return Setup(base, batches(base, 4, 8, CPU), CPU, "fp32", accumulation=2, total_steps=40, epochs=2.0)


def test_a_peer_that_does_nothing_of_its_own_trains_as_plain_fine_tuning(setup):
    nothing = Peer("nothing", "torch", "", 1.0, lambda model: lambda batch: model(**batch).loss)
    arms = []
    for contestant in ("vanilla", nothing):
        torch.manual_seed(0)
        arm = start(contestant, setup, 40)
        arm.train(3)
        arms.append(arm)
    plain, peer = ([parameter.detach() for parameter in arm.model.parameters()] for arm in arms)
    assert all(torch.equal(a, b) for a, b in zip(plain, peer, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(peer, setup.base.parameters(), strict=True) if a.ndim > 1)


@pytest.mark.slow
def test_a_peer_holds_no_state_and_does_nothing_between_passes(setup):
    peer = PEERS["transformers-neftune"]
    found = resources(peer, setup, 2)
    assert (found.state_bytes, found.claimed_bytes) == (0, None)
    assert start(peer, setup, 40).walk(7) == dict.fromkeys(range(7), 0.0)


def test_transformers_noise_arrives(setup):
    model = setup.model()
    seen = []
    objective = PEERS["transformers-neftune"].objective(model)
    model.get_input_embeddings().register_forward_hook(lambda module, given, output: seen.append(output))
    batch = setup.batches[0]
    objective(batch)
    noise = seen[0] - model.get_input_embeddings().weight[batch["input_ids"]]
    bound = 5 / (8 * noise.shape[-1]) ** 0.5
    assert 0.9 * bound < float(noise.detach().abs().max()) <= bound * (1 + 1e-5)


def test_smart_pytorch_runs_three_passes_and_trains_by_two(setup):
    pytest.importorskip("smart_pytorch")
    model, passes = setup.model(), []
    objective = PEERS["smart-pytorch"].objective(model)
    model.register_forward_hook(lambda module, given, output: passes.append(output.logits))
    batch = setup.batches[0]
    total = objective(batch)
    assert len(passes) == 3
    assert all(parameter.grad is None for parameter in model.parameters())
    clean, _, disturbed = (logits.detach().log_softmax(-1) for logits in passes)
    task = -clean.gather(1, batch["labels"][:, None]).mean()
    apart = ((clean.exp() - disturbed.exp()) * (clean - disturbed)).sum()
    assert float(total.detach()) == pytest.approx(float(task + 0.02 * apart), rel=1e-5)
    total.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_smart_pytorch_wants_embeddings_of_its_own():
    with pytest.raises(HoldfastError, match="takes no inputs_embeds"):
        PEERS["smart-pytorch"].objective(torch.nn.Linear(2, 2))


def test_peers_are_chosen_by_name():
    assert [peer.name for peer in chosen("all")] == list(PEERS)
    assert [peer.name for peer in chosen("transformers-neftune, transformers-neftune")] == ["transformers-neftune"]
    nowhere = Peer("nowhere", "not_there_at_all", "pip install it", 1.0, lambda model: lambda batch: batch["labels"])
    here, missing = installed([nowhere, PEERS["transformers-neftune"]])
    assert [peer.name for peer in here] == ["transformers-neftune"]
    assert missing == ["nowhere is not installed: pip install it"]
