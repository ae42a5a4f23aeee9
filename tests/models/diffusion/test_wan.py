"""Wan's video models: the real pipelines at tiny sizes, and their inputs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import WanVACEPipeline
from diffusers.pipelines.wan import pipeline_wan_vace
from transformers import AutoTokenizer, UMT5EncoderModel

from benchmarks.random_wan import PUBLISHED_WAN, animate_transformer, vace_transformer
from conf import compose_settings
from pipeline.datatypes.appearance import Appearance
from pipeline.datatypes.window import FigureGuide, Layer, Window
from pipeline.errors import GpuError, InvalidInput
from pipeline.models.diffusion import wan_loading
from pipeline.models.diffusion.vace import Vace
from pipeline.models.diffusion.wan_animate import WanAnimate, places_at_rate
from pipeline.models.diffusion.wan_loading import encode_prompts, key_of
from pipeline.models.diffusion.wan_window import layers_of
from pipeline.models.registry import make_generator
from pipeline.perform.controls import ControlPictures
from tests.models.diffusion.person import person_in_reference

_WH = (64, 128)
_CPU = ("generate.device=cpu", f"generate.crop_size_wh=[{_WH[0]},{_WH[1]}]", "generate.steps=2")
_RED = (220, 30, 30)


def _window(frames: int, finished: tuple[Layer, ...] = (), fps: float = 30.0) -> Window:
    rng = np.random.default_rng(3)
    masks = np.zeros((frames, _WH[1], _WH[0]), np.bool_)
    joints = np.full((frames, 21, 3), 0.9, np.float32)
    depth = np.full((frames, _WH[1], _WH[0]), np.nan, np.float32)
    for i in range(frames):
        masks[i, 40:100, 24 + i % 4 : 36 + i % 4] = True
        depth[i, 44:96, 26:34] = np.linspace(-9, 9, 52)[:, None]
        joints[i, :, 0] = 30 + 4 * np.sin(np.arange(21))
        joints[i, :, 1] = np.linspace(42, 98, 21)
    layers = tuple(Layer(np.zeros((_WH[1], _WH[0], 3), np.uint8), np.zeros((_WH[1], _WH[0]), np.uint8)) for _ in depth)
    skeletons = np.zeros((frames, 23, 3), np.float32)
    skeletons[:, 0, 2] = -2
    window = Window(
        start=5,
        size_wh=_WH,
        pts_seconds=np.arange(frames) / fps,
        joints=joints,
        skeletons=skeletons,
        planted=np.zeros((frames, 2), np.bool_),
        body_height_px=np.full(frames, 70.0),
        presence=np.full(frames, 2, np.uint8),
        pictures=rng.integers(0, 255, (frames, _WH[1], _WH[0], 3), np.uint8),
        plates=rng.integers(60, 200, (frames, _WH[1], _WH[0], 3), np.uint8),
        masks=masks,
        finished=finished,
        figure=FigureGuide(layers, depth, np.zeros((*depth.shape, 3), np.float32)),
    )
    return replace(window, controls=ControlPictures(["depth", "pose", "wan_pose"]).draw(window))


def _finished(count: int) -> tuple[Layer, ...]:
    picture = np.zeros((_WH[1], _WH[0], 3), np.uint8)
    alpha = np.zeros((_WH[1], _WH[0]), np.uint8)
    picture[:] = _RED
    alpha[40:100, 24:36] = 255
    return (Layer(picture, alpha),) * count


def _prepared(preset: str, *overrides: str) -> Any:
    generator = make_generator(compose_settings(preset, (*_CPU, *overrides)).generate)
    generator.prepare(person_in_reference((200, 40, 40)))
    return generator


def _given(generator: Any, window: Window, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return what the pipeline is called with."""
    kept: dict[str, Any] = {}
    real = generator._parts.pipeline

    def spy(**more: Any) -> Any:
        kept.update(more)
        return real(**more)

    spy.transformer = real.transformer  # type: ignore[attr-defined]
    monkeypatch.setattr(generator, "_parts", replace(generator._parts, pipeline=spy))
    list(generator.generate(window, 1, lambda: None))
    return kept


