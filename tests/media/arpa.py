"""A bigram language model of some sentences, as a file in the ARPA format."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

KEPT = 0.9
"""Of the probability after a word; the rest is for words that were not seen there."""


def words(sentence: str) -> list[str]:
    kept = "".join(each if each.isalpha() or each in "' " else " " for each in sentence.lower())
    return kept.split()


def bigrams(sentences: Iterable[str]) -> str:
    pairs: Counter[tuple[str, str]] = Counter()
    for sentence in sentences:
        said = ["<s>", *words(sentence), "</s>"]
        pairs.update(pairwise(said))
    ones: Counter[str] = Counter({"<s>": 0})
    after: Counter[str] = Counter()
    for (first, second), count in pairs.items():
        ones[second] += count
        after[first] += count
    total = sum(ones.values())
    lines = ["\\data\\", f"ngram 1={len(ones)}", f"ngram 2={len(pairs)}", "", "\\1-grams:"]
    for word, count in sorted(ones.items()):
        left = 1 - sum(
            ones[second] / total for (first, second) in pairs if first == word
        )  # what is not seen after it
        weight = math.log10((1 - KEPT) / max(left, 1e-6)) if after[word] else 0.0
        lines.append(f"{_log(count / total)} {word} {min(weight, 0.0):.4f}")
    lines += ["", "\\2-grams:"]
    for (first, second), count in sorted(pairs.items()):
        lines.append(f"{_log(KEPT * count / after[first])} {first} {second}")
    return "\n".join((*lines, "", "\\end\\", ""))


def _log(probability: float) -> str:
    return f"{math.log10(probability):.4f}" if probability else "-99"
