"""The words that generated text is made of, all of which the tiny models' tokenizer knows."""

import re

_TEXT = """
a the this that one two man woman child dog bird house river road city market letter story film song game
reads writes sees finds keeps loses opens closes likes wants old new small large red green quiet loud
today again never often here there and or not with
"""
WORDS = re.findall(r"\w+", _TEXT)
