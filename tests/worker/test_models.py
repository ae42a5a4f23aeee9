"""Models are loaded while the source is fetched, and one thread at a time loads them."""

from __future__ import annotations

import threading
import time

import pytest

from benchmarks.card_worker import RedBoxPeople
from pipeline.errors import PresetUnavailable
from pipeline.models.fakes import IdentityGenerator
from pipeline.models.loaded import LoadedModels
from pipeline.settings import Settings
from worker.models import ModelKeeper


def test_whoever_begins_to_load_goes_on_meanwhile() -> None:
    fetched = threading.Event()

    def load(settings: Settings, kept: LoadedModels | None) -> LoadedModels:
        assert fetched.wait(60)
        return LoadedModels(RedBoxPeople(), IdentityGenerator())

    models = ModelKeeper(load).begin_to_load(Settings())
    fetched.set()

    assert isinstance(models(), LoadedModels)


def test_missing_weights_are_told_before_anything_is_fetched() -> None:
    def load(settings: Settings, kept: LoadedModels | None) -> LoadedModels:
        raise PresetUnavailable("weights are missing", field="preset")

    with pytest.raises(PresetUnavailable, match="weights are missing"):
        ModelKeeper(load).begin_to_load(Settings(), refused_seconds=60)


def test_a_second_job_takes_what_the_first_one_is_loading() -> None:
    received = []

    def load(settings: Settings, kept: LoadedModels | None) -> LoadedModels:
        received.append(kept)
        time.sleep(0.3)
        return kept or LoadedModels(RedBoxPeople(), IdentityGenerator())

    keeper = ModelKeeper(load)
    first, second = keeper.begin_to_load(Settings()), keeper.begin_to_load(Settings())

    assert first() is second()
    assert received == [None, first()]


def test_what_fails_later_is_told_when_the_models_are_waited_for() -> None:
    fetched = threading.Event()

    def load(settings: Settings, kept: LoadedModels | None) -> LoadedModels:
        assert fetched.wait(60)
        raise PresetUnavailable("no card", field="preset")

    models = ModelKeeper(load).begin_to_load(Settings(), refused_seconds=0.0)
    fetched.set()

    with pytest.raises(PresetUnavailable, match="no card"):
        models()
