"""ROUGE: how many words, or pairs of words, a written text shares with what was to be written."""

from collections.abc import Sequence


def rouge(written: Sequence[str], accepted: Sequence[Sequence[str]], metrics: Sequence[str]) -> dict[str, float | None]:
    """Return the mean F1 over the texts, in 0 to 1, of each of ``metrics``.

    ``rouge1`` and ``rouge2`` count words and pairs of words, ``rougeL`` takes the longest common subsequence of words,
    ``rougeLsum`` that of every line. ``accepted``: of each text all that count as right; the best of them is taken, for
    each metric by itself. As the library rouge-score computes it (Lin 2004), with Porter's stemmer: lower-cased, words
    of Latin letters and digits alone; an empty text scores 0. None where there are no texts.
    """
    from rouge_score.rouge_scorer import RougeScorer

    if not len(written):
        return dict.fromkeys(metrics)
    scorer = RougeScorer(list(metrics), use_stemmer=True)
    scores = [scorer.score_multi(right, text) for text, right in zip(written, accepted, strict=True)]
    return {name: sum(float(score[name].fmeasure) for score in scores) / len(scores) for name in metrics}
