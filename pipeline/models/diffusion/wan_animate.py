"""The ``wan_animate`` generator: Wan2.2-Animate in its mode ``replace``, a video model made for this task.

It is driven by the subject's pose and face: facial expressions are transferred, which no other generator does.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.datatypes.appearance import Appearance
from pipeline.datatypes.arrays import Picture
from pipeline.datatypes.window import Layer, Window
from pipeline.errors import InvalidInput
from pipeline.maths.head import face_is_seen, head_square
from pipeline.models.device import device_errors
from pipeline.models.diffusion.reference_crop import framed_reference, only_first_reference
from pipeline.models.diffusion.wan_backend import WanBackend
from pipeline.models.diffusion.wan_cost import padded_frames
from pipeline.models.diffusion.wan_loading import WanParts, encode_prompts
from pipeline.models.diffusion.wan_window import (
    generator_of,
    kept_pictures,
    layers_of,
    pil,
    pil_mask,
    regions_to_make,
    stop_between_steps,
)
from pipeline.models.diffusion.windows import mirrored_indices
from pipeline.models.interfaces import Needs
from pipeline.runtime.callbacks import Check
from pipeline.settings import AnimateSettings

_FEWEST_FRAMES = 5
"""A segment is one frame longer than what it adds: two latents at least."""
_SEGMENT_FRAMES = 77
"""As the model was trained."""
_FACE_HEADS = 1.3
"""Side of the face's square, head heights: Wan's own is the box of 68 face points, with an area a third larger."""
_BLACK = 0
_MOST_HELD = 4
"""Most model frames for which a source frame is held, so that a gap in the source does not cost hundreds."""


class WanAnimate(WanBackend):
    """A window is one segment of the model. Finished frames are background in which nothing is generated."""

    def __init__(self, parts: WanParts, settings: AnimateSettings) -> None:
        super().__init__(parts)
        self._settings = settings

    @property
    def needs(self) -> Needs:
        settings = self._settings
        return Needs(
            crop_size_wh=settings.crop_size_wh,
            window_frames=settings.window_frames,
            conditioning_frames=settings.conditioning_frames,
            controls=("wan_pose",),
            inputs=frozenset({"pictures", "plates", "masks", "figure"}),
            output="pictures",
        )

    def prepare(self, appearance: Appearance) -> tuple[str, ...]:
        """Cut out the reference over black, as the model was trained; raises ``InvalidInput`` where there is none."""
        self.use_all_memory()
        self._reference = framed_reference(appearance, _BLACK)
        if self._reference is None:
            raise InvalidInput("this preset needs a reference picture", field="reference_image_url")
        settings = self._settings
        parts = self._parts
        prompts = (settings.default_prompt, settings.negative_prompt)
        self._prompt = encode_prompts(parts.folder, prompts, parts.device.type, parts.dtype)
        told = only_first_reference(appearance)
        if appearance.prompt:
            told = (*told, "this preset takes the looks from the reference picture alone: the prompt has no effect")
        if appearance.negative_prompt:
            told = (*told, "this preset takes the looks from the reference picture alone: nor has the negative_prompt")
        return told

    def _layers(self, window: Window, seed: int, check: Check) -> Iterator[Layer]:
        assert window.pictures is not None and self._reference is not None
        settings = self._settings
        pipeline = self._parts.pipeline
        device = self._parts.device
        places = places_at_rate(window.pts_seconds, settings.model_fps)
        frames = [row for row, place in enumerate(places) for _ in range(place, _next(places, row))]
        segment = min(padded_frames(len(frames), _FEWEST_FRAMES), _SEGMENT_FRAMES)
        # More frames than a segment are split by the pipeline, which continues from the last one.
        rows = [frames[at] for at in mirrored_indices(len(frames), segment)]
        regions = regions_to_make(window)
        # The region to generate is black in the background.
        background = np.where(regions[..., None], np.uint8(_BLACK), kept_pictures(window))
        faces = source_faces(window, int(pipeline.transformer.config.motion_encoder_size))
        width, height = window.size_wh
        prompt, negative = (part.to(device) for part in self._prompt)
        with device_errors(), torch.inference_mode():
            made = pipeline(
                image=pil(letterboxed(self._reference, (width, height))),
                pose_video=[pil(window.controls["wan_pose"][row]) for row in rows],
                face_video=[pil(faces[row]) for row in rows],
                background_video=[pil(background[row]) for row in rows],
                mask_video=[pil_mask(regions[row]) for row in rows],
                prompt_embeds=prompt,
                negative_prompt_embeds=negative if settings.guidance > 1 else None,
                height=height,
                width=width,
                segment_frame_length=segment,
                num_inference_steps=settings.steps,
                mode="replace",
                prev_segment_conditioning_frames=1,
                guidance_scale=settings.guidance,
                generator=generator_of(seed, window.start),
                output_type="np",
                callback_on_step_end=stop_between_steps(check),
                callback_on_step_end_tensor_inputs=["latents"],
            ).frames[0]
        yield from layers_of(window, np.asarray(made), places)


def places_at_rate(pts_seconds: NDArray[np.float64], fps: float) -> list[int]:
    """Return for each source frame its frame number in the model, which runs at ``fps``.

    The model has learned motion at its own frame rate. A slower source, or one with a pause between two frames, is
    presented with frames held for their duration; each source frame keeps its own model frame, so a faster source is
    presented in slow motion rather than subsampled, and its rate is kept.
    """
    places = [0]
    for row in range(1, len(pts_seconds)):
        elapsed = round(float(pts_seconds[row] - pts_seconds[0]) * fps)
        places.append(max(places[-1] + 1, min(elapsed, places[-1] + _MOST_HELD)))
    return places


def _next(places: list[int], row: int) -> int:
    return places[row + 1] if row + 1 < len(places) else places[row] + 1


def source_faces(window: Window, side: int) -> NDArray[np.uint8]:
    """Return (N, side, side, 3): the subject's face in each frame; black where it is not visible."""
    assert window.pictures is not None
    faces = np.zeros((window.num_frames, side, side, 3), np.uint8)
    for row in range(window.num_frames):
        joints = window.joints[row]
        square = head_square(joints, float(window.body_height_px[row]), _FACE_HEADS)
        if not np.isfinite(square).all() or not face_is_seen(joints, window.skeletons[row]):
            continue
        x, y, length = square
        scale = side / length
        shift = (side - 1) / 2
        matrix = np.array([[scale, 0, shift - scale * x], [0, scale, shift - scale * y]])
        faces[row] = cv2.warpAffine(
            window.pictures[row], matrix, (side, side), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
    return faces


def letterboxed(picture: Picture, size_wh: tuple[int, int]) -> Picture:
    """Return the picture scaled into a size, black around it."""
    width, height = size_wh
    scale = min(width / picture.shape[1], height / picture.shape[0])
    small_wh = max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))
    small = cv2.resize(picture, small_wh, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    canvas = np.zeros((height, width, 3), np.uint8)
    left, top = (width - small_wh[0]) // 2, (height - small_wh[1]) // 2
    canvas[top : top + small_wh[1], left : left + small_wh[0]] = small
    return canvas
