"""Where the tiny models make their logits, and sizes for further ones."""

LAST = {
    "bert": "classifier",
    "roberta": "classifier.out_proj",
    "deberta_v3": "classifier",
    "distilbert": "classifier",
    "electra": "classifier.out_proj",
    "modernbert": "classifier",
    "gpt2": "score",
    "llama": "score",
    "bart": "classification_head.out_proj",
    "t5": "classification_head.out_proj",
}
SIZES = {"vocab_size": 97, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 48}
CALM = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
