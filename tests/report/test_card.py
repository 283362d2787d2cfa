import contextlib
import io
import re

import huggingface_hub
import pytest
import yaml
from markdown_it import MarkdownIt

from holdfast import R3F
from holdfast.report.card import model_card
from report.studies import record, row, summary, task

NASTY = "a: b #c \"d\" 'e' | `f` <script> {{g}} - [h](http://i)\n---\nj"


def front(card):
    return yaml.safe_load(card.split("---\n")[1])


def with_spec(made, **changes):
    return made.model_copy(update={"spec": made.spec.model_copy(update=changes)})


def flat(card):
    return " ".join(card.split())


@pytest.fixture
def made():
    return record("r3f", 3, truncated={"train": 4}, chosen_step=62, constant_scores={"accuracy": 0.527})


def test_the_hub_reads_the_front_matter(best, made, normal):
    card = huggingface_hub.ModelCard(model_card(best, made, normal))
    assert card.data.library_name == "transformers"
    assert card.data.pipeline_tag == "text-classification"
    assert card.data.base_model == "org/encoder"
    assert card.data.datasets == ["nyu-mll/glue"]
    assert card.data.metrics == ["accuracy", "f1"]
    assert card.data.tags == ["holdfast", "r3f"]
    assert card.text.lstrip().startswith("# encoder fine-tuned on rte")


def test_metrics_have_the_hub_s_names(made):
    made.metrics = {"matthews": 0.1, "pearson": 0.2, "spearman": 0.3, "macro_f1": 0.4}
    assert front(model_card(None, made, None))["metrics"] == ["matthews_correlation", "pearsonr", "spearmanr", "f1"]


def test_how_it_was_made_is_told(best, made, normal):
    card = flat(model_card(best, made, normal))
    told = (
        "500 training rows, drawn with subset seed 0, 4 of them cut to 128 tokens",
        "step 62 of 94",
        "torch 2.13.0",
        "0" * 64,
    )
    for said in (*told, "Seeds: 3 (head", "22,713,986 parameters", "| `learning_rate` | `5e-05` |"):
        assert said in card


def test_every_setting_of_every_method_is_told(made):
    card = model_card(None, with_spec(made, method="r3f(weight=0.5, sigma=0.0)"), None)
    assert "`weight=0.5`" in card
    assert "`sigma=0.0`" in card
    # Those left at their defaults too, which the method's own text omits.
    assert f"`every={R3F().every}`" in card
    assert f"`noise={R3F().noise!r}`" in card


def test_scores_and_the_spread_over_seeds(best, made, normal):
    card = flat(model_card(best, made, normal))
    assert "| `test` | `accuracy` | 71.1 |" in card
    assert "| `test` | `f1` | – |" in card
    assert "The best constant prediction scores 52.7." in card
    # By hand from the five scores of r3f.
    assert "(5 runs): mean ± standard deviation 70.4 ± 1.1, worst to best 69.0–72.0" in card
    assert "best of 10 runs" in card


def test_optimism_is_told_with_its_reason(best, made, normal):
    apart = flat(model_card(best, made, normal))
    same = flat(model_card(best.model_copy(update={"optimistic": True}), made, normal))
    assert "optimistic" not in apart
    assert "chosen by its 74.0 points on rows apart from those that score it" in apart
    assert "**The score is optimistic.**" in same
    assert "chosen by the very rows that score it" in same
    assert "70.4, says better what to expect" in same


def test_a_single_run_claims_nothing_about_luck(made):
    card = flat(model_card(None, made, None))
    assert "single run" in card
    assert "optimistic" not in card
    assert "best of" not in card


def test_further_splits_are_scored_too(made):
    made.extra_metrics = {"ood": {"accuracy": 0.61}}
    assert "| `ood` | `accuracy` | 61.0 |" in flat(model_card(None, made, None))


def test_labels_come_from_the_study_else_from_the_configuration(best, made, normal):
    assert "Labels, in the order of the outputs: `entailment`, `not_entailment`." in model_card(best, made, normal)
    assert "`id2label`" in model_card(None, made, None)


def test_a_folder_s_path_stays_private(made, tmp_path):
    folder = tmp_path / "my-encoder"
    folder.mkdir()
    data = tmp_path / "tickets.csv"
    data.touch()
    spec_task = made.spec.task.model_copy(update={"source": str(data)})
    card = model_card(None, with_spec(made, model=str(folder), task=spec_task), None)
    assert str(tmp_path) not in card
    assert "my-encoder" in card
    assert not {"base_model", "datasets"} & set(front(card))


def test_the_packaged_model_is_named_as_on_the_hub(made):
    assert front(model_card(None, with_spec(made, model="minilm"), None))["base_model"].endswith("/all-MiniLM-L6-v2")


def test_licences_are_not_invented(made):
    card = model_card(None, made, None)
    assert front(card)["license"] == "unknown"
    assert "No licence was given" in card


def test_user_strings_break_neither_front_matter_nor_text(best):
    made = record("r3f", 0, NASTY, scored_split=NASTY, metrics={NASTY: 0.5}, device=NASTY)
    made = with_spec(made, model=NASTY, task=made.spec.task.model_copy(update={"source": NASTY}))
    rows = [row(NASTY, "vanilla", (1.0, 2.0, 3.0)), row(NASTY, "r3f", (1.0, 2.0, 3.0), (1.0, 2.0, 3.0))]
    card = model_card(best, made, summary(rows, [task(NASTY, labels=[NASTY])]))
    assert front(card)["metrics"] == [NASTY.replace("\n", " ")]
    body = card.split("\n---\n\n", 1)[1]
    tags = set(re.findall(r"<(/?\w+)", MarkdownIt("commonmark").enable("table").render(body)))
    assert not tags & {"script", "a", "hr", "img"}


@pytest.mark.slow
@pytest.mark.parametrize("regression", [False, True])
@pytest.mark.parametrize("pair", [False, True])
def test_the_code_in_the_card_runs_on_the_saved_model(regression, pair, made, tmp_path, monkeypatch):
    import tokenizers
    import transformers

    words = {word: i for i, word in enumerate(["[PAD]", "[UNK]", "A", "text", "."])}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]"
    ).save_pretrained(tmp_path)
    labels = {} if regression else {"id2label": {0: "cat", 1: "dog"}, "label2id": {"cat": 0, "dog": 1}}
    config = transformers.DistilBertConfig(
        vocab_size=len(words), dim=8, hidden_dim=8, n_layers=1, n_heads=2, num_labels=1 if regression else 2, **labels
    )
    transformers.DistilBertForSequenceClassification(config).save_pretrained(tmp_path)

    changes = {"source": "mine.csv", "kind": "regression" if regression else None, "text_pair": "b" if pair else None}
    card = model_card(None, with_spec(made, task=made.spec.task.model_copy(update=changes)), None)
    (code,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    assert ("second text" in code) == pair
    monkeypatch.chdir(tmp_path)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "card", "exec"), {})
    (answer,) = yaml.safe_load(printed.getvalue())
    assert isinstance(answer, float) if regression else answer in ("cat", "dog")


def test_a_comparison_that_dropout_confounds_says_so(best, made):
    rows = [row("rte", "vanilla", (66.0, 70.0, 68.0)), row("rte", "dps", (70.0, 71.0, 69.0), (66.0, 70.0, 68.0))]
    card = flat(model_card(best, with_spec(made, method="dps"), summary(rows, [task()])))
    assert "dps trains without dropout and the baseline vanilla with the model's own dropout" in card
    assert card.count("add vanilla(dropout=0.0) to the methods") == 1
