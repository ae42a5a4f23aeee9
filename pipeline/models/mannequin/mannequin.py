"""The ``mannequin`` generator: a rigged figure, posed in 3D on the subject, shaded and rasterized on the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.appearance import Appearance, CharacterFit
from pipeline.datatypes.light import SceneLight
from pipeline.datatypes.plan import Presence
from pipeline.datatypes.window import FigureGuide, Layer, Window
from pipeline.joints import NUM_JOINTS
from pipeline.maths.boxes import Box
from pipeline.models.interfaces import Needs
from pipeline.models.mannequin.bodies import Bodies, load_bodies
from pipeline.models.mannequin.figure import BONE, LANDMARK, Figure, Group, Pose, posed_joints
from pipeline.models.mannequin.guide import motion_from, places_at_rest, surface_maps
from pipeline.models.mannequin.hairline import hair_rim
from pipeline.models.mannequin.landmark_bias import BLAZEPOSE
from pipeline.models.mannequin.person import NewPerson, make_person, plain_person
from pipeline.models.mannequin.posing import Poser
from pipeline.models.mannequin.raster import extent, faces_away, rasterize, resolve, skin, vertex_normals
from pipeline.models.mannequin.shading import GAMMA, Blob, ground_shadow, light_vertices, sky_share, straight_color
from pipeline.models.mannequin.skeleton import believed, relaxed_skeleton
from pipeline.models.mannequin.soft_rim import with_soft_rim
from pipeline.models.mannequin.wardrobe import Wardrobe, choose_from_words
from pipeline.models.mannequin.wardrobe_words import Sex
from pipeline.runtime.callbacks import Check
from pipeline.runtime.prefetch import parallel_map
from pipeline.settings import Body, MannequinSettings

_FOLD = 3
"""Samples per pixel along each side: nine in total, so ten levels of coverage."""
_CLOSED = (Group.SKIN, Group.HAIR, Group.EYES, Group.FOREARM, Group.SHIN, Group.SHOES, Group.THING)
"""Surfaces whose inside is never visible: their back faces are culled."""
_CLOTHED = 1.03
"""Ratio of the height with hair and shoes, which the figure has, to the standing height from bones (1.02 to 1.07
on two rendered walks)."""
_FILLS = 0.92
"""Fraction of a picture's height that a person shown alone fills."""
_WORDS_NAMED = 12
"""Most words of a prompt that a warning names."""
_INSIDE = np.float32(0.8)
"""Light inside a sleeve, collar or hem."""


