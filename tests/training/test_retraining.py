"""Training on text without labels: the language model around the body, its loss, and what stays as it was."""

import copy
import math

import pytest
import torch
import transformers as t
from text import CAUSAL, MASKED, padded, sequences, text, text_tokenizer
from torch import nn

from holdfast import HoldfastError
from holdfast.methods.base import SelfSupervised
from holdfast.methods.parts.model.layers import body_of
from holdfast.training.pretraining.corruption import corruption, next_tokens
from holdfast.training.pretraining.language_models import language_model, objective_of
from holdfast.training.pretraining.questions import IGNORED
from holdfast.training.pretraining.self_supervised import _summed_loss, retrain
from tiny import PAD, classifier

STAGE = SelfSupervised(epochs=2, learning_rate=1e-2, mask_rate=0.15)


def quietly(progress):
    pass


def question(objective, batch, rate=0.4):
    return corruption(objective, text_tokenizer(), rate, torch.Generator().manual_seed(0))(batch)


@pytest.mark.parametrize("name", [*MASKED, *CAUSAL, "t5"])
def test_the_language_model_is_built_around_the_very_body(name):
    model = classifier(name)
    before = {key: (id(value), value.clone()) for key, value in model.named_parameters()}
    whole = language_model(model, "surt")
    assert {key: id(value) for key, value in model.named_parameters()} == {k: found for k, (found, _) in before.items()}
    assert all(torch.equal(value, before[key][1]) for key, value in model.named_parameters())
    inside = {id(value) for value in whole.model.parameters()}
    pooler = {id(value) for key, value in body_of(model).named_parameters() if "pooler" in key}
    assert {id(value) for value in body_of(model).parameters()} - pooler <= inside
    if whole.model.config.tie_word_embeddings:
        assert whole.model.get_output_embeddings().weight is body_of(model).get_input_embeddings().weight


@pytest.mark.parametrize("name", MASKED)
@pytest.mark.parametrize("side", ["left", "right"])
def test_masked_logits_of_the_asked_positions_alone_give_the_whole_loss(name, side):
    """Against the library's own loss over all positions."""
    whole = language_model(classifier(name), "surt")
    asked = question("masked", padded(side=side))
    own = whole.model(**asked.batch, labels=asked.labels).loss
    assert float(_summed_loss(whole, asked)) / float((asked.labels != IGNORED).sum()) == pytest.approx(float(own), 1e-5)


@pytest.mark.parametrize("name", CAUSAL)
def test_the_loss_of_decoders_is_the_librarys(name):
    whole = language_model(classifier(name), "surt")
    batch = padded(side="right")
    asked = next_tokens(batch)
    labels = torch.where(batch["attention_mask"].bool(), batch["input_ids"], -100)
    own = whole.model(**batch, labels=labels).loss
    assert float(_summed_loss(whole, asked)) / float((asked.labels != IGNORED).sum()) == pytest.approx(float(own), 1e-5)


def test_the_loss_of_t5_is_the_librarys():
    whole = language_model(classifier("t5"), "surt")
    asked = question("spans", sequences(5))
    own = whole.model(**asked.batch, labels=asked.labels).loss
    assert float(_summed_loss(whole, asked)) / float((asked.labels != IGNORED).sum()) == pytest.approx(float(own), 1e-5)


@pytest.mark.parametrize("name", ["bert", "roberta", "modernbert", "gpt2"])
def test_the_checkpoints_own_output_layer_is_used(name, tmp_path, caplog):
    kind = (MASKED | CAUSAL)[name]
    saved = kind(classifier(name).config)
    with torch.no_grad():
        for parameter in saved.parameters():
            parameter.add_(torch.rand_like(parameter))
    saved.save_pretrained(tmp_path)
    model = t.AutoModelForSequenceClassification.from_pretrained(tmp_path)
    whole = language_model(model, "surt")
    saved.eval()
    whole.model.eval()
    # Attention is computed in another way, and these random models have large outputs.
    assert torch.allclose(saved(**sequences(4)).logits, whole.model(**sequences(4)).logits, rtol=1e-3, atol=1e-2)
    assert not [record for record in caplog.records if "holdfast" in record.name]


