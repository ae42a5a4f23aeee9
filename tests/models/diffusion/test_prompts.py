"""Warnings about truncated prompts, and about negative prompts without guidance."""

from __future__ import annotations

import pytest

from benchmarks.stable_diffusion_sizes import tiny_overrides
from conf import compose_settings
from pipeline.datatypes.appearance import Appearance
from pipeline.models.diffusion.loading import key_of, load_parts
from pipeline.models.diffusion.prompts import unread
from pipeline.models.registry import make_generator
from pipeline.settings import DiffusionSettings


def _told(preset: str, appearance: Appearance, *overrides: str) -> tuple[str, ...]:
    return make_generator(compose_settings(preset, (*tiny_overrides(preset), *overrides)).generate).prepare(appearance)


def test_a_short_prompt_is_read_completely_without_a_warning() -> None:
    assert _told("fast", Appearance("a dancer")) == ()


@pytest.mark.parametrize("preset", ["fast", "high"])
def test_the_ignored_end_of_a_long_prompt_is_named(preset: str) -> None:
    # The tests' tokenizer reads letters: 60 of them fit, with the tokens at both ends, and 20 more do not.
    words = "abcdefghij " * 8 + "unreadword"
    (told,) = _told(preset, Appearance(words))
    assert told.startswith("the prompt is longer than the 77 tokens") and "unreadword" in told
    assert told.count("abcdefghij") == 1


def test_read_and_ignored_words_make_up_the_prompt() -> None:
    settings = compose_settings("fast", tiny_overrides("fast")).generate
    assert isinstance(settings, DiffusionSettings)
    tokenizer = load_parts(key_of(settings)).pipeline.tokenizer
    words = " ".join(f"word{n}" for n in range(40))
    lost = unread(words, tokenizer, 77)
    kept = words.removesuffix(lost)
    assert words == kept + lost and len(tokenizer(kept).input_ids) <= 77
    assert len(tokenizer(kept + lost.split()[0]).input_ids) > 77
    assert unread("short", tokenizer, 77) == ""


def test_a_negative_prompt_without_guidance_causes_a_warning() -> None:
    appearance = Appearance("a dancer", negative_prompt="blurry")
    (told,) = _told("fast", appearance)
    assert "negative_prompt has no effect" in told
    assert _told("high", appearance) == ()
    long = Appearance("a dancer", negative_prompt="abcdefghij " * 9)
    assert any("the negative_prompt is longer" in told for told in _told("high", long))
    assert not any("longer" in told for told in _told("fast", long))
