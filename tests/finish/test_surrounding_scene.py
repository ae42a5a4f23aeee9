"""Where the frame shows the background around the subject."""

from __future__ import annotations

import numpy as np

from pipeline.finish.patch import Patch
from pipeline.finish.scene_masks import SceneMasks
from pipeline.finish.surrounding_scene import visible_scene


def test_a_post_in_front_of_the_subject_is_visible_though_their_mask_covers_it() -> None:
    whole = np.zeros((120, 160), np.bool_)
    whole[20:110, 60:100] = True
    post = np.zeros_like(whole)
    post[20:110, 75:85] = True
    box = (40, 10, 130, 115)
    area = np.s_[10:115, 40:130]
    seen = np.ones((105, 90), np.bool_)
    seen[:, :5] = False
    others = np.zeros_like(seen)
    others[50:, 80:] = True
    picture = np.zeros((105, 90, 3), np.uint8)
    patch = Patch(box, picture, picture, seen, np.ascontiguousarray(whole[area]), others, 100.0)
    visible = visible_scene(SceneMasks(whole & ~post, post, np.zeros(whole.shape, np.uint8)), patch)
    assert visible[50, 39:41].all()
    assert not visible[50, [30, 50]].any() and not visible[60, 85] and not visible[50, 2]
    assert not visible[50, 18] and visible[50, 16], "the mask's edge is uncertain"
