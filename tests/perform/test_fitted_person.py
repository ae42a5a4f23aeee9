"""The fitted person is a checkpoint: a second run takes it over and fits nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.datatypes.appearance import Appearance
from pipeline.draw_chunk import files_to_draw_from
from pipeline.models.fakes import IdentityGenerator
from pipeline.models.loaded import LoadedModels
from pipeline.perform.backends import FITTED, prepare_models
from pipeline.settings import Settings
from tests.support.models import models_with

REFERENCE = np.full((40, 20, 3), 90, np.uint8)


@dataclass(frozen=True)
class Fitted:
    """What the test's generator makes of a picture."""

    colors: NDArray[np.float32]
    warnings: tuple[str, ...]


class Fitting(IdentityGenerator):
    """A generator that fits, and counts how often."""

    def __init__(self) -> None:
        super().__init__()
        self.fits = 0
        self.person: object = Fitted(np.zeros(3, np.float32), ())

    def prepare(self, appearance: Appearance) -> tuple[str, ...]:
        self.fits += 1
        return self.become(Fitted(np.random.default_rng(1).random(3).astype(np.float32), ("only colors",)))

    def become(self, person: object) -> tuple[str, ...]:
        assert isinstance(person, Fitted)
        self.person = person
        return person.warnings


def models() -> tuple[Fitting, LoadedModels]:
    generator = Fitting()
    return generator, models_with(generator, Settings())


def test_a_second_run_does_not_fit_again(tmp_path: Path) -> None:
    first, loaded = models()
    assert prepare_models(loaded, Appearance(reference=REFERENCE), tmp_path) == ("only colors",)
    again, loaded = models()
    assert prepare_models(loaded, Appearance(reference=REFERENCE), tmp_path) == ("only colors",)
    assert (first.fits, again.fits) == (1, 0)
    assert isinstance(first.person, Fitted) and isinstance(again.person, Fitted)
    assert np.array_equal(first.person.colors, again.person.colors)


def test_workers_that_share_a_job_get_the_fitted_person(tmp_path: Path) -> None:
    _, loaded = models()
    prepare_models(loaded, Appearance(reference=REFERENCE), tmp_path)
    assert tmp_path / FITTED in files_to_draw_from(tmp_path, 1, with_plates=False)


def test_a_damaged_file_is_fitted_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _, loaded = models()
    prepare_models(loaded, Appearance(reference=REFERENCE), tmp_path)
    whole = (tmp_path / FITTED).read_bytes()
    (tmp_path / FITTED).write_bytes(whole[: len(whole) // 2])
    again, loaded = models()
    prepare_models(loaded, Appearance(reference=REFERENCE), tmp_path)
    assert again.fits == 1
    assert (tmp_path / FITTED).read_bytes() == whole


def test_a_prompt_alone_leaves_no_file(tmp_path: Path) -> None:
    generator, loaded = models()
    prepare_models(loaded, Appearance("a man"), tmp_path)
    prepare_models(loaded, Appearance("a man"), tmp_path)
    assert generator.fits == 2 and not (tmp_path / FITTED).exists()
