"""The contract of every generator: one suite over the mannequin, the fake and the diffusion ones.

The diffusion generators are the real classes at tiny sizes with random weights. A new generator is one row more.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from conf import compose_settings
from pipeline.datatypes.appearance import Appearance
from pipeline.datatypes.plan import Presence
from pipeline.datatypes.survey import Person
from pipeline.datatypes.window import Layer, Window
from pipeline.errors import Cancelled
from pipeline.joints import NUM_JOINTS, NUM_SKELETON
from pipeline.models.fakes import IdentityGenerator
from pipeline.models.interfaces import Generator
from pipeline.models.mannequin.figure import load_figure
from pipeline.models.mannequin.skeleton import relaxed_skeleton
from pipeline.models.registry import make_generator
from pipeline.models.weights.folder import weight_path

_SIZE_WH = (64, 128)
_ON_CPU = ("generate.device=cpu", f"generate.crop_size_wh=[{_SIZE_WH[0]},{_SIZE_WH[1]}]")


def _mannequin() -> Generator:
    return make_generator(compose_settings("preview").generate)


def _fake() -> Generator:
    return IdentityGenerator()


def _sd15() -> Generator:
    return make_generator(compose_settings("fast", _ON_CPU).generate)


def _animatediff() -> Generator:
    return make_generator(compose_settings("balanced", (*_ON_CPU, "generate.face_px=64", "generate.steps=3")).generate)


def _vace() -> Generator:
    return make_generator(compose_settings("wan", (*_ON_CPU, "generate.steps=2")).generate)


def _wan_animate() -> Generator:
    return make_generator(compose_settings("ultra", (*_ON_CPU, "generate.steps=2")).generate)


_GENERATORS: dict[str, Callable[[], Generator]] = {
    "mannequin": _mannequin,
    "fake": _fake,
    "sd15": _sd15,
    "animatediff": _animatediff,
    "vace": _vace,
    "wan_animate": _wan_animate,
}
_WITH_TORCH = ("sd15", "animatediff", "vace", "wan_animate")


@pytest.fixture(params=_GENERATORS)
def generator(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Generator:
    """A prepared generator."""
    if request.param in _WITH_TORCH:
        weights: Path = request.getfixturevalue("tiny_weights")
        monkeypatch.setenv("UNDERSTUDY_WEIGHTS", str(weights))
    made = _GENERATORS[request.param]()
    made.prepare(_appearance())
    return made


def _appearance() -> Appearance:
    """A prompt, and a reference picture: one generator does not work without."""
    picture = np.full((100, 60, 3), 200, np.uint8)
    mask = np.zeros((100, 60), np.bool_)
    mask[10:90, 20:40] = True
    picture[mask] = 150, 60, 30
    joints = np.full((NUM_JOINTS, 3), np.nan, np.float32)
    skeleton = np.full((NUM_SKELETON, 3), np.nan, np.float32)
    person = Person(np.array([20.0, 10.0, 40.0, 90.0]), 0.9, joints, skeleton, mask)
    return Appearance("a dancer", reference=picture, reference_person=person)


def _window(generator: Generator, frames: int, presence: list[Presence] | None = None) -> Window:
    """Return a window in which somebody stands and sways; every input differs from frame to frame."""
    width, height = _SIZE_WH
    rng = np.random.default_rng(3)
    standing = relaxed_skeleton(load_figure(weight_path("figure.npz"), "auto")) * 90.0
    sway = np.sin(np.arange(frames) / 3)[:, None]
    skeletons = np.repeat(standing[None], frames, axis=0)
    skeletons[..., 0] += width / 2 + 3 * sway
    skeletons[..., 1] += 115.0
    joints = np.full((frames, NUM_JOINTS, 3), 0.9, np.float32)
    joints[..., :2] = skeletons[:, :NUM_JOINTS, :2]
    masks = np.zeros((frames, height, width), np.bool_)
    for number in range(frames):
        left = 20 + number % 3
        masks[number, 20:120, left : left + 24] = True
    pictures = rng.integers(0, 255, (frames, height, width, 3), np.uint8)
    return Window(
        start=0,
        size_wh=_SIZE_WH,
        pts_seconds=np.arange(frames) / 30,
        joints=joints,
        skeletons=skeletons.astype(np.float32),
        planted=np.zeros((frames, 2), np.bool_),
        body_height_px=np.full(frames, 90.0),
        presence=np.array(presence or [Presence.FOUND] * frames, np.uint8),
        pictures=pictures,
        plates=rng.integers(0, 255, (frames, height, width, 3), np.uint8),
        masks=masks,
        controls={name: rng.integers(0, 255, pictures.shape, np.uint8) for name in generator.needs.controls},
    )


def _layers(generator: Generator, window: Window, seed: int = 1) -> list[Layer]:
    return list(generator.generate(window, seed, lambda: None))


def _is_same(first: list[Layer], second: list[Layer]) -> bool:
    pairs = list(zip(first, second, strict=True))
    return all(np.array_equal(a.picture, b.picture) and np.array_equal(a.alpha, b.alpha) for a, b in pairs)


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_one_layer_for_each_frame_with_its_shape_and_type(generator: Generator, frames: int) -> None:
    width, height = _SIZE_WH
    layers = _layers(generator, _window(generator, frames))
    assert len(layers) == frames
    for layer in layers:
        assert layer.picture.shape == (height, width, 3) and layer.picture.dtype == np.uint8
        assert (layer.alpha is not None) == (generator.needs.output == "layers")
        if layer.alpha is not None:
            assert layer.alpha.shape == (height, width) and layer.alpha.dtype == np.uint8
        if layer.joints is not None:
            assert layer.joints.shape == (NUM_JOINTS, 3) and layer.joints.dtype == np.float32


# Frames of a motion module depend on each other: there is no layer of a frame alone.
@pytest.mark.parametrize("generator", ["mannequin", "fake", "sd15"], indirect=True)
def test_layers_come_in_the_order_of_the_frames(generator: Generator) -> None:
    window = _window(generator, 3)
    turned = replace(
        window,
        joints=window.joints[::-1],
        skeletons=window.skeletons[::-1],
        pictures=None if window.pictures is None else window.pictures[::-1],
        plates=None if window.plates is None else window.plates[::-1],
        masks=None if window.masks is None else window.masks[::-1],
        controls={name: pictures[::-1] for name, pictures in window.controls.items()},
    )
    first, last = _layers(generator, window)[0], _layers(generator, turned)[-1]
    moved = _layers(generator, turned)[0]
    assert not np.array_equal(first.picture, moved.picture)
    # Noise of a diffusion generator may depend on the frame's position: nearer to its own frame than to another.
    own = np.abs(first.picture.astype(int) - last.picture).mean()
    other = np.abs(first.picture.astype(int) - moved.picture).mean()
    assert own < other


def test_same_window_and_seed_give_the_same_layers(generator: Generator) -> None:
    window = _window(generator, 3)
    assert _is_same(_layers(generator, window), _layers(generator, window))


# The fake returns the source's own mask in any case.
@pytest.mark.parametrize("generator", ["mannequin", "sd15", "animatediff", "vace", "wan_animate"], indirect=True)
def test_no_person_is_drawn_where_the_subject_is_absent(generator: Generator) -> None:
    layers = _layers(generator, _window(generator, 3, [Presence.FOUND, Presence.ABSENT, Presence.FOUND]))
    absent = layers[1]
    assert absent.alpha is not None and not absent.alpha.any()


def test_inputs_are_not_modified(generator: Generator) -> None:
    window = _window(generator, 3)
    before = copy.deepcopy(window)
    _layers(generator, window)
    for name in ("joints", "skeletons", "pictures", "plates", "masks", "presence", "body_height_px"):
        assert np.array_equal(getattr(window, name), getattr(before, name)), name
    for name, pictures in window.controls.items():
        assert np.array_equal(pictures, before.controls[name]), name


def test_with_less_memory_the_layers_are_the_same_up_to_rounding(generator: Generator) -> None:
    window = _window(generator, 4)
    expected = _layers(generator, window)
    if not generator.use_less_memory():
        assert _is_same(expected, _layers(generator, window))
        return
    for before, after in zip(expected, _layers(generator, window), strict=True):
        assert np.abs(before.picture.astype(int) - after.picture).max() <= 1


def test_a_raised_check_stops_it(generator: Generator) -> None:
    def stop() -> None:
        raise Cancelled("enough")

    with pytest.raises(Cancelled):
        list(generator.generate(_window(generator, 3), 1, stop))


def test_after_releasing_memory_the_layers_are_the_same(generator: Generator) -> None:
    window = _window(generator, 2)
    before = _layers(generator, window)
    generator.rest()
    assert _is_same(before, _layers(generator, window))
