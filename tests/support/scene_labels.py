"""Learn a synthetic scene and label its frames."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from pipeline.scene.color_counts import ColorCounts
from pipeline.scene.colors import density
from pipeline.scene.hair import hair_counts, head_counts, worn_cells
from pipeline.scene.hand_colors import hand_counts, outline_counts
from pipeline.scene.layers import labels_of
from pipeline.scene.occluders import Evidence, PlateEvidence
from pipeline.scene.samples import beside_counts, foreign_counts, likeness, others_counts, subject_counts
from pipeline.scene.scene_model import SceneRow
from tests.support.scene_truth import HEIGHT_PX, SHAPE, Mask, Shot

PATH = np.arange(70, 230, 6)
NOTHING = np.zeros(SHAPE, np.bool_)


def learned(shots: Iterable[Shot], hidden: Sequence[Shot] = ()) -> SceneRow:
    """Return what the pass learns from frames of a static camera, and from those without a detection of the subject."""
    samples = [shot.sample() for shot in shots]
    evidence = PlateEvidence(SHAPE[::-1], HEIGHT_PX)
    places = np.dstack(np.meshgrid(np.arange(SHAPE[1]), np.arange(SHAPE[0]))).astype(np.float32)
    colors = ColorCounts()
    for sample in samples:
        colors.add_subject(subject_counts(sample))
        colors.others += others_counts(sample)
        colors.head += head_counts(sample)
    for sample in samples:
        likelihood = likeness(sample, density(colors.subject))
        evidence.add(places, Evidence.of(sample, likelihood))
        colors.add_beside(*beside_counts(sample, NOTHING))
        colors.add_hands(hand_counts(sample, NOTHING))
        colors.outline += outline_counts(sample)
        colors.hair += hair_counts(sample, worn_cells(colors.head))
    for sample in (shot.sample() for shot in hidden):
        evidence.add(places, Evidence.of_hidden(sample, likeness(sample, density(colors.subject))))
    for sample in samples:
        likelihood = likeness(sample, density(colors.subject))
        colors.add_foreign(*foreign_counts(sample, likelihood, NOTHING, colors.is_held()))
    front = evidence.front(next(iter(shots)).plate)
    size = front.shape[::-1]
    assert size == (int(np.ceil(SHAPE[1] / evidence.bin_px)), int(np.ceil(SHAPE[0] / evidence.bin_px)))
    foreign = colors.foreign_colors()
    others = colors.others_colors()
    over_time = colors.in_hand_colors(), colors.is_surely_held(), worn_cells(colors.head)
    return SceneRow(colors.own_colors(), foreign, others, colors.breadth_bh, front, NOTHING, *over_time)


def labeled(shot: Shot, row: SceneRow) -> np.ndarray:
    return labels_of(shot.sample(), row, (row.front, row.wrong), True)


def share(part: Mask, whole: Mask) -> float:
    return float((part & whole).sum() / whole.sum())
