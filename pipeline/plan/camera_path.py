"""The smoothed camera path."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.plan import CameraPath
from pipeline.datatypes.survey import CameraMotion
from pipeline.maths.geometry import (
    apply_transform,
    corners_of,
    fit_similarity,
    invert,
    pair_motions,
    params_of_similarities,
    similarities_from_params,
)
from pipeline.maths.smoothing import gaussian_smooth, shot_slices


def smooth_path(
    motion: CameraMotion,
    shot_starts: NDArray[np.int64],
    pts_seconds: NDArray[np.float64],
    size_wh: tuple[int, int],
    window_seconds: float,
) -> CameraPath:
    """Low-pass the camera path so that slow intended moves survive and shake does not, shot by shot.

    The path chains the similarity parts of the frame-to-frame motions (least squares on the frame's corners). The
    translation of the picture's center, log-scale and unwrapped angle are smoothed by local linear regression, so a pan
    keeps its speed at a cut, with a Gaussian kernel of the same variance as a box of ``window_seconds`` (a box average
    lets twice the fast shake through). ``stable_from_source`` (T, 3, 3) are similarities.
    """
    pairs = pair_motions(motion.world_from_source)
    stable = np.tile(np.eye(3), (len(pairs), 1, 1))
    corners = corners_of(size_wh)
    for shot in shot_slices(shot_starts, len(pairs)):
        path = np.tile(np.eye(3), (shot.stop - shot.start, 1, 1))
        for i in range(1, len(path)):
            path[i] = path[i - 1] @ fit_similarity(corners, apply_transform(pairs[shot.start + i], corners))
        params = params_of_similarities(path, size_wh)
        smooth = gaussian_smooth(params, pts_seconds[shot], window_seconds / np.sqrt(12))
        stable[shot] = invert(similarities_from_params(smooth, size_wh)) @ path
    return CameraPath(motion.world_from_source, stable)