def saved_language_model(name, tied, folder):
    """A language model of random weights, and what it was saved as."""
    config = classifier(name).config
    config.tie_word_embeddings = tied or name == "t5"
    saved = (MASKED | CAUSAL | {"t5": t.T5ForConditionalGeneration})[name](config)
    if not tied:
        saved.get_output_embeddings().weight = nn.Parameter(torch.rand(97, 32))
    with torch.no_grad():
        for parameter in saved.parameters():
            parameter.add_(torch.rand_like(parameter))
    saved.save_pretrained(folder)
    return saved.eval()


@pytest.mark.slow
@pytest.mark.parametrize("words", [97, 105])
@pytest.mark.parametrize(
    ("name", "tied"), [("bert", True), ("modernbert", True), ("llama", True), ("llama", False), ("t5", False)]
)
def test_the_output_layer_is_used_tied_or_not_and_with_words_added(name, tied, words, tmp_path):
    """T5 1.1's and mT5's is another than the embedding, though their configuration says it is the same."""
    saved = saved_language_model(name, tied, tmp_path)
    model = t.AutoModelForSequenceClassification.from_pretrained(tmp_path)
    model.resize_token_embeddings(words, mean_resizing=False)
    whole = language_model(model, "surt")
    given = sequences(4) | ({"labels": sequences(4)["input_ids"]} if name == "t5" else {})
    whole.model.eval()
    logits = whole.model(**given).logits
    assert logits.shape[-1] == words
    assert torch.allclose(saved(**given).logits, logits[..., :97], rtol=1e-3, atol=1e-2)
    assert (whole.model.get_output_embeddings().weight is body_of(model).get_input_embeddings().weight) == tied


def test_a_folder_that_was_moved_away_gives_a_new_output_layer_and_says_so(tmp_path, caplog):
    folder = tmp_path / "here"
    t.BertForMaskedLM(classifier("bert").config).save_pretrained(folder)
    model = t.AutoModelForSequenceClassification.from_pretrained(folder)
    folder.rename(tmp_path / "there")
    language_model(model, "surt")
    assert "output layer for text is new" in caplog.text
    assert "here cannot be read again" in caplog.text


def test_a_checkpoint_without_output_layer_gets_a_new_one_and_says_so(tmp_path, caplog):
    body_of(classifier("bert")).save_pretrained(tmp_path)
    model = t.AutoModelForSequenceClassification.from_pretrained(tmp_path)
    level = t.logging.get_verbosity()
    language_model(model, "surt")
    assert "brings no output layer for text, so a new one is trained" in caplog.text
    assert t.logging.get_verbosity() == level


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bert", "modernbert", "gpt2", "t5"])
def test_text_that_can_be_learned_is_learned(name):
    """The loss on held-out text falls below that of knowing nothing but how often words occur, log 60."""
    model, held_out = classifier(name, dropout=0.0), sequences(40, seed=99)
    batches = [sequences(16, seed=seed) for seed in range(8)]
    losses = []
    retrain(model, SelfSupervised(12, 1e-2, 0.15), text(batches), 0, "surt", lambda p: losses.append(p.loss))
    assert losses[0] is None
    assert losses[-1] < math.log(60) - 0.2
    assert len(losses) == 1 + 12 * 8
    torch.manual_seed(0)
    fresh = language_model(classifier(name), "surt")
    asked = question(fresh.objective, held_out, 0.15)
    # The output layer is thrown away, so a new one is fitted on both bodies alike, which stay as they are.
    untrained, trained = (_held_out_loss(body, asked, batches) for body in (classifier(name), model))
    assert trained < untrained


def _held_out_loss(model, asked, batches):
    body = body_of(model)
    kept = copy.deepcopy(body.state_dict())
    for parameter in body.parameters():
        parameter.requires_grad_(False)
    torch.manual_seed(1)
    whole = language_model(model, "surt")
    own = [p for p in whole.model.parameters() if p.requires_grad]
    if not own:
        own = _untied(whole)
    optimizer = torch.optim.AdamW(own, 1e-2)
    for batch in batches * 6:
        loss = _summed_loss(whole, question(whole.objective, batch, 0.15))
        (loss / 16).backward()
        optimizer.step()
        optimizer.zero_grad()
    assert all(torch.equal(value, kept[key]) for key, value in body.state_dict().items())
    with torch.no_grad():
        return float(_summed_loss(whole, asked))


