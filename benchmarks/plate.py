"""Compare walk_a's plate with ground truth and with inpainting: `python -m benchmarks.plate assets/walk_a`.

The camera is estimated, the masks are the true ones of everybody (dilated by a pixel): what is judged is the plate
alone. PSNR is pooled over the subject's true mask, against a render without people and shadows. CPU seconds are those
of building all plates, including one read of the clip, at the clip's own size and at 720 lines. Telea runs per frame,
over the same masks.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import Truth, clip_of, load_truth
from benchmarks.picture_figures import SquareError
from benchmarks.shake import read_rgb
from benchmarks.speed import scaled
from pipeline.datatypes.light import CastShadows
from pipeline.media.decode import open_clip
from pipeline.media.pixels import luma_of
from pipeline.plan.camera_path import smooth_path
from pipeline.plate.build import make_plates
from pipeline.plate.inputs import PlateInputs, typical_height_px
from pipeline.plate.plate_set import PlateSet
from pipeline.settings import PlateSettings, StabilizeSettings
from pipeline.survey.camera import CameraEstimator


def our_plates(path: Path, truth: Truth, folder: Path) -> tuple[PlateSet, float, float]:
    """Build the plates of a clip; return them, their CPU seconds and the increase of peak memory, MiB."""
    clip = open_clip(path)
    size_wh = clip.info.size_wh

    people = truth.masks if truth.others is None else truth.masks | truth.others

    def people_mask(frame: int) -> NDArray[np.bool_]:
        mask = cv2.resize(people[frame].astype(np.uint8), size_wh, interpolation=cv2.INTER_NEAREST)
        return np.asarray(cv2.dilate(mask, np.ones((3, 3), np.uint8)) > 0)

    settings = StabilizeSettings()
    starts = np.array([0], np.int64)
    estimator = CameraEstimator(clip.info, settings)
    for frame in clip.frames():
        estimator.push(luma_of(frame), people_mask(frame.index), np.empty((0, 2)), frame.index == 0)
    camera = smooth_path(estimator.finish(), starts, clip.info.pts_seconds, size_wh, settings.window_seconds)
    body = truth.body_height_px * size_wh[1] / truth.masks.shape[1]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin = time.process_time()
    inputs = PlateInputs(
        clip=clip,
        world_from_source=camera.world_from_source,
        shot_starts=starts,
        needed=np.asarray(truth.masks.any(axis=(1, 2))),
        people_mask=people_mask,
        body_height_px=typical_height_px(body, size_wh),
        shadows=CastShadows.none(clip.info.num_frames),
    )
    plates = make_plates(inputs, PlateSettings(), folder, lambda: None, lambda _done, _total: None)
    seconds = time.process_time() - begin
    return plates, seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plate", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "folder", type=Path, help="sample.mp4 or rgb.mp4, plate.mp4, gt.npz, mask.npz; such as assets/walk_a"
    )
    folder = parser.parse_args().folder
    cv2.setNumThreads(1)
    truth = load_truth(folder)
    small = clip_of(folder)
    with tempfile.TemporaryDirectory(prefix="plate-") as temporary:
        work = Path(temporary)
        # The first run of a process also loads numba's compiled code and is not timed.
        plates, _, _ = our_plates(small, truth, work / "small")
        per_frame = []
        telea_seconds = 0.0
        pooled = SquareError()
        inpainted = SquareError()
        both = zip(read_rgb(small), read_rgb(folder / "plate.mp4"), strict=True)
        for t, (source, true) in enumerate(both):
            mask = truth.masks[t]
            if not mask.any():
                continue
            one = SquareError()
            plate = plates.render(t, (0, 0, mask.shape[1], mask.shape[0]))[0]
            one.add(plate, true, mask)
            pooled.add(plate, true, mask)
            per_frame.append(one.psnr_db)
            hole = cv2.dilate(mask.astype(np.uint8), np.ones((9, 9), np.uint8))
            begin = time.process_time()
            inpainted.add(np.asarray(cv2.inpaint(source, hole, 3, cv2.INPAINT_TELEA), np.uint8), true, mask)
            telea_seconds += time.process_time() - begin
        values = np.array(per_frame)
        print(f"ours   {pooled.psnr_db:6.2f} dB, worst frame {values.min():.2f}, under 25: {(values < 25).sum()}, "
              f"under 28: {(values < 28).sum()} of {len(values)}")  # fmt: skip
        print(f"Telea  {inpainted.psnr_db:6.2f} dB, {1000 * telea_seconds / len(values):.1f} CPU ms a frame at 360p")
        large = scaled(small, work / "large.mp4", 720)
        plates, seconds, memory = our_plates(large, truth, work / "large")
        print(
            f"720p   {seconds:.2f} CPU s, {1000 * seconds / len(values):.1f} ms a frame, peak memory +{memory:.0f} MiB"
        )
    return 0 if pooled.psnr_db >= 28 and values.min() >= 25 else 1


if __name__ == "__main__":
    sys.exit(main())
