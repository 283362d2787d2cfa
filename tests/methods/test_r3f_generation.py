"""R3F where texts are written, against two calls of the model and noise of the test's own."""

import pytest
import torch
import transformers as t
from torch.nn import functional as F  # noqa: N812
from transformers.modeling_outputs import BaseModelOutput

from holdfast import R3F
from holdfast.methods.parts.model.layers import layer_stacks
from loops import engine
from tiny import ENCODER, bart_config, t5_config

ROWS, PAD, START, SIGMA = 4, 1, 3, 0.3
KINDS = ("t5", "bart", "pair")

pytestmark = pytest.mark.filterwarnings("ignore:Version v4.12.0 introduces:FutureWarning")


def writer(name):
    torch.manual_seed(0)
    if name == "t5":
        model = t.T5ForConditionalGeneration(t5_config(0.0))
    elif name == "bart":
        model = t.BartForConditionalGeneration(bart_config(0.0))
    else:
        still = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
        encoder = t.BertConfig(**ENCODER, **still)
        decoder = t.BertConfig(**ENCODER, **still, is_decoder=True, add_cross_attention=True)
        config = t.EncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)
        config.decoder_start_token_id, config.pad_token_id, config.vocab_size = START, PAD, 97
        model = t.EncoderDecoderModel(config)
    return model.double().train()


def batch(model):
    """Texts and targets of different lengths, padded."""
    ids = torch.randint(5, 97, (ROWS, 9))
    lengths, written = (9, 4, 6, 7), (3, 7, 5, 1)
    labels = torch.randint(5, 97, (ROWS, 7))
    for row in range(ROWS):
        ids[row, lengths[row] :] = PAD
        labels[row, written[row] :] = -100
    begun = torch.full((ROWS, 1), model.config.decoder_start_token_id)
    read = torch.cat([begun, labels[:, :-1]], 1)
    read = torch.where(read == -100, PAD, read)
    return {"input_ids": ids, "attention_mask": (ids != PAD).long(), "labels": labels}, read


def apart(model, data, read, noise):
    """KL both ways between the clean and the noised model at every position, (rows, positions)."""
    encoder = model.get_encoder()
    embedded = encoder.get_input_embeddings()(data["input_ids"])
    found = []
    for shift in (0.0, noise):
        states = encoder(inputs_embeds=embedded + shift, attention_mask=data["attention_mask"]).last_hidden_state
        outputs = model(
            encoder_outputs=BaseModelOutput(last_hidden_state=states),
            attention_mask=data["attention_mask"],
            decoder_input_ids=read,
        )
        found.append(torch.log_softmax(outputs.logits, -1))
    p, q = found
    both = F.kl_div(q, p, reduction="none", log_target=True) + F.kl_div(p, q, reduction="none", log_target=True)
    return both.sum(-1)


@pytest.mark.slow
@pytest.mark.parametrize("stacked", [True, False])
@pytest.mark.parametrize("positions", ["mean", "sum"])
@pytest.mark.parametrize("name", KINDS)
def test_both_normalisations_are_those_of_two_calls_with_noise_by_hand(name, positions, stacked):
    model = writer(name)
    data, read = batch(model)
    given = {**data, "decoder_input_ids": read}
    trained = engine(model, R3F(sigma=SIGMA, positions=positions), stacked=stacked)
    torch.manual_seed(5)
    trained.loss(given)
    trained.finish()
    torch.manual_seed(5)
    noise = (torch.rand(ROWS, 9, 32) * 2 - 1) * SIGMA
    with torch.no_grad():
        terms = apart(model, data, read, noise.double())
    labelled = data["labels"] != -100
    expected = terms.sum() / ROWS if positions == "sum" else terms[labelled].sum() / labelled.sum()
    assert trained.terms["r3f"] == pytest.approx(float(expected), rel=1e-4)
    assert trained.terms["task"] == pytest.approx(float(model(**data).loss), rel=1e-6)
    assert float(terms[~labelled].sum()) > 0, "padding is counted by sum and not by mean"


@pytest.mark.parametrize("name", KINDS)
def test_the_decoder_reads_no_noise(name):
    """Also where its embedding is the encoder's: what enters its first block is the same in both copies."""
    model = writer(name)
    data, read = batch(model)
    seen = {}
    for place, stack in zip(("encoder", "decoder"), layer_stacks(model, "the test"), strict=True):
        _, block = stack[0]
        block.register_forward_pre_hook(
            lambda module, args, kwargs, place=place: seen.update(
                {place: args[0] if args else kwargs["hidden_states"]}
            ),
            with_kwargs=True,
        )
    engine(model, R3F(sigma=SIGMA)).loss({**data, "decoder_input_ids": read})
    clean, noised = seen["decoder"].split(ROWS)
    assert torch.equal(clean, noised)
    clean, noised = seen["encoder"].split(ROWS)
    real = data["attention_mask"].bool()
    assert bool((clean != noised)[real].all(-1).all())


@pytest.mark.parametrize("given", ["labels alone", "what the decoder reads"])
@pytest.mark.parametrize("gradient", ["both", "clean"])
@pytest.mark.parametrize("name", KINDS)
def test_without_noise_and_dropout_nothing_is_apart(name, gradient, given):
    model = writer(name)
    data, read = batch(model)
    if given != "labels alone":
        data["decoder_input_ids"] = read
    trained = engine(model, R3F(sigma=0.0, positions="sum", gradient=gradient))
    trained.loss(data)
    assert abs(trained.terms["r3f"]) < 1e-12
