"""Measure how painted people get the scene's light: `python -m benchmarks.painted_light FOLDER WORKSPACE`.

FOLDER is a truth folder with ``pair_suit.mp4`` (see ``benchmarks.pair``), WORKSPACE the one of a job on its clip
(``benchmarks.pair --workspace``). The ideal person, as filmed in daylight, plays the painting of a generator that
ignored the light; with ``--cast`` too bright and blue as well. The scene is the clip relit (``benchmarks.relight``) or
as it is. Printed are the color difference (CIE76, between mean colors, median of the frames) to the ideal person in
that light before and after, and the fine detail left relative to the painting's.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.pair import clip_of, lab_of, load_masks
from benchmarks.relight import LIGHTS, relight_folder
from benchmarks.shake import read_rgb
from conf import compose_settings
from pipeline.datatypes.appearance import Appearance
from pipeline.datatypes.plan import Plan
from pipeline.datatypes.window import Layer
from pipeline.job_steps import mask_store
from pipeline.maths.light import linear_of, srgb_of
from pipeline.media.decode import open_clip
from pipeline.models.interfaces import Needs
from pipeline.models.loaded import load_models
from pipeline.models.registry import make_figure
from pipeline.perform.appearance import find_appearance
from pipeline.perform.crops import CropReader
from pipeline.perform.generate import WindowSources
from pipeline.perform.scene_light import WindowLight
from pipeline.plate.lighting import estimate_lighting
from pipeline.workspace.subject_masks import SubjectMasks
from pipeline.workspace.values import load_values
from worker.source.picture import read_reference

_FRAMES = 8
_CASTS = {"none": (1.0, 1.0, 1.0), "bright_blue": (1.3, 1.5, 2.1)}
"""Gain on the linear light of the painting, RGB."""


def judge(folder: Path, scene: Path, workspace: Path, cast: str, reference: Path | None) -> NDArray[np.float64]:
    """Return (N, 3): difference before, after, and detail left, of the frames that show the person."""
    clip = open_clip(clip_of(scene))
    plan = load_values(workspace / "plan.zip", Plan)
    settings = compose_settings("preview", [])
    painting = compose_settings("balanced", [])
    store = mask_store(clip, workspace)
    masks = SubjectMasks(store, plan.subject, plan.camera.world_from_source, clip.info, plan.overlays)
    with tempfile.TemporaryDirectory(prefix="light-") as temporary:
        light, _ = estimate_lighting(clip, plan, masks, settings, Path(temporary), lambda: None)
    figure = make_figure(painting.generate)
    assert figure is not None
    appearance = Appearance()
    if reference is not None:
        picture = read_reference(reference, settings.limits.max_reference_megapixels)
        appearance = find_appearance("", "", picture, load_models(settings).people)
    figure.prepare(appearance)
    crops = CropReader(clip, plan, masks.subject_mask, None)
    sources = WindowSources(plan, clip.info.pts_seconds, crops, light, figure)
    needs = Needs(None, _FRAMES, inputs=frozenset({"figure"}), output="pictures")
    paintings, ideals = (list(read_rgb(each / "pair_suit.mp4")) for each in (folder, scene))
    mattes = load_masks(folder / "pair_suit_mask.npz")
    values = []
    for start in range(0, len(paintings) - _FRAMES + 1, 2 * _FRAMES):
        window = sources.window(start, start + _FRAMES, needs)
        rows = range(start, start + _FRAMES)

        def cropped(picture: NDArray[np.uint8], frame: int) -> NDArray[np.uint8]:
            return np.asarray(cv2.warpPerspective(picture, plan.crop_from_source(frame), plan.crop.size_wh), np.uint8)

        gain = np.array(_CASTS[cast], np.float32)
        painted = [srgb_of(linear_of(cropped(paintings[t], t)) * gain) for t in rows]
        alphas = [cropped(mattes[t].astype(np.uint8) * 255, t) for t in rows]
        layers = [Layer(picture, alpha) for picture, alpha in zip(painted, alphas, strict=True)]
        matched = WindowLight(window, layers)
        for row, t in enumerate(rows):
            where = cv2.erode(alphas[row], np.ones((3, 3), np.uint8)) > 250
            if np.count_nonzero(where) < 400:
                continue
            ideal = cropped(ideals[t], t)
            after = matched.on(layers[row], row).picture
            values.append(
                [_difference(painted[row], ideal, where), _difference(after, ideal, where),
                 _detail(after, where) / _detail(painted[row], where)]
            )  # fmt: skip
    store.close()
    return np.array(values)


def _difference(picture: NDArray[np.uint8], ideal: NDArray[np.uint8], where: NDArray[np.bool_]) -> float:
    return float(np.linalg.norm((lab_of(picture)[where] - lab_of(ideal)[where]).mean(axis=0)))


def _detail(picture: NDArray[np.uint8], where: NDArray[np.bool_]) -> float:
    """Return the contrast of what is finer than 2 px, relative to the brightness: of linear light."""
    light = cv2.cvtColor(linear_of(picture), cv2.COLOR_RGB2GRAY) + np.float32(0.002)
    return float((light / cv2.GaussianBlur(light, (0, 0), 2.0))[where].std())


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.painted_light", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("workspace", type=Path, help="of a job on the folder's clip: plan.zip and masks.zip")
    parser.add_argument("--reference", type=Path, help="what the figure wears; without it, the default's clothes")
    parser.add_argument("--lights", nargs="*", default=["as it is", *sorted(LIGHTS)])
    parser.add_argument("--casts", nargs="*", default=sorted(_CASTS))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="relit-") as temporary:
        for light in arguments.lights:
            scene = arguments.folder
            if light != "as it is":
                scene = Path(temporary) / light
                relight_folder(arguments.folder, scene, light)
            for cast in arguments.casts:
                values = judge(arguments.folder, scene, arguments.workspace, cast, arguments.reference)
                before, after, detail = np.median(values, axis=0)
                print(
                    f"{light:<9} {cast:<12} before {before:5.1f}, after {after:5.1f}, detail {detail:.2f}", flush=True
                )
    return 0


if __name__ == "__main__":
    sys.exit(main())
