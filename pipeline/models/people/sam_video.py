"""SAM 2.1 (Ravi et al., 2024) as transformers' ``Sam2VideoModel``: masks of objects, carried from frame to frame.

The model streams: each object has a session of its own, so that it can start and end at any frame, and all sessions
share the features of the current picture. Of earlier frames a session keeps what the memory attention reads, so its
memory does not grow with the clip.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate
from transformers import Sam2VideoInferenceSession, Sam2VideoModel

from pipeline.datatypes.arrays import Picture
from pipeline.models.device import device_errors, quiet

_MEAN = (0.485, 0.456, 0.406)
"""ImageNet's, as in the published preprocessor."""
_DEVIATION = (0.229, 0.224, 0.225)
_BOX_LABELS = (2, 3)
"""The prompt encoder's labels of a box's first and second corner."""
_OBJECT = 0
"""The only object's number within its session."""


class SamVideo:
    """Masks of several objects in consecutive frames."""

    def __init__(self, model: Sam2VideoModel, device: str) -> None:
        self._device = torch.device(device)
        # Half precision is slow or missing on a CPU.
        self._dtype = torch.bfloat16 if self._device.type == "cuda" else torch.float32
        self._model = model.to(self._device, self._dtype).eval()
        config = model.config
        self._side = int(config.prompt_encoder_config.image_size)
        self._memory_frames = max(int(config.num_maskmem), int(config.max_object_pointers_in_encoder))
        self._sessions: dict[int, Sam2VideoInferenceSession] = {}
        self._pixels: Tensor | None = None
        self._size_wh = (0, 0)
        self._frame = -1

    @property
    def objects(self) -> tuple[int, ...]:
        """The numbers of the objects, in the order in which they started."""
        return tuple(self._sessions)

    def advance(self, picture: Picture) -> dict[int, NDArray[np.float32]]:
        """Go on to the next frame, upright RGB, and return (H, W) logits of the mask of each object seen in it.

        Objects that are hidden, or have left, are missing. Raises ``OutOfMemory`` and ``GpuError``.
        """
        self._frame += 1
        self._size_wh = (picture.shape[1], picture.shape[0])
        with device_errors(), torch.inference_mode():
            self._pixels = self._normalized(picture)
            seen = {number: self._run(session) for number, session in self._sessions.items()}
        return {number: logits for number, logits in seen.items() if logits is not None}

    def start(self, number: int, box_xyxy: NDArray[np.float64]) -> NDArray[np.float32] | None:
        """Start an object, or start it anew, by its box in the current frame; return its logits there, None for none.

        Raises ``OutOfMemory`` and ``GpuError``.
        """
        session = self._new_session()
        scale = self._side / np.array([self._size_wh, self._size_wh], np.float64)
        # Half precision would be off by pixels.
        corners = torch.tensor(box_xyxy.reshape(2, 2) * scale, dtype=torch.float32)
        labels = torch.tensor(_BOX_LABELS, dtype=torch.int32)
        index = session.obj_id_to_idx(_OBJECT)
        session.add_point_inputs(
            index, self._frame, {"point_coords": corners[None, None], "point_labels": labels[None, None]}
        )
        session.obj_with_new_inputs = [_OBJECT]
        self._sessions[number] = session
        with device_errors(), torch.inference_mode():
            return self._run(session)

    def stop(self, number: int) -> None:
        """Forget an object."""
        self._sessions.pop(number, None)

    def reset(self) -> None:
        """Forget all objects, at a cut."""
        self._sessions.clear()
        self._pixels = None

    def _new_session(self) -> Sam2VideoInferenceSession:
        session = Sam2VideoInferenceSession(
            inference_device=self._device,
            inference_state_device=self._device,
            video_storage_device=self._device,
            dtype=self._dtype,
        )
        others = [other for other in self._sessions.values() if other is not session]
        if others:
            # It holds the features of the current picture, which cost most.
            session.cache = others[0].cache
        return session

    def _run(self, session: Sam2VideoInferenceSession) -> NDArray[np.float32] | None:
        output = self._model(session, frame=self._pixels, frame_idx=self._frame)
        self._trim(session)
        if float(output.object_score_logits.reshape(-1)[0]) <= 0:
            return None
        width, height = self._size_wh
        logits = interpolate(output.pred_masks.float(), (height, width), mode="bilinear", align_corners=False)
        return np.asarray(logits[0, 0].cpu().numpy(), np.float32)

    def _trim(self, session: Sam2VideoInferenceSession) -> None:
        """Drop what no later frame reads: pictures, masks in full size, and frames beyond the memory."""
        oldest = self._frame - self._memory_frames
        session.processed_frames = {}
        outputs = session.output_dict_per_obj[_OBJECT]
        for kept in outputs.values():
            for output in kept.values():
                output.pop("high_res_masks", None)
        for growing in (outputs["non_cond_frame_outputs"], session.frames_tracked_per_obj[_OBJECT]):
            for frame in [frame for frame in growing if frame < oldest]:
                del growing[frame]

    def _normalized(self, picture: Picture) -> Tensor:
        """Return (1, 3, side, side): stretched to a square, as the model was trained."""
        pixels = torch.from_numpy(np.ascontiguousarray(picture)).to(self._device).permute(2, 0, 1)[None].float() / 255
        square = interpolate(pixels, (self._side, self._side), mode="bilinear", align_corners=False, antialias=True)
        mean = torch.tensor(_MEAN, device=self._device).view(1, 3, 1, 1)
        deviation = torch.tensor(_DEVIATION, device=self._device).view(1, 3, 1, 1)
        return ((square - mean) / deviation).to(self._dtype)


@device_errors()
def load_sam_video(folder: Path, device: str) -> SamVideo:
    """Load the model in ``folder``, in transformers' layout, offline and from safetensors only."""
    quiet()
    return SamVideo(Sam2VideoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True), device)
