"""SAM 2.1's video model: the real class at a tiny size, loaded from the published layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import (
    Sam2ImageProcessor,
    Sam2VideoInferenceSession,
    Sam2VideoModel,
    Sam2VideoProcessor,
    Sam2VideoVideoProcessor,
)

from benchmarks.random_sam import PUBLISHED_SMALL, TINY_SAM, sam_config
from conf import compose_settings
from pipeline.datatypes.arrays import Picture
from pipeline.errors import PresetUnavailable
from pipeline.models.people.sam_video import SamVideo, load_sam_video
from pipeline.models.registry import make_people

_BOX = np.array([40.0, 20.0, 90.0, 110.0])
_SQUARE = (TINY_SAM.side, TINY_SAM.side)
_OTHER_BOX = np.array([100.0, 30.0, 150.0, 100.0])


def _pictures(count: int, size_wh: tuple[int, int] = (200, 120)) -> list[Picture]:
    values = np.random.default_rng(3).integers(0, 256, (count, size_wh[1], size_wh[0], 3))
    return [np.asarray(picture, np.uint8) for picture in values]


@pytest.fixture
def sam(tiny_weights: Path) -> SamVideo:
    return load_sam_video(tiny_weights / "sam2", "cpu")


def _reference(weights: Path, pictures: list[Picture]) -> list[NDArray[np.float32]]:
    """The masks' logits of the first box by the library's own session and processor, which keep every frame."""
    model = Sam2VideoModel.from_pretrained(weights / "sam2", local_files_only=True)
    size = {"height": TINY_SAM.side, "width": TINY_SAM.side}
    processor = Sam2VideoProcessor(Sam2ImageProcessor(size=size), Sam2VideoVideoProcessor(size=size), TINY_SAM.side)
    session = Sam2VideoInferenceSession(dtype=torch.float32)
    found = []
    with torch.inference_mode():
        for index, picture in enumerate(pictures):
            inputs = processor(images=picture, return_tensors="pt")
            if index == 0:
                processor.add_inputs_to_inference_session(
                    session, 0, 1, input_boxes=[[_BOX.tolist()]], original_size=_SQUARE
                )
            output = model(session, frame=inputs.pixel_values[0], frame_idx=index)
            logits = processor.post_process_masks([output.pred_masks], [_SQUARE], binarize=False)[0]
            found.append(logits[0, 0].numpy())
    return found


def _always_seen(sam: SamVideo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the model believe that objects are in the picture: random weights score them about 0."""
    bias = dict(sam._model.named_parameters())["mask_decoder.pred_obj_score_head.proj_out.bias"]
    monkeypatch.setattr(bias, "data", torch.full_like(bias.data, 5.0))


def test_masks_are_the_librarys_own_although_old_frames_are_dropped(
    sam: SamVideo, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of the model's own size: the processor rounds a resized picture to 8 bit.
    pictures = _pictures(20, _SQUARE)
    _always_seen(sam, monkeypatch)
    monkeypatch.setattr(Sam2VideoModel, "from_pretrained", lambda *_, **__: sam._model)
    expected = _reference(tiny_weights, pictures)
    sam.advance(pictures[0])
    found = [sam.start(1, _BOX), *(sam.advance(picture)[1] for picture in pictures[1:])]
    for theirs, ours in zip(expected, found, strict=True):
        assert ours is not None
        np.testing.assert_allclose(ours, theirs, atol=1e-3 * float(np.abs(theirs).max()))


def test_memory_does_not_grow_with_the_clip(sam: SamVideo) -> None:
    pictures = _pictures(40)
    sam.advance(pictures[0])
    sam.start(1, _BOX)
    kept = []
    for picture in pictures[1:]:
        sam.advance(picture)
        outputs = sam._sessions[1].output_dict_per_obj[0]
        tensors = [
            value
            for frames in outputs.values()
            for output in frames.values()
            for value in output.values()
            if isinstance(value, torch.Tensor)
        ]
        kept.append(sum(tensor.numel() for tensor in tensors))
    assert kept[-1] == kept[20] and not sam._sessions[1].processed_frames


def test_objects_share_the_features_of_a_picture(sam: SamVideo, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    encode = sam._model.get_image_features
    monkeypatch.setattr(sam._model, "get_image_features", lambda *a, **k: calls.append(1) or encode(*a, **k))
    pictures = _pictures(3)
    sam.advance(pictures[0])
    sam.start(1, _BOX)
    sam.start(2, _OTHER_BOX)
    for picture in pictures[1:]:
        sam.advance(picture)
    assert len(calls) == len(pictures) and sam.objects == (1, 2)


def test_half_precision_as_on_a_card_keeps_the_box_exact(sam: SamVideo, monkeypatch: pytest.MonkeyPatch) -> None:
    _always_seen(sam, monkeypatch)
    monkeypatch.setattr(sam, "_dtype", torch.bfloat16)
    sam._model.to(torch.bfloat16)
    pictures = _pictures(3)
    box = np.array([40.3, 20.6, 90.1, 110.9])
    sam.advance(pictures[0])
    sam.start(1, box)
    corners = sam._sessions[1].point_inputs_per_obj[0][0]["point_coords"].reshape(2, 2)
    np.testing.assert_allclose(corners, box.reshape(2, 2) * TINY_SAM.side / np.array([200, 120]), atol=1e-4)
    for picture in pictures[1:]:
        assert np.isfinite(sam.advance(picture)[1]).all()


def test_an_object_that_is_hidden_is_missing(sam: SamVideo, monkeypatch: pytest.MonkeyPatch) -> None:
    bias = dict(sam._model.named_parameters())["mask_decoder.pred_obj_score_head.proj_out.bias"]
    monkeypatch.setattr(bias, "data", torch.full_like(bias.data, -5.0))
    pictures = _pictures(2)
    sam.advance(pictures[0])
    assert sam.start(1, _BOX) is None and sam.advance(pictures[1]) == {} and sam.objects == (1,)
    sam.stop(1)
    assert sam.objects == ()


def test_the_published_size_is_built_as_published() -> None:
    with torch.device("meta"):
        model = Sam2VideoModel(sam_config(PUBLISHED_SMALL))
    # 184 MB in single precision.
    assert sum(parameter.numel() for parameter in model.parameters()) == pytest.approx(46.0e6, rel=0.01)


@pytest.mark.parametrize("preset", ["fast", "balanced", "high", "wan", "ultra"])
def test_gpu_presets_carry_masks(preset: str) -> None:
    assert compose_settings(preset).people.masks == "sam2"
    with pytest.raises(Exception, match=r"people\.backend=yolo"):
        compose_settings("preview", ("people.masks=sam2",))


def test_a_missing_folder_is_named(tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_WEIGHTS", str(tmp_path))
    monkeypatch.setattr("pipeline.models.people.yolo.YoloPeople.__init__", lambda *_: None)
    (tmp_path / "pose_landmark_full.tflite").symlink_to(tiny_weights / "pose_landmark_full.tflite")
    with pytest.raises(PresetUnavailable, match="sam2/"):
        make_people(compose_settings("fast", ("people.device=cpu",)).people)
