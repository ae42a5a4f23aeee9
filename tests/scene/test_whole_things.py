"""Things beside the subject are kept whole where a difference from the plate says little."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.scene.layers import Label, labels_of
from tests.support.scene_labels import NOTHING, PATH, labeled, learned, share
from tests.support.scene_truth import SHAPE, Mask, Shot, man_at, shot_at, wall


def with_thing(x: float, thing: Mask, rgb: tuple[int, int, int]) -> Shot:
    """The subject with something beside them that no mask contains."""
    shot = shot_at(x, wall())
    picture = shot.picture.copy()
    picture[thing & ~shot.subject_mask] = rgb
    return replace(shot, picture=picture)


def dog(x: float) -> Mask:
    thing = NOTHING.copy()
    thing[152:228, round(x + 34) : round(x + 74)] = True
    return thing


def test_a_dark_dog_in_the_shadow_at_the_feet_is_whole() -> None:
    shots = [with_thing(x, dog(x), (30, 24, 14)) for x in PATH[::3][:8]]
    row = learned(shots)
    for shot in shots:
        assert share(np.isin(labeled(shot, row), (Label.THING, Label.CARRIED)), dog(shot.x)) > 0.9


def test_a_thing_is_whole_where_the_plate_is_wrong_under_a_part_of_it() -> None:
    shots = [with_thing(x, dog(x), (210, 60, 150)) for x in PATH[::3][:8]]
    row = learned(shots)
    wrong = NOTHING.copy()
    wrong[205:] = True
    for shot in shots:
        labels = labels_of(shot.sample(), row, (row.front, wrong), True)
        assert share(np.isin(labels, (Label.THING, Label.CARRIED)), dog(shot.x)) > 0.9
        free = wrong & ~dog(shot.x) & ~man_at(shot.x)[0]
        assert share(labels == Label.NOBODY, free) > 0.97


def test_an_umbrella_over_the_head_is_no_cap() -> None:
    def canopy(x: float) -> Mask:
        rows, columns = np.indices(SHAPE)
        return np.asarray(((columns - x) / 52) ** 2 + ((rows - 20) / 18) ** 2 <= 1) & (rows < 20)

    shots = [with_thing(x, canopy(x), (200, 60, 150)) for x in PATH[::3]]
    row = learned(shots)
    for shot in shots:
        visible = canopy(shot.x) & ~man_at(shot.x)[0]
        assert share(np.isin(labeled(shot, row), (Label.THING, Label.CARRIED)), visible) > 0.9


def test_where_no_frame_shows_the_background_nothing_is_a_thing() -> None:
    shots = [with_thing(x, dog(x), (210, 60, 150)) for x in PATH[::3][:8]]
    row = learned(shots)
    guessed = NOTHING.copy()
    guessed[:, :40] = True
    for shot in shots:
        # What was filled in there differs from the frame, and the thing's colors are in the background.
        odd = replace(shot, picture=np.where(guessed[..., None], np.uint8([210, 60, 150]), shot.picture))
        labels = labels_of(odd.sample(~guessed), row, (row.front, row.wrong), True)
        assert share(labels == Label.NOBODY, guessed & ~dog(shot.x) & ~man_at(shot.x)[0]) > 0.97
        assert share(np.isin(labels, (Label.THING, Label.CARRIED)), dog(shot.x)) > 0.9
