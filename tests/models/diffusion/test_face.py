"""Faces: the second image prompt, and the extra pass that generates them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.stable_diffusion_sizes import tiny_overrides
from conf import compose_settings
from pipeline.datatypes.appearance import Appearance
from pipeline.datatypes.window import Window
from pipeline.joints import JOINT
from pipeline.maths.head import face_is_seen, head_square
from pipeline.models.diffusion import face_pass
from pipeline.models.diffusion.conditioner import Conditioner
from pipeline.models.diffusion.face_pass import faces_painted_again
from pipeline.models.diffusion.loading import key_of, load_parts
from pipeline.models.diffusion.reference_crop import framed_face, framed_reference
from tests.models.diffusion.person import person_in_reference

_WH = (64, 128)
_HEAD = (32.0, 30.0)


def _conditioner(preset: str = "balanced", appearance: Appearance | None = None) -> Conditioner:
    settings = compose_settings(preset, tiny_overrides(preset)).generate
    made = Conditioner(load_parts(key_of(settings)), settings)
    made.prepare(appearance or Appearance("a dancer"))
    return made


def _window(frames: int, away: tuple[int, ...] = ()) -> Window:
    """Somebody of 120 px with the head at ``_HEAD``, who in some frames faces away."""
    joints = np.full((frames, 21, 3), np.nan, np.float32)
    joints[..., 2] = 0
    for name, x in (("nose", 0), ("left_eye", 2), ("right_eye", -2), ("left_ear", 4), ("right_ear", -4)):
        joints[:, JOINT[name]] = _HEAD[0] + x, _HEAD[1], 0.9
    skeletons = np.zeros((frames, 23, 3), np.float32)
    skeletons[:, JOINT["nose"], 2] = -3
    skeletons[list(away), JOINT["nose"], 2] = 3
    return Window(
        start=0,
        size_wh=_WH,
        pts_seconds=np.arange(frames) / 30,
        joints=joints,
        skeletons=skeletons,
        planted=np.zeros((frames, 2), np.bool_),
        body_height_px=np.full(frames, 120.0),
        presence=np.full(frames, 2, np.uint8),
    )


def _pictures(frames: int) -> np.ndarray:
    y, x = np.mgrid[: _WH[1], : _WH[0]]
    smooth = 128 + 60 * np.sin(x / 9) + 50 * np.cos(y / 11)
    return np.stack([np.stack([smooth + 3 * i, smooth, 255 - smooth], axis=-1) for i in range(frames)]).astype(np.uint8)


def test_only_visible_faces_are_generated_and_nothing_beside_them() -> None:
    pictures = _pictures(4)
    window = _window(4, away=(2,))
    made = faces_painted_again(_conditioner(), 64, window, range(4), pictures, 1, lambda: None)
    changed = np.abs(made.astype(int) - pictures).max(axis=-1) > 0
    assert changed[[0, 1, 3]].any(axis=(1, 2)).all() and not changed[2].any()
    rows, columns = np.nonzero(changed[0])
    x, y, side = head_square(window.joints[0], 120.0, 2.2)
    assert x - side / 2 <= columns.min() and columns.max() <= x + side / 2
    assert y - side / 2 <= rows.min() and rows.max() <= y + side / 2
    middle = made[0, int(y), int(x)].astype(int) - pictures[0, int(y), int(x)]
    assert np.abs(middle).max() > 5
    # The same again, and another face with another seed.
    again = faces_painted_again(_conditioner(), 64, window, range(4), pictures, 1, lambda: None)
    other = faces_painted_again(_conditioner(), 64, window, range(4), pictures, 2, lambda: None)
    assert np.array_equal(made, again) and not np.array_equal(made, other)


def test_a_face_goes_back_to_where_it_was_taken_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """With an autoencoder and a denoiser that change nothing the picture comes back, up to resampling."""
    taken: list[np.ndarray] = []

    def keep(parts: Any, crops: np.ndarray, batch: int, check: Any) -> torch.Tensor:
        taken.append(crops)
        return torch.zeros(len(crops), 4, 8, 8)

    monkeypatch.setattr(face_pass, "encode", keep)
    monkeypatch.setattr(face_pass, "denoise", lambda parts, conditioning, task, check: task.start)
    monkeypatch.setattr(face_pass, "decode", lambda parts, latents, batch, check: taken[0])
    pictures = _pictures(2)
    made = faces_painted_again(_conditioner(), 64, _window(2), range(2), pictures, 1, lambda: None)
    assert np.abs(made.astype(int) - pictures).max() <= 3
    # A wrong position would be noticed: the crop differs a few px away.
    moved = replace(_window(2), joints=_window(2).joints + np.array([5, 0, 0], np.float32))
    beside = faces_painted_again(_conditioner(), 64, moved, range(2), pictures, 1, lambda: None)
    assert np.abs(beside.astype(int) - pictures).max() > 3


def test_the_face_prompts_its_own_pass_and_the_figure_prompts_the_rest() -> None:
    appearance = _reference_with_face()
    conditioner = _conditioner("balanced", appearance)
    seen: list[Any] = []
    real = conditioner.parts.pipeline.set_ip_adapter_scale
    conditioner.parts.pipeline.set_ip_adapter_scale = lambda scales: (seen.append(scales), real(scales))
    try:
        faces_painted_again(conditioner, 64, _window(1), range(1), _pictures(1), 1, lambda: None)
    finally:
        conditioner.parts.pipeline.set_ip_adapter_scale = real
    assert seen == [[0.0, 0.8], [0.6, 0.5]]
    scales = {tuple(p.scale) for p in conditioner.parts.unet.attn_processors.values() if hasattr(p, "scale")}
    assert scales == {(0.6, 0.5)}


def test_a_reference_without_a_face_has_no_weight_for_it_and_fast_has_one_adapter() -> None:
    conditioner = _conditioner("balanced", person_in_reference((200, 40, 40)))
    assert conditioner._scales == [0.6, 0.0] and len(conditioner.conditioning.image) == 2
    assert len(_conditioner("fast").conditioning.image) == 1


def test_another_face_makes_another_picture() -> None:
    pictures = _pictures(1)
    window = _window(1)
    red = faces_painted_again(
        _conditioner("balanced", _reference_with_face((220, 30, 30))), 64, window, range(1), pictures, 1, lambda: None
    )
    blue = faces_painted_again(
        _conditioner("balanced", _reference_with_face((30, 30, 220))), 64, window, range(1), pictures, 1, lambda: None
    )
    assert not np.array_equal(red, blue)


def _reference_with_face(color: tuple[int, int, int] = (210, 160, 130)) -> Appearance:
    """The body in one color, the head in another, with its joints."""
    appearance = person_in_reference((40, 40, 120))
    assert appearance.reference is not None and appearance.reference_person is not None
    picture = appearance.reference.copy()
    picture[20:43, 40:60] = color
    joints = appearance.reference_person.joints.copy()
    for name, x, y in (
        ("nose", 50, 33),
        ("left_eye", 53, 30),
        ("right_eye", 47, 30),
        ("left_shoulder", 62, 50),
        ("right_shoulder", 38, 50),
    ):
        joints[JOINT[name]] = x, y, 0.9
    return replace(appearance, reference=picture, reference_person=replace(appearance.reference_person, joints=joints))


def test_the_face_of_the_reference_fills_its_square() -> None:
    appearance = _reference_with_face()
    face = framed_face(appearance)
    whole = framed_reference(appearance)
    assert face is not None and whole is not None and face.shape == whole.shape == (512, 512, 3)

    def share(picture: np.ndarray) -> float:
        return float((np.abs(picture.astype(int) - (210, 160, 130)).max(axis=-1) < 12).mean())

    assert share(face) > 0.3 > 10 * share(whole)
    assert framed_face(person_in_reference((40, 40, 120))) is None


def test_a_head_that_faces_away_shows_no_face() -> None:
    window = _window(2, away=(1,))
    assert face_is_seen(window.joints[0], window.skeletons[0])
    assert not face_is_seen(window.joints[1], window.skeletons[1])
    unseen = window.joints[0].copy()
    unseen[JOINT["nose"], 2] = 0.1
    assert not face_is_seen(unseen, window.skeletons[0])
