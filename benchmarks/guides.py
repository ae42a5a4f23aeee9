"""Measure the inputs that guide image generators against ground truth: ``python -m benchmarks.guides FOLDER``.

FOLDER is a truth folder with the ideal result of the reference (``pair_suit_mask.npz``, see ``benchmarks.pair``). The
passes before the generator run, and the generator is replaced by one that measures its inputs:

* the fraction of the figure's silhouette inside the inpainting mask, and inside the loose mask alone;
* rank correlation of the depth picture with the true depth: at the new person's joints that no other limb covers, and
  at every pixel that both people cover, where the original person's rendered depth is known (same motion, same height);
  the latter also ``leveled``, without the slope from head to feet, which is the camera's tilt and not the pose. A depth
  picture shows surfaces and not joints: ``limit`` is what the original person's own rendered depth reaches;
* the fraction of the figure that is opaque in the picture that denoising starts from, in the worst frame;
* motion vectors at the new person's true joints: their error in px of the crop, and the fraction that is off by more
than 2 px, for the figure (which flicker reduction follows, and which is exact for the figure itself: what is measured
is how steadily it is posed) and for the source's own optical flow. Without an aim: one px of the source is two or more
of the crop.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from benchmarks.pair import clip_of, load_masks
from conf import compose_settings
from pipeline.datatypes.appearance import Appearance
from pipeline.datatypes.plan import Plan
from pipeline.datatypes.window import FigureGuide, Layer, Window
from pipeline.errors import Cancelled
from pipeline.maths.geometry import apply_transform
from pipeline.maths.optical_flow import flow_between, gray_of
from pipeline.models.diffusion.conditioner import inpaint_regions
from pipeline.models.diffusion.inpaint_mask import loose_masks
from pipeline.models.interfaces import FigureBackend, Needs
from pipeline.models.loaded import LoadedModels
from pipeline.models.registry import make_figure, make_people
from pipeline.request import JobRequest
from pipeline.run import run_job
from pipeline.runtime.callbacks import Check
from pipeline.settings import PaintingSettings
from pipeline.workspace.values import load_values
from worker.source.picture import read_reference

AIMS = {
    "silhouette_inside_mask": 0.99,
    "depth_rank_joints": 0.9,
    "depth_rank_pixels": 0.9,
    "start_solid_worst": 0.98,
}
_WRONG_PX = 2.0
_SOLID = 128
"""Of 255: the silhouette consists of the pixels whose center is covered."""
_LEAST_JOINTS = 6
_LEAST_PIXELS = 60
_UNCOVERED_M = 0.15
"""A joint that is no farther than this from the visible surface is not covered by another limb."""
_LIMBS = slice(5, 17)
"""Rows of COCO-17 that are joints of the body; those of the face are points on its surface."""


@dataclass(frozen=True, slots=True, eq=False)
class GuideTruth:
    """Ground truth of the new person and of the scene."""

    keypoints_px: NDArray[np.float64]
    """(T, 17, 2) source px."""
    keypoints_z: NDArray[np.float64]
    """(T, 17) m, from the camera."""
    in_frame: NDArray[np.bool_]
    """(T, 17) inside the picture and inside the person's mask."""
    depth: NDArray[np.float32]
    """(T, H/4, W/4) m, depth of the original scene, at source px 4i + 1.5."""
    both: NDArray[np.bool_]
    """(T, H, W) pixels that both people cover."""

    def surface_z(self, frame: int) -> NDArray[np.float64]:
        """Return (17,) m: the original person's depth at the new person's joints; NaN where not both are."""
        depth = np.where(self.both[frame][1::4, 1::4], self.depth[frame], np.nan)
        return sampled(depth, (self.keypoints_px[frame] - 1.5) / 4)


def read_truth(folder: Path) -> GuideTruth:
    """Read a truth folder."""
    old = load_masks(folder / "mask.npz")
    new = load_masks(folder / "pair_suit_mask.npz")
    with np.load(folder / "gt.npz") as truth, np.load(folder / "pair_suit_mask.npz") as pair:
        extrinsics = truth["RT"].astype(np.float64)
        keypoints = pair["keypoints2d"].astype(np.float64)
        places = pair["keypoints3d"].astype(np.float64)
    with np.load(folder / "depth.npz") as rendered:
        depth = rendered["depth"].astype(np.float32)
    z = np.einsum("tc,tkc->tk", extrinsics[:, 2, :3], places) + extrinsics[:, 2, 3:]
    height, width = new.shape[1:]
    x, y = (np.rint(keypoints[..., axis]).astype(int) for axis in (0, 1))
    inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    seen = np.zeros_like(inside)
    t = np.broadcast_to(np.arange(len(new))[:, None], inside.shape)
    seen[inside] = new[t[inside], y[inside], x[inside]]
    return GuideTruth(keypoints, z, seen, depth, old & new)


