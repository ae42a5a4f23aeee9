"""Warn about prompt words that a text encoder truncates."""

from __future__ import annotations

from typing import Any

from pipeline.datatypes.appearance import Appearance

_SHOWN_CHARACTERS = 40


def prompt_warnings(appearance: Appearance, tokenizer: Any, most_tokens: int, guidance: float) -> tuple[str, ...]:
    """Return a warning for each prompt of the caller that is truncated, and for a negative one without effect.

    ``most_tokens`` is the encoder's limit, including start and end tokens. Without guidance a negative prompt is
    ignored.
    """
    told = []
    for name, words in (("prompt", appearance.prompt), ("negative_prompt", appearance.negative_prompt)):
        if name == "negative_prompt" and guidance <= 1:
            continue
        lost = unread(words, tokenizer, most_tokens)
        if lost:
            told.append(f"the {name} is longer than the {most_tokens} tokens that are read; not read: {_short(lost)}")
    if appearance.negative_prompt.strip() and guidance <= 1:
        told.append("the negative_prompt has no effect: generate.guidance is 1, and only more than that uses it")
    return tuple(told)


def unread(words: str, tokenizer: Any, most_tokens: int) -> str:
    """Return the words after the last token that is read; empty where all are."""
    if _num_tokens(words, tokenizer) <= most_tokens:
        return ""
    kept = words.split()
    low, high = 0, len(kept)
    while low < high:
        middle = (low + high + 1) // 2
        if _num_tokens(" ".join(kept[:middle]), tokenizer) <= most_tokens:
            low = middle
        else:
            high = middle - 1
    return " ".join(kept[low:])


def _num_tokens(words: str, tokenizer: Any) -> int:
    return len(tokenizer(words, truncation=False, verbose=False).input_ids)


def _short(words: str) -> str:
    return words if len(words) <= _SHOWN_CHARACTERS else words[:_SHOWN_CHARACTERS].rstrip() + " …"
