"""NEFTune against Transformers' own, and against the formula row by row."""

import copy
import math

import numpy as np
import pytest
import torch
from transformers import BartForConditionalGeneration, BertConfig, BertForMultipleChoice
from transformers.integrations.neftune import activate_neftune

from holdfast import HoldfastError
from holdfast.methods.base import Plan
from holdfast.methods.neftune import NEFTune, neftune_noise
from holdfast.methods.parts.padding import real_tokens
from loops import engine
from tiny import VOCABULARY, bart_config, batch, classifier


def loss_of(model, data, alpha, seed=3):
    trained = engine(model, NEFTune(alpha=alpha))
    torch.manual_seed(seed)
    loss = trained.loss(data)
    trained.finish()
    return loss


@pytest.mark.parametrize("name", ["bert", "electra", "modernbert", "gpt2", "llama"])
def test_without_padding_it_is_what_transformers_does(name):
    model = classifier(name, dropout=0.1)
    theirs = copy.deepcopy(model)
    data = batch()
    data["attention_mask"][:] = 1
    data["input_ids"].clamp_(min=5)
    ours = loss_of(model, data, alpha=5.0)
    activate_neftune(theirs, 5.0)
    torch.manual_seed(3)
    expected = theirs(**data).loss
    assert float(ours) == pytest.approx(float(expected), rel=1e-5)
    assert float(ours) != pytest.approx(float(classifier(name)(**data).loss), rel=1e-5)
    ours.backward()
    expected.backward()
    for a, b in zip(model.parameters(), theirs.parameters(), strict=True):
        assert (a.grad is None) == (b.grad is None)
        assert a.grad is None or torch.allclose(a.grad, b.grad, atol=1e-5)


@pytest.mark.parametrize("side", ["right", "left"])
def test_each_text_has_noise_of_its_own_length_and_padding_has_none(side):
    data = batch(rows=5, tokens=9, padding=side)
    embeddings = torch.randn(5, 9, 16)
    torch.manual_seed(1)
    noise = neftune_noise(embeddings, real_tokens(data, embeddings, "test"), alpha=7.0).numpy()
    torch.manual_seed(1)
    drawn = torch.rand(5, 9, 16).numpy() * 2 - 1
    mask = data["attention_mask"].numpy()
    for row in range(5):
        expected = drawn[row] * 7.0 / math.sqrt(mask[row].sum() * 16) * mask[row][:, None]
        assert np.allclose(noise[row], expected, atol=1e-6)


def test_without_a_mask_all_tokens_count():
    noise = neftune_noise(torch.zeros(64, 9, 16), real_tokens({}, torch.zeros(64, 9, 16), "test"), alpha=3.0)
    assert float(noise.abs().max()) == pytest.approx(3 / 12, rel=1e-3)
    assert float(noise.norm(dim=(1, 2)).mean()) == pytest.approx(3 / 3**0.5, rel=0.02)


def test_small_noise_survives_half_precision_sums():
    """Sums rounded once: the mean over many draws is the embedding's own value, not the one below it."""
    data = {"attention_mask": torch.ones(4096, 1, dtype=torch.long)}
    trial = type("Trial", (), {"batch": data})()
    session = NEFTune(alpha=0.01).start(torch.nn.Identity(), Plan(None))
    noisy = session.perturb_inputs(trial)(torch.ones(4096, 1, 4, dtype=torch.bfloat16))
    assert noisy.dtype == torch.bfloat16
    assert float((noisy != 1).float().mean()) > 0.3


def test_the_decoder_gets_no_noise():
    """BART embeds both stacks' tokens with one table."""
    model = BartForConditionalGeneration(bart_config(0.0)).train()
    seen = {}
    for name, stack in (("encoder", model.get_encoder()), ("decoder", model.get_decoder())):
        stack.layers[0].register_forward_pre_hook(
            lambda module, args, name=name: seen.setdefault(name, []).append(args[0].detach())
        )
    ids = torch.randint(5, VOCABULARY, (3, 6))
    data = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids[:, :4].clone()}
    for alpha in (0.0, 5.0):
        loss_of(model, data, alpha)
    assert not torch.equal(*seen["encoder"])
    assert torch.equal(*seen["decoder"])


def test_choices_are_texts_of_their_own():
    config = BertConfig(
        vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
    )
    model = BertForMultipleChoice(config).train()
    table = model.bert.embeddings.word_embeddings
    ids = torch.randint(5, VOCABULARY, (2, 3, 8))
    mask = torch.ones_like(ids)
    mask[0, 1, 2:] = 0
    trained, seen = engine(model, NEFTune(alpha=5.0)), []
    table.register_forward_hook(lambda module, args, output: seen.append((output - module.weight[args[0]]).detach()))
    trained.loss({"input_ids": ids, "attention_mask": mask, "labels": torch.tensor([0, 2])})
    largest = seen[-1].abs().amax((1, 2))
    assert float(largest[1]) == pytest.approx(5 / math.sqrt(2 * 32), rel=0.1)
    assert float(largest[0]) == pytest.approx(5 / math.sqrt(8 * 32), rel=0.1)


def test_evaluation_is_clean():
    model, data = classifier("bert").eval(), batch()
    plain = float(model(**data).loss)
    with torch.no_grad():
        found = float(loss_of(model, data, alpha=50.0))
    assert found == pytest.approx(plain, rel=1e-6)


def test_refused():
    with pytest.raises(HoldfastError, match=r"neftune\(alpha=-1\)"):
        NEFTune(alpha=-1)
    data = batch()
    data["attention_mask"] = torch.ones(4, 1, 10, 10)
    with pytest.raises(HoldfastError, match=r"neftune reads the length .*\(4, 1, 10, 10\)"):
        loss_of(classifier("bert"), data, alpha=5.0)