@dataclass(slots=True)
class Tally:
    """Figures, frame by frame."""

    inside_mask: list[float] = field(default_factory=list)
    inside_loose: list[float] = field(default_factory=list)
    rank_joints: list[float] = field(default_factory=list)
    rank_limit: list[float] = field(default_factory=list)
    rank_pixels: list[float] = field(default_factory=list)
    rank_level: list[float] = field(default_factory=list)
    solid: list[float] = field(default_factory=list)
    vector_errors: list[float] = field(default_factory=list)
    flow_errors: list[float] = field(default_factory=list)

    def figures(self) -> dict[str, float]:
        """Return the figures by name."""
        return {
            "frames": len(self.inside_mask),
            "silhouette_inside_mask": float(np.mean(self.inside_mask)),
            "silhouette_inside_loose_mask": float(np.mean(self.inside_loose)),
            "depth_rank_joints": float(np.median(self.rank_joints)),
            "depth_rank_joints_limit": float(np.median(self.rank_limit)),
            "depth_rank_pixels": float(np.median(self.rank_pixels)),
            "depth_rank_pixels_leveled": float(np.median(self.rank_level)),
            "start_solid_mean": float(np.mean(self.solid)),
            "start_solid_worst": float(np.min(self.solid)),
            "vectors_off": float(np.mean(np.array(self.vector_errors) > _WRONG_PX)),
            "vectors_error_px": float(np.median(self.vector_errors)),
            "vectors_error_of_source_flow_px": float(np.median(self.flow_errors)),
            "vectors_off_of_source_flow": float(np.mean(np.array(self.flow_errors) > _WRONG_PX)),
        }


class GuideMeter:
    """A generator that measures its windows and draws the figure."""

    def __init__(self, truth: GuideTruth, settings: PaintingSettings, plan_path: Path) -> None:
        self.tally = Tally()
        self._truth = truth
        self._settings = settings
        self._plan_path = plan_path
        self._plan: Plan | None = None
        self.pictures: dict[int, NDArray[np.uint8]] = {}

    @property
    def plan(self) -> Plan:
        if self._plan is None:
            self._plan = load_values(self._plan_path, Plan)
        return self._plan

    @property
    def needs(self) -> Needs:
        return Needs(
            crop_size_wh=self._settings.crop_size_wh,
            window_frames=16,
            controls=("depth",),
            inputs=frozenset({"pictures", "plates", "masks", "figure"}),
        )

    def prepare(self, appearance: Appearance) -> tuple[str, ...]:
        return ()

    def use_less_memory(self) -> bool:
        return False

    def rest(self) -> None:
        """There is nothing to release."""

    def generate(self, window: Window, seed: int, check: Check) -> Iterator[Layer]:
        """Measure each frame and yield the figure."""
        assert window.figure is not None and window.masks is not None and window.pictures is not None
        regions = inpaint_regions(window, range(window.num_frames))
        loose = loose_masks(window.masks, window.joints, window.body_height_px)
        for row, layer in enumerate(window.figure.layers):
            check()
            silhouette = window.figure.silhouette[row]
            self.pictures = {window.start + row: window.pictures[row], **dict([*self.pictures.items()][:1])}
            if silhouette.any():
                assert layer.alpha is not None
                self.tally.inside_mask.append(float(regions[row][silhouette].mean()))
                self.tally.inside_loose.append(float(loose[row][silhouette].mean()))
                self.tally.solid.append(float((layer.alpha[silhouette] >= _SOLID).mean()))
                self._rank(window.start + row, window.controls["depth"][row, ..., 0])
            yield layer

    def _rank(self, frame: int, gray: NDArray[np.uint8]) -> None:
        truth = self._truth
        crop_from_source = self.plan.crop_from_source(frame)
        true = truth.keypoints_z[frame]
        surface = truth.surface_z(frame)
        joints = truth.in_frame[frame] & (np.abs(surface - true) < _UNCOVERED_M)
        joints[: _LIMBS.start] = False
        shades = sampled(gray, apply_transform(crop_from_source, truth.keypoints_px[frame]))
        known = joints & np.isfinite(shades) & (shades > 0)
        if known.sum() >= _LEAST_JOINTS:
            self.tally.rank_joints.append(rank_correlation(shades[known], -true[known]))
            self.tally.rank_limit.append(rank_correlation(surface[known], true[known]))
        y, x = np.mgrid[: truth.depth.shape[1], : truth.depth.shape[2]]
        places = np.stack([4 * x + 1.5, 4 * y + 1.5], axis=-1).reshape(-1, 2)
        shades = sampled(gray, apply_transform(crop_from_source, places))
        depth = truth.depth[frame].ravel()
        rows, columns = np.rint(places[:, 1]).astype(int), np.rint(places[:, 0]).astype(int)
        known = truth.both[frame][rows, columns] & np.isfinite(depth) & np.isfinite(shades) & (shades > 0)
        if known.sum() >= _LEAST_PIXELS:
            self.tally.rank_pixels.append(rank_correlation(shades[known], -depth[known]))
            leveled = [without_slope(values[known], places[known, 1]) for values in (shades, -depth)]
            self.tally.rank_level.append(rank_correlation(*leveled))

    def add_motion(self, window: Window, motion: NDArray[np.float32]) -> None:
        """Compare the figure's motion between two frames, and the source's own flow, with the true joints'."""
        frame = window.start + 1
        before, now = (
            apply_transform(self.plan.crop_from_source(f), self._truth.keypoints_px[f]) for f in (frame - 1, frame)
        )
        seen = self._truth.in_frame[frame] & self._truth.in_frame[frame - 1]
        seen[: _LIMBS.start] = False
        pairs = [(motion, self.tally.vector_errors)]
        if frame in self.pictures and frame - 1 in self.pictures:
            flow = flow_between(gray_of(self.pictures[frame]), gray_of(self.pictures[frame - 1]))
            pairs.append((flow, self.tally.flow_errors))
        true = (before - now)[seen]
        for vectors, errors in pairs:
            found = np.stack([sampled(vectors[..., axis], now[seen]) for axis in (0, 1)], axis=1)
            known = np.isfinite(found).all(axis=1)
            errors.extend(np.linalg.norm(found[known] - true[known], axis=1).tolist())