class Mannequin:
    """Draw the figure on the subject's skeleton, frame by frame; there is no state between windows."""

    def __init__(
        self,
        figure: Path,
        variant: Body = "auto",
        max_crop_height_px: int = MannequinSettings().crop_height_px,
    ) -> None:
        self._path = figure
        self._variant = variant
        self._max_crop_height_px = max_crop_height_px
        self._bodies = load_bodies(figure, variant)
        self._wears: Wardrobe | None = None
        self._wear(Wardrobe())

    @property
    def needs(self) -> Needs:
        return Needs(crop_size_wh=None, window_frames=32, max_crop_height_px=self._max_crop_height_px)

    def prepare(self, appearance: Appearance) -> tuple[str, ...]:
        """Turn the figure into the reference picture's person, or leave it plain."""
        if appearance.reference is None:
            return self._dress(appearance.prompt)
        return self.become(make_person(self._bodies_for(choose_from_words(appearance.prompt).sex), appearance))

    def use_less_memory(self) -> bool:
        """It works frame by frame already."""
        return False

    def rest(self) -> None:
        """It keeps nothing."""

    def generate(self, window: Window, seed: int, check: Check) -> Iterator[Layer]:
        """Yield one layer per frame; a fully transparent one where the subject is absent or has no joint."""
        standing = _ground_contact(window.planted)
        light = window.light or SceneLight.daylight(window.num_frames)

        def drawn(i: int) -> Layer:
            posed = self._posed(window, i)
            if posed is None:
                return Layer.empty(window.size_wh)
            pose, height_px = posed
            return self._draw(pose, height_px, window.size_wh, float(standing[i]), light.part(i, i + 1))

        def frames() -> Iterator[int]:
            for i in range(window.num_frames):
                check()
                yield i

        # Frames are independent, and the compiled parts release the GIL.
        with closing(parallel_map(drawn, frames())) as layers:
            yield from layers

    def _dress(self, prompt: str) -> tuple[str, ...]:
        """Dress the figure as a prompt says; without one it wears its own clothes."""
        chosen = choose_from_words(prompt)
        self._wear(replace(chosen, unknown=()))
        if not chosen.unknown:
            return ()
        return (f"the mannequin cannot show these words of the prompt: {', '.join(chosen.unknown[:_WORDS_NAMED])}",)

    def _wear(self, chosen: Wardrobe) -> None:
        """Dress the figure, unless it wears that already."""
        if chosen != self._wears:
            self.become(plain_person(self._bodies_for(chosen.sex).of(chosen.body), chosen.outfit))
            self._wears = chosen

    def _bodies_for(self, sex: Sex | None) -> Bodies:
        """Return the bodies of a sex; those of the setting where it names one, or where the sex is unknown."""
        return self._bodies if sex is None or self._variant != "auto" else load_bodies(self._path, sex)

    def guide(self, window: Window, check: Check) -> FigureGuide:
        """Return the figure in each frame: picture, depth, normals, and places on its surface."""
        width, height = window.size_wh
        depth = np.full((window.num_frames, height, width), np.nan, np.float32)
        normals = np.zeros((window.num_frames, height, width, 3), np.float32)
        surface = np.full((window.num_frames, height // 8, width // 8, 3), np.nan, np.float32)
        for i in range(window.num_frames):
            check()
            places = self._places(window, i)
            if places is not None:
                maps = surface_maps(places, self._triangles, window.size_wh)
                depth[i] = maps.depth
                normals[i] = maps.normals
                surface[i] = places_at_rest(maps, self._triangles, self._figure.vertices)
        return FigureGuide(tuple(self.generate(window, 0, check)), depth, normals, surface)

    def motion(self, window: Window) -> NDArray[np.float32]:
        """Return (h, w, 2) px: from a pixel of the second of two frames to where its surface point was in the first."""
        before = self._places(window, 0)
        places = self._places(window, 1)
        if before is None or places is None:
            return np.full((window.size_wh[1], window.size_wh[0], 2), np.nan, np.float32)
        earlier = surface_maps(before, self._triangles, window.size_wh)
        maps = surface_maps(places, self._triangles, window.size_wh)
        return motion_from(before, earlier.depth, self._triangles, maps, float(window.body_height_px[1]))

    def become(self, person: object) -> tuple[str, ...]:
        """Draw a person from now on: one that was fitted before, or just now. Returns the warnings of the fit."""
        assert isinstance(person, NewPerson)
        self._wears = None
        self._person = person
        self._figure: Figure = person.figure
        self._poser = Poser(person.figure, BLAZEPOSE)
        self._triangles = np.ascontiguousarray(person.figure.triangles[person.drawn])
        self._closed = np.isin(person.figure.groups[person.drawn], _CLOSED)
        self._colors = person.colors
        self._rim = hair_rim(person.figure)
        return person.warnings

    @property
    def person(self) -> NewPerson:
        return self._person

    @property
    def fit(self) -> CharacterFit:
        return self._person.fit

    def turned(self, angle: float, size_wh: tuple[int, int]) -> Layer:
        """Draw the person in a relaxed stance in soft daylight, as large as the picture allows."""
        width, height = size_wh
        # With a hat the figure is taller than itself.
        height_px = _FILLS * height / max(1.0, -float(self._figure.vertices[:, 1].min()))
        cos, sin = np.cos(angle), np.sin(angle)
        turn = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
        skeleton = relaxed_skeleton(self._figure) @ turn.T * height_px
        # The figure's soles are at its zero.
        skeleton += [(width - 1) / 2, height * (1 + _FILLS) / 2, 0.0]
        pose = Poser(self._figure).pose(skeleton.astype(np.float32), height_px)
        return self._draw(pose, height_px, size_wh, 1.0, SceneLight.daylight(1))

    def drawn_at(self, places: NDArray[np.float32], height_px: float, size_wh: tuple[int, int]) -> Layer:
        """Draw the person in soft daylight, without shadow on the ground, with vertices at ``places`` (V, 3), px."""
        width, height = size_wh
        light, cover = self._render(places, height_px, (0, 0, width, height), SceneLight.daylight(1))
        picture, alpha = straight_color(light, cover, np.zeros((height, width), np.float32), GAMMA)
        return Layer(picture=picture, alpha=alpha, joints=np.full((NUM_JOINTS, 3), np.nan, np.float32))

    def _posed(self, window: Window, i: int) -> tuple[Pose, float] | None:
        """Return the pose of a frame and its height (px); None where nobody can be posed."""
        skeleton = window.skeletons[i]
        height_px = float(window.body_height_px[i])
        if window.presence[i] == Presence.ABSENT or not _is_posable(skeleton, height_px):
            return None
        height_px *= _CLOTHED
        distance_px = float("inf") if window.distance_px is None else float(window.distance_px[i])
        return self._poser.pose(skeleton, height_px, believed(window.joints[i]), distance_px), height_px

    def _places(self, window: Window, i: int) -> NDArray[np.float32] | None:
        """Return the (V, 3) posed vertices of a frame, None where nobody can be posed."""
        posed = self._posed(window, i)
        return None if posed is None else self._skinned(posed[0])

    def _skinned(self, pose: Pose) -> NDArray[np.float32]:
        figure = self._figure
        return skin(
            figure.vertices,
            figure.bone_index,
            figure.bone_weight,
            pose.linear.astype(np.float32),
            pose.offset.astype(np.float32),
        )

    def _draw(
        self, pose: Pose, height_px: float, size_wh: tuple[int, int], standing: float, scene_light: SceneLight
    ) -> Layer:
        figure = self._figure
        places = self._skinned(pose)
        width, height = size_wh
        shadow = ground_shadow(size_wh, _contact_shadow_ellipses(figure, pose, height_px, standing))
        shadow *= np.float32(sky_share(scene_light))
        picture = np.zeros((height, width, 3), np.uint8)
        alpha = (shadow * 255 + np.float32(0.5)).astype(np.uint8)
        low, high = extent(places)
        x0, y0 = np.maximum(np.floor(low[:2]).astype(int) - 1, 0)
        x1, y1 = np.minimum(np.ceil(high[:2]).astype(int) + 2, [width, height])
        if x0 < x1 and y0 < y1:
            inside = (slice(int(y0), int(y1)), slice(int(x0), int(x1)))
            light, cover = self._render(places, height_px, (int(x0), int(y0), int(x1), int(y1)), scene_light)
            drawn = straight_color(light, cover, np.ascontiguousarray(shadow[inside]), GAMMA)
            picture[inside], alpha[inside] = drawn
        return Layer(picture=picture, alpha=alpha, joints=posed_joints(figure, pose))

    def _render(
        self,
        places: NDArray[np.float32],
        height_px: float,
        box: Box,
        scene_light: SceneLight,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Linear light (h, w, 3) and coverage (h, w) in a box x0, y0, x1, y1 of the crop."""
        x0, y0, x1, y1 = box
        normals = self._rim.shaded_as_skin(vertex_normals(places, self._triangles))
        light = light_vertices(places, normals, self._triangles, self._figure.occlusion, height_px, scene_light)
        samples = np.ascontiguousarray(
            (places - np.array([x0, y0, 0], np.float32)) * np.array([_FOLD, _FOLD, 1], np.float32)
        )
        samples[:, :2] += (_FOLD - 1) / 2
        away = faces_away(samples, self._triangles)
        drawn = ~(away & self._closed)
        triangles = np.ascontiguousarray(self._triangles[drawn])
        dimmed = np.where(away[drawn], _INSIDE, np.float32(1))
        colors = self._colors
        _, nearest = rasterize(samples, triangles, (x1 - x0) * _FOLD, (y1 - y0) * _FOLD)
        picture, cover = resolve(
            samples,
            triangles,
            (colors.fine, colors.middle, colors.coarse),
            light,
            np.flatnonzero(drawn),
            dimmed,
            nearest,
            _FOLD,
        )
        return with_soft_rim(picture, cover)


def _is_posable(skeleton: NDArray[np.float32], height_px: float) -> bool:
    """Whether a frame has at least one of (23, 3) joints, and a standing height."""
    return bool(np.isfinite(skeleton).all(1).any() and np.isfinite(height_px) and height_px > 1)


def _ground_contact(planted: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(N,) confidence that a foot is on the ground, smooth over five frames: a jumping figure's shadow fades."""
    any_foot = planted.any(1).astype(np.float64)
    kernel = np.array([1.0, 2.0, 3.0, 2.0, 1.0])
    padded = np.pad(any_foot, 2, mode="edge")
    return np.convolve(padded, kernel / kernel.sum(), mode="valid")


def _contact_shadow_ellipses(figure: Figure, pose: Pose, height_px: float, standing: float) -> list[Blob]:
    """A dark ellipse under each foot, weaker as it lifts, and a faint wide one between the feet."""
    feet = []
    for side, suffix in (("left", ".L"), ("right", ".R")):
        bone = f"foot{suffix}"
        heel = pose.apply(bone, figure.landmarks[LANDMARK[f"{side}_heel"]])
        toe = pose.apply(f"toe{suffix}", figure.landmarks[LANDMARK[f"{side}_toe"]])
        ankle = pose.apply(bone, figure.heads[BONE[bone]])
        feet.append((heel, toe, max(heel[1], toe[1], ankle[1]) + 0.012 * height_px))
    ground = max(foot[2] for foot in feet)
    blobs = []
    for heel, toe, low in feet:
        # Ground farther away is higher in the picture, so a slightly higher foot may well be planted.
        lift = max(ground - low - 0.025 * height_px, 0.0) / (0.07 * height_px)
        middle = (heel + toe) / 2
        along = (toe - heel)[:2] * np.array([1.0, 0.35])
        length = max(float(np.hypot(*along)), 0.055 * height_px)
        direction = along / max(float(np.hypot(*along)), 1e-6) if np.hypot(*along) > 1e-6 else np.array([1.0, 0.0])
        spread = 0.42 * length + 0.012 * height_px
        strength = (0.25 + 0.45 * standing) * float(np.exp(-1.5 * lift))
        y = low - 0.012 * height_px
        blobs.append(
            Blob(
                float(middle[0]), float(y), (spread * direction[0], spread * direction[1]), 0.017 * height_px, strength
            )
        )
    center = (feet[0][0] + feet[0][1] + feet[1][0] + feet[1][1]) / 4
    gap = abs(feet[0][0][0] - feet[1][0][0])
    y = (feet[0][2] + feet[1][2]) / 2 - 0.005 * height_px
    wide = (0.4 * gap + 0.065 * height_px, 0.0)
    blobs.append(Blob(float(center[0]), float(y), wide, 0.024 * height_px, 0.08 + 0.11 * standing))
    return blobs
