"""What a saved model is called, and the lines that load it, by the task model of its run."""

from holdfast.records.run import WRITERS, RunRecord
from holdfast.tasks.catalogue import NAMED

_WHAT = {
    "TokenClassifier": "A tagger of words",
    "MultipleChoice": "A model for multiple choice",
    "Seq2Seq": "A model that writes a text from a text",
    "EncoderDecoder": "A model, its encoder and decoder made of one encoder, that writes a text from a text",
    "CausalLM": "A language model that answers prompts",
}
_PIPELINES = {
    "TokenClassifier": "token-classification",
    "MultipleChoice": "multiple-choice",
    "CausalLM": "text-generation",
}
_CLASSES = {
    "TokenClassifier": "AutoModelForTokenClassification",
    "MultipleChoice": "AutoModelForMultipleChoice",
    "Seq2Seq": "AutoModelForSeq2SeqLM",
    "EncoderDecoder": "AutoModelForSeq2SeqLM",
    "CausalLM": "AutoModelForCausalLM",
}


def what(record: RunRecord, regression: bool) -> str:
    """Return what the model is, to begin a sentence with."""
    return _WHAT.get(record.form) or ("A text regression model" if regression else "A text classifier")


def pipeline_tag(record: RunRecord) -> str:
    """Return the hub's name for what the model does."""
    if record.form in ("Seq2Seq", "EncoderDecoder"):
        # All named tasks that ask for a text ask for a summary.
        return "summarization" if record.spec.task.source in NAMED else "text2text-generation"
    return _PIPELINES.get(record.form, "text-classification")


def loading(record: RunRecord, regression: bool, paired: bool) -> str:
    """Return Python that loads the model from its folder and runs it on a text, or with ``paired`` on two."""
    trust = ", trust_remote_code=True" if record.spec.remote_code else ""
    side = ', padding_side="left"' if record.form == "CausalLM" else ""
    kind = _CLASSES.get(record.form, "AutoModelForSequenceClassification")
    return f"""import torch
from transformers import {kind}, AutoTokenizer

folder = "."  # this folder, or its name on the hub
tokenizer = AutoTokenizer.from_pretrained(folder{side}{trust})
model = {kind}.from_pretrained(folder{trust}).eval()

{_use(record, regression, paired)}"""


def _use(record: RunRecord, regression: bool, paired: bool) -> str:
    length = record.spec.settings.max_length
    cut = f'truncation=True, max_length={length}, padding=True, return_tensors="pt"'
    if record.form in WRITERS:
        # What was read is part of what a decoder returns.
        text, start = ("A prompt.\\n", "inputs.input_ids.shape[1]") if record.form == "CausalLM" else ("A text.", "")
        written = f"written[:, {start} :]" if start else "written"
        return f"""inputs = tokenizer(["{text}"], {cut})
with torch.no_grad():
    written = model.generate(inputs.input_ids, attention_mask=inputs.attention_mask)
print(tokenizer.batch_decode({written}, skip_special_tokens=True))"""
    if record.form == "TokenClassifier":
        return f"""words = ["A", "text", "."]
inputs = tokenizer([words], is_split_into_words=True, {cut})
with torch.no_grad():
    classes = model(**inputs).logits[0].argmax(-1).tolist()
places = inputs.word_ids(0)
# A word has the class of its first token.
print([model.config.id2label[classes[places.index(word)]] for word in range(len(words))])"""
    if record.form == "MultipleChoice":
        return f"""text, choices = "A text.", ["One choice.", "Another one."]
inputs = tokenizer([text] * len(choices), choices, {cut})
with torch.no_grad():
    logits = model(**{{name: value[None] for name, value in inputs.items()}}).logits
print(choices[logits.argmax(-1).item()])"""
    answer = (
        "logits.squeeze(-1).tolist()"
        if regression
        else "[model.config.id2label[i] for i in logits.argmax(-1).tolist()]"
    )
    texts = '["A first text."], ["Its second text."]' if paired else '["A text."]'
    return f"""inputs = tokenizer(
    {texts}, {cut}
)
with torch.no_grad():
    logits = model(**inputs).logits
print({answer})"""