class _SpiedFigure:
    """The figure, whose motion is measured."""

    def __init__(self, inner: FigureBackend, meter: GuideMeter) -> None:
        self._inner = inner
        self._meter = meter

    def prepare(self, appearance: Appearance) -> tuple[str, ...]:
        return self._inner.prepare(appearance)

    def guide(self, window: Window, check: Check) -> FigureGuide:
        return self._inner.guide(window, check)

    def motion(self, window: Window) -> NDArray[np.float32]:
        motion = self._inner.motion(window)
        self._meter.add_motion(window, motion)
        return motion


def sampled(values: NDArray[Any], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the values of (h, w) at the pixels nearest to positions (N, 2) x, y; NaN outside."""
    height, width = values.shape
    x, y = np.rint(places[:, 0]).astype(int), np.rint(places[:, 1]).astype(int)
    inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    result = np.full(len(places), np.nan)
    result[inside] = values[y[inside], x[inside]]
    return result


def rank_correlation(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Return Spearman's rank correlation."""
    return float(spearmanr(a, b).statistic)


def without_slope(values: NDArray[Any], along: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the values minus the straight line that fits them best."""
    columns = np.stack([np.ones(len(along)), along], axis=1)
    fitted = columns @ np.linalg.lstsq(columns, values.astype(np.float64), rcond=None)[0]
    return np.asarray(values - fitted, np.float64)


def measure(folder: Path, reference: Path, work: Path) -> dict[str, float]:
    """Run the passes up to the layers and return the figures."""
    settings = compose_settings("fast", ("people=blazepose", "generate.device=cpu"))
    assert isinstance(settings.generate, PaintingSettings)
    meter = GuideMeter(read_truth(folder), settings.generate, work / "passes" / "plan.zip")
    figure = make_figure(settings.generate)
    assert figure is not None
    models = LoadedModels(make_people(settings.people), meter, _SpiedFigure(figure, meter))
    picture = read_reference(reference, settings.limits.max_reference_megapixels)
    request = JobRequest(clip_of(folder), work / "out", reference=picture)

    def stop(stage: str, done: int, total: int) -> None:
        if stage == "finish":
            raise Cancelled("measured")

    with suppress(Cancelled):
        run_job(request, settings, models, work / "passes", progress=stop)
    return meter.tally.figures()


def main(arguments: list[str] | None = None) -> int:
    """Print the table; exit code 1 where a figure misses its aim."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.guides", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--reference", type=Path, default=Path("assets/suit.png"))
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="guides-") as temporary:
        told = measure(options.folder, options.reference, Path(temporary))
    missed = False
    for name, value in told.items():
        aim = AIMS.get(name)
        passed = aim is None or value >= aim
        missed |= not passed
        verdict = "ok" if passed else "MISSED"
        compared = "" if aim is None else f"   aim {aim:g}: {verdict}"
        print(f"{name:32} {value:8.3f}{compared}")
    if options.json:
        options.json.write_text(json.dumps(told, indent=1), encoding="utf-8")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