def test_the_published_sizes_are_those_that_were_counted_elsewhere() -> None:
    def billions(module: torch.nn.Module) -> float:
        return sum(parameter.numel() for parameter in module.parameters()) / 1e9

    with torch.device("meta"):
        assert billions(vace_transformer(PUBLISHED_WAN)) == pytest.approx(2.15, abs=0.01)
        assert billions(animate_transformer(PUBLISHED_WAN)) == pytest.approx(15.2, abs=0.1)


def test_vace_sees_the_figure_on_gray_where_the_person_may_be_and_the_plate_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    window = _window(6, _finished(2))
    given = _given(_prepared("wan"), window, monkeypatch)
    shown, masks = ([np.asarray(picture) for picture in given[name]] for name in ("video", "mask"))
    # 4k + 1, by mirroring; the frames' order is kept.
    assert given["num_frames"] == len(shown) == len(masks) == 9
    assert np.array_equal(shown[6], shown[4]) and np.array_equal(masks[8], masks[2])
    assert window.plates is not None
    for row in (0, 1):
        # Finished frames are held: nothing is made in them, and they are the picture over its plate.
        assert not masks[row].any()
        assert (shown[row][41:99, 25:35] == _RED).all() and np.array_equal(shown[row][:10], window.plates[row][:10])
    for row in (2, 5):
        region = masks[row] > 127
        assert region[44:96, 26:34].all() and not region[:10].any()
        assert np.array_equal(shown[row][~region], window.plates[row][~region])
        drawn = window.controls["depth"][row]
        figure = drawn.any(axis=-1) & region
        assert figure.sum() > 300 and np.array_equal(shown[row][figure], drawn[figure])
        assert (shown[row][region & ~figure] == 127).all()
    (reference,) = (np.asarray(picture) for picture in given["reference_images"])
    assert (reference[0, 0] == 255).all()
    assert (reference[reference.shape[0] // 2, reference.shape[1] // 2] == (200, 40, 40)).all()


def test_animate_sees_pose_face_and_a_background_that_is_black_where_it_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    window = _window(6, _finished(1))
    given = _given(_prepared("ultra"), window, monkeypatch)
    background, masks, faces, poses = (
        [np.asarray(picture) for picture in given[name]]
        for name in ("background_video", "mask_video", "face_video", "pose_video")
    )
    assert given["segment_frame_length"] == len(background) == 9 and given["mode"] == "replace"
    # The finished frame is known completely: the first segment continues from it.
    assert not masks[0].any() and (background[0][41:99, 25:35] == _RED).all()
    region = masks[3] > 127
    assert region[44:96, 26:34].all() and not background[3][region].any()
    assert window.plates is not None and np.array_equal(background[3][~region], window.plates[3][~region])
    assert np.array_equal(poses[3], window.controls["wan_pose"][3]) and faces[3].any()
    assert (np.asarray(given["image"])[0, 0] == 0).all()


def test_an_invisible_face_is_black(monkeypatch: pytest.MonkeyPatch) -> None:
    window = _window(5)
    skeletons = window.skeletons.copy()
    skeletons[2, 0, 2] = 2
    given = _given(_prepared("ultra"), replace(window, skeletons=skeletons), monkeypatch)
    faces = [np.asarray(picture) for picture in given["face_video"]]
    assert not faces[2].any() and faces[1].any() and faces[3].any()


def test_a_slower_source_is_held_and_a_faster_one_keeps_all_its_frames() -> None:
    assert places_at_rate(np.arange(5) / 30, 30.0) == [0, 1, 2, 3, 4]
    assert places_at_rate(np.arange(4) / 15, 30.0) == [0, 2, 4, 6]
    assert places_at_rate(np.arange(5) / 60, 30.0) == [0, 1, 2, 3, 4]
    # A gap is held for a few frames alone, and the frames behind it keep their pace.
    assert places_at_rate(np.array([0, 1, 61, 62]) / 30, 30.0) == [0, 1, 5, 9]
    assert places_at_rate(np.array([0, 1 / 30, 3 / 30, 4 / 30]), 30.0) == [0, 1, 3, 4]


def test_each_source_frame_gets_the_models_frame_of_its_time() -> None:
    window = _window(4, fps=15.0)
    places = places_at_rate(window.pts_seconds, 30.0)
    frames = np.zeros((9, _WH[1], _WH[0], 3))
    frames[:] = (np.arange(9) / 10)[:, None, None, None]
    layers = layers_of(window, frames, places)
    assert [int(layer.picture[0, 0, 0]) for layer in layers] == [0, 51, 102, 153]


def test_animate_requires_a_reference_and_warns_of_a_prompt() -> None:
    generator = make_generator(compose_settings("ultra", _CPU).generate)
    with pytest.raises(InvalidInput) as error:
        generator.prepare(Appearance("a dancer"))
    assert error.value.field == "reference_image_url"
    assert any("no effect" in told for told in generator.prepare(person_in_reference((200, 40, 40))))


@pytest.mark.parametrize("preset", ["wan", "ultra"])
def test_the_next_job_is_not_made_in_tiles_because_one_ran_out_of_memory(preset: str) -> None:
    generator = _prepared(preset)
    vae = generator._parts.pipeline.vae
    for _ in range(2):
        assert not vae.use_tiling
        assert generator.use_less_memory() and not generator.use_less_memory()
        assert vae.use_tiling
        generator.prepare(person_in_reference((200, 40, 40)))


def test_the_text_encoder_is_loaded_for_a_prompt_and_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []
    real = wan_loading._loaded

    def spy(kind: Any, folder: Path, name: str, dtype: torch.dtype) -> Any:
        loaded.append(name)
        return real(kind, folder, name, dtype)

    monkeypatch.setattr(wan_loading, "_loaded", spy)
    generator = _prepared("wan")
    assert sorted(loaded) == ["text_encoder", "transformer", "vae"]
    assert generator._parts.pipeline.text_encoder is None
    kept = generator._prompt
    assert len(kept) == 2 and not torch.equal(kept[0], kept[1])
    # The same words need no encoder again; other words do, and give another prompt.
    generator.prepare(person_in_reference((200, 40, 40)))
    assert len(loaded) == 3
    generator.prepare(replace(person_in_reference((200, 40, 40)), prompt="a knight"))
    assert loaded[3:] == ["text_encoder"] and not torch.equal(generator._prompt[0], kept[0])


def test_prompts_are_encoded_as_diffusers_does(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tiny_weights / "wan_vace"
    text_encoder = UMT5EncoderModel.from_pretrained(folder, subfolder="text_encoder")
    tokenizer = AutoTokenizer.from_pretrained(folder, subfolder="tokenizer")
    theirs: Any = WanVACEPipeline(tokenizer=tokenizer, text_encoder=text_encoder, vae=None, scheduler=None)
    plain = SimpleNamespace(fix_text=lambda text: text)
    monkeypatch.setattr(pipeline_wan_vace, "ftfy", plain, raising=False)
    with torch.inference_mode():
        expected = theirs.encode_prompt("a dancer", do_classifier_free_guidance=False, max_sequence_length=512)[0]
    (made,) = encode_prompts(folder, ("a  dancer ",), "cpu", torch.float32)
    assert made.shape == expected.shape and torch.allclose(made, expected, atol=1e-6) and made.abs().max() > 0.1


@pytest.mark.parametrize(("preset", "least"), [("wan", 0.0), ("ultra", 1 / 255)])
def test_a_reference_changes_what_is_made(preset: str, least: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before rounding: with random weights the reference changes VACE's frames by less than a level."""
    window = _window(5)
    generator = _prepared(preset)
    kind: Any = type(generator._parts.pipeline)
    real = kind.__call__
    made: list[Any] = []

    def spy(*given: Any, **more: Any) -> Any:
        result = real(*given, **more)
        made.append(np.array(result.frames[0]))
        return result

    monkeypatch.setattr(kind, "__call__", spy)
    list(generator.generate(window, 1, lambda: None))
    list(generator.generate(window, 1, lambda: None))
    generator.prepare(person_in_reference((20, 40, 220)))
    list(generator.generate(window, 1, lambda: None))
    red, again, blue = made
    np.testing.assert_array_equal(red, again)
    assert np.abs(red - blue).max() > least


def test_values_that_are_not_finite_are_an_error() -> None:
    with pytest.raises(GpuError):
        layers_of(_window(5), np.full((5, _WH[1], _WH[0], 3), np.nan), range(5))


def test_wrappers_are_of_their_backends() -> None:
    for preset, kind in (("wan", Vace), ("ultra", WanAnimate)):
        settings: Any = compose_settings(preset, _CPU).generate
        assert type(make_generator(settings)) is kind and key_of(settings).dtype == "float32"
