"""Samples that are looked at again are read back as they were."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np

from pipeline.scene.kept_samples import KeptSamples
from tests.support.scene_truth import shot_at, wall


def test_a_kept_sample_is_read_back_as_it_was(tmp_path: Path) -> None:
    kept = KeptSamples(tmp_path, 1.0)
    samples = {}
    for number, x in ((3, 100.0), (6, 150.0)):
        sample = shot_at(x, wall()).sample()
        others = np.random.default_rng(number).random(sample.outside.shape) > 0.9
        samples[number] = replace(sample, others_mask=others, is_unsure=number == 3, is_veiled=number == 6)
        kept.put(number, samples[number])
    for number, sample in samples.items():
        read = kept.get(number)
        for field in fields(sample):
            if field.name not in ("view", "body"):
                assert np.array_equal(getattr(read, field.name), getattr(sample, field.name)), field.name
        for field in fields(sample.view):
            assert np.array_equal(getattr(read.view, field.name), getattr(sample.view, field.name)), field.name
        assert read.body is sample.body and read.subject_mask.dtype == np.bool_
        read.view.shown[0, 0] = 2
    assert list(tmp_path.iterdir()) == []


def test_from_the_first_sample_without_room_on_none_is_kept(tmp_path: Path) -> None:
    sample = shot_at(100.0, wall()).sample()
    kept = KeptSamples(tmp_path, 1.0, room_bytes=12 * sample.outside.size)
    for number in range(3):
        kept.put(number, sample)
    assert [number in kept for number in range(3)] == [True, False, False]
