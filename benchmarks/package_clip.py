"""Judge a job on a real clip: the edit region, and the plate under a known shake."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.judged_job import Figure, at_least, judge_planes, run, video_of
from benchmarks.picture_figures import SquareError
from benchmarks.shake import read_rgb, shake_matrices, warp_video
from pipeline.media.decode import open_clip
from pipeline.media.ffv1 import read_artifact


def judge_package_clip(clip: Path, work: Path) -> Iterator[Figure]:
    """Yield P1 of a real clip, and its plate's PSNR under a known shake (its camera is static).

    The true plate is the median of the unshaken clip's own frames outside the (dilated) masks of the person, warped by
    the same matrices; pixels that fewer than five of those frames show do not count.
    """
    (work / "still").mkdir(parents=True)
    result = run(clip, work / "still", "output=lossless", artifacts=("edit_region", "layer", "mask"))
    yield from judge_planes(clip, result, video_of(result).parent, None)
    (work / "shaken").mkdir()
    frames = read_rgb(clip)
    first = next(frames)
    size_wh = (first.shape[1], first.shape[0])
    num_frames = open_clip(clip).info.num_frames
    matrices = shake_matrices(num_frames, size_wh)
    shaken = work / "shaken" / "sample.mp4"
    warp_video(clip, shaken, lambda t: matrices[t])
    still, known = _clean_still(clip, work / "still" / "out" / "mask.mkv")
    result = run(shaken, work / "shaken", "output=lossless", artifacts=("plate", "mask"))
    error = SquareError()
    subject_px = 0
    masks = read_artifact(video_of(result).parent / "mask.mkv")
    for matrix, plate, mask in zip(matrices, read_artifact(video_of(result).parent / "plate.mkv"), masks, strict=True):
        true = cv2.warpPerspective(still, matrix, size_wh, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        shown = cv2.warpPerspective(known, matrix, size_wh, flags=cv2.INTER_NEAREST) > 0
        error.add(plate, np.asarray(true, np.uint8), (mask > 0) & shown)
        subject_px += int(np.count_nonzero(mask))
    yield at_least(f"plate: PSNR on {clip.name} under a known shake, dB", error.psnr_db, 34.0, 1)
    judged = error.samples / 3 / subject_px
    yield Figure(f"plate: share of the subject's pixels judged there, {clip.name}", f"{judged:.2f}", "", None)


def _clean_still(clip: Path, mask_video: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the background without the person, (H, W, 3), and 1 where at least five frames show it, (H, W)."""
    wide = np.ones((41, 41), np.uint8)
    samples = []
    hidden = []
    for t, (rgb, mask) in enumerate(zip(read_rgb(clip), read_artifact(mask_video), strict=True)):
        if t % 3 == 0:
            samples.append(rgb)
            hidden.append(cv2.dilate(mask, wide) > 0)
    still = np.zeros_like(samples[0])
    counts = len(hidden) - np.sum(hidden, axis=0)
    for row in range(0, len(still), 64):
        strip = np.s_[row : row + 64]
        values = np.stack([sample[strip] for sample in samples]).astype(np.int16)
        # Occluded samples sort to the end, so the middle of the first `counts` is the median.
        values[np.stack([mask[strip] for mask in hidden])] = 999
        middle = np.maximum(counts[strip] - 1, 0)[None, :, :, None] // 2
        still[strip] = np.minimum(np.take_along_axis(np.sort(values, axis=0), middle, axis=0)[0], 255)
    return still, (counts >= 5).astype(np.uint8)
