"""Names that the field gives to columns, in small letters."""

PAIRS = (
    ("sentence1", "sentence2"),
    ("premise", "hypothesis"),
    ("question1", "question2"),
    ("question", "sentence"),
    ("question", "passage"),
    ("text1", "text2"),
    ("text_a", "text_b"),
    ("sentence_a", "sentence_b"),
    ("query", "document"),
    ("query", "passage"),
    ("claim", "evidence"),
    ("question", "answer"),
)
"""Column names that the field uses for the two texts of a pair."""

SINGLES = ("text", "sentence", "document", "review", "content", "body", "comment", "tweet", "message", "utterance")
"""Column names that the field uses for a single text."""

LABELS = ("label", "labels", "target", "class", "category", "gold_label", "sentiment", "intent", "score", "y")
"""Column names that the field uses for the label."""

FURTHER_LABELS = ("stance", "rating", "stars", "emotion", "topic", "polarity", "tag", "intention", "verdict", "grade")
"""Column names that a label also has, each of them less often."""

DECISIVE = ("label", "labels", "class", "gold_label", "y")
"""Names that nothing but the label has; a target may as well be what a text is about."""

FURTHER_TEXTS = (
    *("title", "headline", "subject", "summary", "context", "query", "question", "prompt"),
    *("aspect", "aspect_term", "term", "target", "entity", "topic", "premise", "hypothesis", "claim"),
)
"""Column names of texts that stand beside another, and may be part of what is to be judged."""

ROW_NAMES = ("idx", "id", "guid", "index", "", "unnamed: 0", "__index_level_0__")
"""Columns that name rows; never a text or a label unless the user says so."""

WORDS = ("tokens", "words")
"""Column names that the field uses for lists of words."""

KNOWN = frozenset((*LABELS, *SINGLES, *(name for pair in PAIRS for name in pair), *ROW_NAMES)) - {""}
"""All names, in small letters, that tell what a column of texts, classes or row names holds."""