def _untied(whole):
    head = whole.model.get_output_embeddings()
    head.weight = nn.Parameter(head.weight.detach().clone())
    return [head.weight]


def test_everything_but_the_body_stays_as_it_was():
    model = classifier("roberta", dropout=0.1)
    model.roberta.encoder.layer[0].eval()
    modes = [module.training for module in model.modules()]
    head = {name: value.clone() for name, value in model.named_parameters() if name.startswith("classifier")}
    frozen = model.roberta.embeddings.position_embeddings.weight.requires_grad_(False)
    kept, state = frozen.clone(), torch.get_rng_state()
    before = model.roberta.encoder.layer[0].output.dense.weight.clone()
    retrain(model, STAGE, text([padded(seed=seed) for seed in range(3)]), 0, "surt", quietly)
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, dict(model.named_parameters())[name]) for name, value in head.items())
    assert torch.equal(frozen, kept)
    assert not torch.equal(model.roberta.encoder.layer[0].output.dense.weight, before)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())


def test_training_is_adamw_with_a_warm_up_and_no_decay(monkeypatch):
    """20 steps: two of warm-up, then down to 0; a step whose gradient is not finite is left out."""
    rates, decays, plain = [], [], torch.optim.AdamW.step

    def step(self, *args):
        rates.append(self.param_groups[0]["lr"])
        decays.append(self.param_groups[0]["weight_decay"])
        return plain(self, *args)

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    model, batches = classifier("gpt2"), [padded(4, 5)]
    retrain(model, SelfSupervised(20, 1e-3, 0.15), text(batches), 0, "surt", quietly)
    expected = [0.0, 0.5, *[(20 - at) / 18 for at in range(2, 20)]]
    assert rates == pytest.approx([1e-3 * share for share in expected])
    assert set(decays) == {0.0}
    rates.clear()
    with torch.no_grad():
        model.transformer.wte.weight[7] = float("nan")
    unhappy = {"input_ids": torch.tensor([[7, 8]]), "attention_mask": torch.ones(1, 2, dtype=torch.long)}
    retrain(model, SelfSupervised(2, 1e-3, 0.15), text([unhappy]), 0, "surt", quietly)
    assert rates == []


def test_the_same_seed_gives_the_same_weights_whatever_was_drawn_before():
    models = []
    for seed, drawn in ((3, 0), (3, 17), (4, 0)):
        model = classifier("bert", dropout=0.1)
        torch.rand(drawn)
        retrain(model, STAGE, text([padded(seed=7)]), seed, "surt", quietly)
        models.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    assert torch.equal(models[0], models[1])
    assert not torch.equal(models[0], models[2])


def test_accumulation_gives_the_steps_of_one_large_batch():
    """Rows of differing length, so that a mean of means would differ."""
    whole = padded(8)
    parts = [{key: value[at : at + 2] for key, value in whole.items()} for at in range(0, 8, 2)]
    models = []
    for batches, accumulation in (([whole], 1), (parts, 4)):
        model = classifier("gpt2")
        retrain(model, STAGE, text(batches, accumulation), 0, "surt", quietly)
        models.append(model)
    for (name, a), b in zip(models[0].named_parameters(), models[1].parameters(), strict=True):
        # The keys' biases have no gradient but rounding, of which Adam makes whole steps.
        assert name.endswith("c_attn.bias") or torch.allclose(a, b, atol=2e-5), name


def test_short_texts_that_ask_for_nothing_do_no_harm():
    model = classifier("bert")
    batch = {"input_ids": torch.tensor([[2, 3]]), "attention_mask": torch.ones(1, 2, dtype=torch.long)}
    losses = []
    retrain(model, STAGE, text([batch, padded()]), 0, "surt", lambda p: losses.append(p.loss))
    assert losses[1] == 0.0
    assert all(math.isfinite(loss) for loss in losses[1:])
    assert all(bool(torch.isfinite(p).all()) for p in model.parameters())


