"""Texts of the tiny models' words, whose class one can tell."""

import random

from tiny import WORDS


def write_tickets(path, rows=60, labels=("cold", "warm"), seed=0):
    """Write texts and labels in turn as a CSV; a text of class k holds the k-th word twice."""
    draw = random.Random(seed)
    lines = ["text,label"]
    for row in range(rows):
        label = row % len(labels)
        words = [draw.choice(WORDS) for _ in range(draw.randint(4, 10))] + [WORDS[label]] * 2
        draw.shuffle(words)
        lines.append(f"{' '.join(words)},{labels[label]}")
    path.write_text("\n".join(lines) + "\n")
    return path
