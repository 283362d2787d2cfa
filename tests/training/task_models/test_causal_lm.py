"""Prompts and responses: what decoders learn from, and how they are asked."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from writers import END, PAD, START, of, save, spec, split, task, tokenizer

from holdfast import HoldfastError
from holdfast.study.run.train_and_measure import run as run_and_measure
from holdfast.training.run.check import check_run
from holdfast.training.run.train_run import run
from holdfast.training.task_models import task_model_of


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def decoder(request, tmp_path_factory):
    return save(tmp_path_factory.mktemp(request.param), request.param, dropout=0.1)


def greedy(model, prompt, longest):
    """The likeliest token each time, of one prompt alone."""
    ids = list(prompt)
    with torch.no_grad():
        for _ in range(longest):
            ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
            if ids[-1] == END:
                break
    return [one for one in ids[len(prompt) :] if one > END]


def test_only_the_response_is_learnt_and_prompts_are_padded_on_the_left(decoder):
    task_model = task_model_of(spec(decoder), task())
    rows = replace(split(3, 0), texts=["bad film", "good " * 20, "the"])
    rows = replace(rows, labels=["fine meal", "trip", "a " * 9])
    read = tokenizer()
    encoded, cut = task_model.encode(rows, read, training=True)
    assert (cut, task_model.count_cut(rows, read)) == (1, {"--max-length": 1, "--max-target-length": 1})
    assert encoded[0]["input_ids"] == [START, *of("bad film"), *of("fine meal"), END]
    assert encoded[0]["labels"] == [-100, -100, -100, *of("fine meal"), END]
    assert encoded[1]["input_ids"][:11] == [START, *of("good " * 10)], "its start is kept"
    assert encoded[2]["labels"] == [-100, -100, *of("a a a a a"), END]
    collator = task_model.collator(read, None)
    batch = collator([encoded[0], encoded[2]])
    assert batch["input_ids"][0].tolist() == [START, *of("bad film"), *of("fine meal"), END, PAD, PAD]
    assert batch["attention_mask"][0].tolist() == [1] * 6 + [0] * 2
    assert batch["labels"][0].tolist() == [-100, -100, -100, *of("fine meal"), END, -100, -100]
    asked, _ = task_model.encode(rows, read, training=False)
    batch = collator([asked[0], asked[2]])
    assert batch["input_ids"].tolist() == [[START, *of("bad film")], [PAD, START, *of("the")]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [0, 1, 1]]
    assert batch["labels"][0].tolist() == [*of("fine meal"), END, -100, -100, -100]


def test_the_line_break_stays_where_a_prompt_is_cut(tmp_path):
    """A tokenizer that has a token for it, and sets no end."""
    from tokenizers import Regex, Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Split as Pieces
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(WordLevel({"U": 0, "P": 1, "E": 2, "\n": 3, "a": 4, "b": 5}, "U"))
    raw.pre_tokenizer = Pieces(Regex("[ab\n]"), "isolated")
    read = PreTrainedTokenizerFast(tokenizer_object=raw, unk_token="U", pad_token="P", eos_token="E")
    task_model = task_model_of(spec(save(tmp_path, "gpt2"), settings={"max_length": 4}), task())
    rows = replace(split(3, 0), texts=["ab", "aba", "abab"], labels=["b", "b", "b"])
    encoded, cut = task_model.encode(rows, read, training=True)
    assert cut == 1
    assert [row["input_ids"] for row in encoded] == [[4, 5, 3, 5, 2], [4, 5, 4, 3, 5, 2], [4, 5, 4, 3, 5, 2]]


@pytest.mark.slow
def test_what_is_scored_is_what_the_saved_model_goes_on_with(decoder, tmp_path):
    given = task()
    record = run(spec(decoder, "r3f(sigma=0.1)"), given, tmp_path)
    assert (record.status, record.form, record.scored_rows, record.steps) == ("finished", "CausalLM", 6, 2)
    assert all(entry["loss/r3f"] > 0 for entry in record.losses)
    assert record.distance > 0
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "model").eval()
    read = AutoTokenizer.from_pretrained(tmp_path / "model")
    stored = np.load(tmp_path / "predictions.npz")
    for text, written in zip(given.splits["validation"].texts, stored["texts"], strict=True):
        prompt = [START, *of(text)]
        assert read.decode(greedy(model, prompt, 6)) == written
        inputs = torch.tensor([prompt])
        ids = model.generate(inputs, attention_mask=torch.ones_like(inputs))[0, len(prompt) :]
        assert read.decode(ids, skip_special_tokens=True) == written, "what is saved asks for as much"


@pytest.mark.slow
def test_the_step_with_the_best_rouge_is_the_one_that_is_scored(decoder, tmp_path):
    given = task(test=split(5, 2, several=True))
    record = run(spec(decoder, settings={"epochs": 3, "learning_rate": 1e-2}), given, tmp_path)
    scores = [entry.metrics["rougeL"] for entry in record.evaluations]
    assert [entry.step for entry in record.evaluations] == [2, 3, 4, 5, 6]
    assert (record.scored_split, record.selection_score) == ("test", max(scores))
    assert record.chosen_step == 2 + scores.index(max(scores))


@pytest.mark.slow
def test_layers_are_read_at_the_prompt_s_last_token(decoder, tmp_path):
    given = task()
    wanted = spec(decoder)
    record = run_and_measure(wanted, given, tmp_path, lambda progress: None, {})
    held = np.load(tmp_path / "representations.npz")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "model").eval()
    for row, text in enumerate(given.splits["validation"].texts):
        with torch.no_grad():
            layers = model(torch.tensor([[START, *of(text)]]), output_hidden_states=True).hidden_states
        states = held["states"][:, row].astype(np.float32) * held["scales"][:, None]
        assert np.allclose(states, torch.stack([layer[0, -1] for layer in layers]), atol=1e-2)
    layers = record.layers
    assert [one.layer for one in layers] == [0, 1, 2]
    assert all(one.weight_distance > 0 for one in layers)


def test_an_encoder_is_refused_with_the_option_that_makes_it_write(tmp_path):
    source = save(tmp_path, "bert")
    with pytest.raises(HoldfastError, match=f"it is an encoder, and ends asks .* --seq2seq-from-encoder {source}"):
        check_run(spec(source), task())


def test_prompt_and_response_must_fit_together(decoder):
    check_run(spec(decoder, settings={"max_length": 58, "max_target_length": 6}), task())
    with pytest.raises(HoldfastError, match=r"--max-length 58 and --max-target-length 7: .* takes 64 tokens of prompt"):
        check_run(spec(decoder, settings={"max_length": 58, "max_target_length": 7}), task())
    with pytest.raises(HoldfastError, match=r"r4f needs a classification head: .* generates tokens"):
        check_run(spec(decoder, "r4f"), task())


def test_a_tokenizer_without_an_end_is_refused(tmp_path):
    source = save(tmp_path, "gpt2", marks={"eos_token": None, "sep_token": None})
    with pytest.raises(HoldfastError, match="no token to end a text with"):
        run(spec(source), task(), tmp_path / "run")