@pytest.mark.parametrize("name", CAUSAL)
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_padding_on_the_left_is_not_taken_for_reading_both_ways(name, attention):
    """Nothing is attended to at padding, and what comes out there is anything."""
    config = classifier(name).config
    config._attn_implementation = attention
    model = type(classifier(name))(config).train()
    retrain(model, STAGE, text([padded(side="left")]), 0, "surt", quietly)
    assert all(bool(torch.isfinite(p).all()) for p in model.parameters())


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, RuntimeError])
def test_broken_off_it_leaves_the_model_as_it_was(interruption):
    model = classifier("bert", dropout=0.1)
    model.bert.encoder.layer[0].eval()
    modes = [module.training for module in model.modules()]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    moved = []

    def break_off(progress):
        if progress.step == 3:
            moved.append(not torch.equal(model.bert.pooler.dense.weight, before["bert.pooler.dense.weight"]))
            moved.append(not torch.equal(inside.weight, before["bert.encoder.layer.0.output.dense.weight"]))
            raise interruption

    inside = model.bert.encoder.layer[0].output.dense
    state = torch.get_rng_state()
    with pytest.raises(interruption):
        retrain(model, STAGE, text([padded(seed=seed) for seed in range(3)]), 0, "surt", break_off)
    assert moved == [False, True], "masked-language modelling has no use for the pooler"
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_every_choice_of_a_row_is_a_text():
    torch.manual_seed(0)
    model, alone, batch = t.BertForMultipleChoice(classifier("bert").config), classifier("bert"), padded(6)
    alone.bert.load_state_dict(model.bert.state_dict())
    choices = {key: value.view(3, 2, -1) for key, value in batch.items()}
    for one, given in ((model, choices), (alone, batch)):
        retrain(one, STAGE, text([given]), 0, "surt", quietly)
    assert all(torch.equal(a, b) for a, b in zip(model.bert.parameters(), alone.bert.parameters(), strict=True))


def test_bf16_runs_under_autocast():
    model = classifier("bert")
    found = text([padded()])
    found = type(found)(found.batches, 1, 1, found.tokenizer, lambda: torch.autocast("cpu", torch.bfloat16))
    losses = []
    retrain(model, STAGE, found, 0, "surt", lambda p: losses.append(p.loss))
    assert math.isfinite(losses[-1])
    assert {p.dtype for p in model.parameters()} == {torch.float32}


class Bidirectional(t.LlamaForSequenceClassification):
    """A decoder made to read both ways, as embedding models do."""

    def __init__(self, config):
        super().__init__(config)
        self.model.forward = self.both_ways(self.model.forward)

    def both_ways(self, forward):
        def mixed(*args, **kwargs):
            output = forward(*args, **kwargs)
            output.last_hidden_state = output.last_hidden_state + output.last_hidden_state.mean(1, keepdim=True)
            return output

        return mixed


def widened(batch):
    """Padded to more than its longest row, as ``padding="max_length"`` does."""
    return {
        key: nn.functional.pad(value, (0, 4), value=PAD if key == "input_ids" else 0) for key, value in batch.items()
    }


def one_token():
    return {"input_ids": torch.tensor([[7]]), "attention_mask": torch.ones(1, 1, dtype=torch.long)}


@pytest.mark.parametrize(
    ("model", "batches", "message"),
    [
        (lambda: classifier("bart"), [padded()], "re-trains encoders, decoders and T5"),
        (lambda: nn.Linear(2, 2), [padded()], "re-trains a model of Transformers on text, and Linear is none"),
        (lambda: Bidirectional(classifier("llama").config), [padded()], "sees the tokens that come after"),
        (lambda: Bidirectional(classifier("llama").config), [widened(padded())], "sees the tokens that come after"),
        (lambda: Bidirectional(classifier("llama").config), [one_token(), padded()], "sees the tokens that come after"),
        (lambda: classifier("bert"), [], "surt got no batch of training texts"),
        (lambda: classifier("bert"), [{"inputs_embeds": torch.rand(1, 2, 32)}], "the batches hold no input_ids"),
    ],
)
def test_refusals(model, batches, message):
    with pytest.raises(HoldfastError, match=message):
        retrain(model(), STAGE, text(batches), 0, "surt", quietly)


def test_what_a_model_can_be_asked_is_known_without_its_weights():
    with torch.device("meta"):
        models = {name: classifier(name) for name in ("deberta_v3", "llama", "t5")}
    assert [objective_of(model, "surt") for model in models.values()] == ["masked", "causal", "spans"]
