"""Every value that crosses a stage.

Convention
----------
Pixels: x right, y down, pixel centres at integers (as in OpenCV). Boxes are ``x0, y0, x1, y1``. Transforms are
``(T, 3, 3) float64`` and act on column vectors ``(x, y, 1)``; ``a_from_b`` takes points of space b to space a.

Spaces
    ``source``  the decoded picture, turned upright by the display matrix (coded pixels where there is none)
    ``world``   the source space of the shot's first frame: camera motion removed
    ``stable``  the source space with the camera's shake removed and its slow moves kept
    ``crop``    what a generator sees: a smooth virtual camera that follows the subject inside ``stable``

All stages work on upright pictures. Only the composite and the artifacts go back to the *coded* orientation,
by exact quarter turns and mirroring. Left and right of a body are its own.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.joints import NUM_JOINTS, NUM_SKELETON
from pipeline.shaped import Shaped, Shapes

Transforms = NDArray[np.float64]
"""(T, 3, 3) or (3, 3)."""
Picture = NDArray[np.uint8]
"""(H, W, 3) RGB, display-referred SDR."""
Mask = NDArray[np.bool_]
"""(H, W), hard."""
Matte = NDArray[np.float32]
"""(H, W) in 0..1, soft."""
Float64Array = NDArray[np.float64]
Float32Array = NDArray[np.float32]
Points = NDArray[np.float64]
"""(..., 2) x, y px, pixel centers at integers."""
Plane = NDArray[Any]
"""(h, w) uint8, or uint16 with the samples in the low bits."""


BODY_PARTS, COLOR_BINS = 3, 70
"""Head, torso, legs; bins of each one's color histogram."""


class Presence(IntEnum):
    """Whether the subject is in a frame."""

    ABSENT = 0
    UNCERTAIN = 1
    """Interpolated over a short gap, or seen with low confidence."""
    FOUND = 2


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """One audio stream of the source."""

    index: int
    codec: str
    time_base: Fraction


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class VideoInfo(Shaped):
    """What a clip says of its picture; all of it is kept in the result."""

    SHAPES: ClassVar[Shapes] = {"pts": ("T",), "durations": ("T",)}

    path: Path
    container: str
    """Demuxer name as FFmpeg gives it, such as ``mov,mp4,m4a,3gp,3g2,mj2``."""
    codec: str
    width: int
    """Coded, px."""
    height: int
    """Coded, px."""
    pix_fmt: str
    bit_depth: int
    chroma_log2_wh: tuple[int, int]
    """log2 of the chroma subsampling across and down: (1, 1) is 4:2:0; (0, 0) also for gray and RGB."""
    time_base: Fraction
    frame_rate: Fraction
    """Frames a second by the frames' own times (not what the container states); only for estimates, time is PTS."""
    sample_aspect_ratio: Fraction
    """Width over height of one pixel; 1 where the file says nothing."""
    quarter_turns: int
    """Clockwise quarter turns (0..3) that bring the coded picture upright, after ``mirrored``."""
    display_matrix: tuple[int, ...] | None
    """The nine values of the source's display matrix as stored, or None."""
    color_range: int
    color_matrix: int
    color_primaries: int
    color_transfer: int
    """FFmpeg's enumerations; 2 is unspecified (range: 0)."""
    chroma_location: int
    pts: NDArray[np.int64]
    """(T,) presentation times of the frames in ``time_base``, strictly rising."""
    durations: NDArray[np.int64]
    """(T,) in ``time_base``."""
    audio: tuple[AudioInfo, ...]
    warnings: tuple[str, ...] = ()
    mirrored: bool = False
    """Whether left and right of the coded picture change places before it is turned upright."""
    mastering_display: tuple[Fraction, ...] | None = None
    """(10,) red, green, blue and white x, y (CIE 1931), lowest and highest luminance in nits (SMPTE ST 2086)."""
    content_light: tuple[int, ...] | None = None
    """(2,) maximum content light level and maximum frame-average light level in nits (CTA-861.3)."""
    side_data: tuple[str, ...] = ()
    """FFmpeg's names of what the frames carry beside their samples, such as captions and Dolby Vision metadata."""

    @property
    def num_frames(self) -> int:
        return len(self.pts)

    @property
    def pts_seconds(self) -> NDArray[np.float64]:
        """(T,) seconds from the first frame."""
        return (self.pts - self.pts[0]) * float(self.time_base)

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height of the upright picture: of the ``source`` space."""
        return (self.height, self.width) if self.quarter_turns % 2 else (self.width, self.height)

    @property
    def coded_from_source(self) -> Transforms:
        """(3, 3): upright pixels to coded pixels."""
        w, h = self.width, self.height
        turned = np.array(
            {
                0: [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
                1: [[0, 1, 0], [-1, 0, h - 1], [0, 0, 1]],
                2: [[-1, 0, w - 1], [0, -1, h - 1], [0, 0, 1]],
                3: [[0, -1, w - 1], [1, 0, 0], [0, 0, 1]],
            }[self.quarter_turns % 4],
            np.float64,
        )
        if not self.mirrored:
            return turned
        mirror = np.array([[-1, 0, w - 1], [0, 1, 0], [0, 0, 1]], np.float64)
        return np.asarray(mirror @ turned)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Frame(Shaped):
    """One decoded frame, as coded. ``decode.rgb_of(frame)`` gives the upright RGB view for models."""

    index: int
    """0-based in the clip's range."""
    pts: int
    duration: int
    planes: tuple[Plane, ...]
    """As coded (not turned): Y, U, V (semi-planar formats are split), or gray, or G, B, R; alpha last."""
    info: VideoInfo


class FrameSource(Protocol):
    """A clip, as far as the passes read it."""

    @property
    def info(self) -> VideoInfo: ...

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Yield the frames ``start`` to ``stop`` (exclusive), in order."""
        ...

    def frames_at(self, indices: Sequence[int]) -> Iterator[Frame]:
        """Yield the frames of some rising indices."""
        ...


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Person(Shaped):
    """One person in one frame, as a people backend reports; source space."""

    SHAPES: ClassVar[Shapes] = {
        "box_xyxy": (4,),
        "joints": (NUM_JOINTS, 3),
        "skeleton": (NUM_SKELETON, 3),
        "mask": ("H", "W"),
    }

    box_xyxy: NDArray[np.float64]
    """(4,) px."""
    score: float
    """0..1."""
    joints: NDArray[np.float32]
    """(21, 3) x, y px and confidence 0..1; x, y NaN where unknown. Rows are ``JOINT_NAMES``."""
    skeleton: NDArray[np.float32]
    """(23, 3) x, y, z px, orthographic, z 0 at the hips and smaller nearer; NaN unknown. Rows: ``SKELETON_NAMES``."""
    mask: Mask
    """(H, W) of the source picture."""
    earlier: tuple[Person, ...] = ()
    """The same one in the frames just before he was found, nearest first, where a look back saw him there."""
    earlier_from: int = 0
    """How many frames ago the first of them is."""
    follow_id: int = -1
    """The same in the frames in which the backend follows the same one; -1 where it does not follow people."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Track(Shaped):
    """One person followed through a shot (a tracklet), before linking; source space."""

    SHAPES: ClassVar[Shapes] = {
        "frames": ("N",), "boxes_xyxy": ("N", 4), "scores": ("N",), "joints": ("N", NUM_JOINTS, 3),
        "skeletons": ("N", NUM_SKELETON, 3), "color_histograms": ("N", BODY_PARTS, COLOR_BINS),
    }  # fmt: skip

    track_id: int
    frames: NDArray[np.int64]
    """(N,) rising frame numbers."""
    boxes_xyxy: NDArray[np.float64]
    """(N, 4)."""
    scores: NDArray[np.float32]
    """(N,)."""
    joints: NDArray[np.float32]
    """(N, 21, 3)."""
    skeletons: NDArray[np.float32]
    """(N, 23, 3)."""
    color_histograms: NDArray[np.uint8]
    """(N, 3, 70) colors of head, torso and legs: square roots of a histogram's weights times 255, 0 where unseen."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CameraMotion(Shaped):
    """The measured motion of the camera."""

    SHAPES: ClassVar[Shapes] = {"world_from_source": ("T", 3, 3), "reliable": ("T",)}

    world_from_source: Transforms
    """(T, 3, 3)."""
    reliable: NDArray[np.bool_]
    """(T,) False where too few points agreed and the last motion was held."""
    pairs: tuple[NDArray[np.float32], ...]
    """T arrays (N, 4): background points x, y in frame t-1 and x, y in frame t, source px; empty at cuts.
    Includes points on the ground around the feet of people."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Overlays(Shaped):
    """Burnt-in graphics of a clip (captions, icons, logos): masks at a reduced size, one for some frames in a row."""

    SHAPES: ClassVar[Shapes] = {"packed": ("N",), "offsets": ("B",)}

    size_wh: tuple[int, int]
    """Of the source picture."""
    small_wh: tuple[int, int]
    """Of the masks."""
    block_frames: int
    """A mask holds for so many frames; the first starts at frame 0."""
    packed: NDArray[np.uint8]
    """(N,) bits of all masks, each packed by zlib; one without graphics takes no bytes."""
    offsets: NDArray[np.int64]
    """(masks + 1,) where each begins and the last one ends."""

    def mask(self, frame: int) -> Mask | None:
        """Return (H, W) where graphics lie in a frame, None where there are none."""
        begin, end = self.offsets[frame // self.block_frames : frame // self.block_frames + 2].tolist()
        if begin == end:
            return None
        width, height = self.small_wh
        bits = np.frombuffer(zlib.decompress(self.packed[begin:end].tobytes()), np.uint8)
        small = np.unpackbits(bits, count=width * height).reshape(height, width)
        columns = np.arange(self.size_wh[0]) * width // self.size_wh[0]
        rows = np.arange(self.size_wh[1]) * height // self.size_wh[1]
        return np.asarray(small[rows[:, None], columns], np.bool_)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Survey(Shaped):
    """What one read of the clip told."""

    info: VideoInfo
    shot_starts: NDArray[np.int64]
    """(S,) first frame of each shot; the first is 0. Jump cuts are found later."""
    unexplained_change: NDArray[np.float32]
    """(T,) gray levels by which the worst parts of a frame differ from the frame before, moved by flow."""
    motion: CameraMotion
    tracks: tuple[Track, ...]
    overlays: Overlays | None = None
    """None where they were not looked for."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CameraPath(Shaped):
    """The camera's motion and its smoothing."""

    SHAPES: ClassVar[Shapes] = {"world_from_source": ("T", 3, 3), "stable_from_source": ("T", 3, 3)}

    world_from_source: Transforms
    """(T, 3, 3)."""
    stable_from_source: Transforms
    """(T, 3, 3), similarities."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Subject(Shaped):
    """The person to replace, over all frames; source space."""

    SHAPES: ClassVar[Shapes] = {
        "track_of_frame": ("T",), "presence": ("T",), "boxes_xyxy": ("T", 4), "joints": ("T", NUM_JOINTS, 3),
        "skeletons": ("T", NUM_SKELETON, 3), "body_height_px": ("T",),
    }  # fmt: skip

    track_of_frame: NDArray[np.int64]
    """(T,) the track whose mask is the subject's; -1 where none is. A track may be somebody else's in other frames."""
    presence: NDArray[np.uint8]
    """(T,) of ``Presence``."""
    boxes_xyxy: NDArray[np.float64]
    """(T, 4), NaN where absent."""
    joints: NDArray[np.float32]
    """(T, 21, 3) smoothed, gaps filled; NaN where unknown."""
    skeletons: NDArray[np.float32]
    """(T, 23, 3) smoothed (z more than x and y)."""
    body_height_px: NDArray[np.float64]
    """(T,) standing height in source px, smooth over time, NaN where absent."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Contacts(Shaped):
    """When the feet are planted and where; columns are left, right."""

    SHAPES: ClassVar[Shapes] = {"planted": ("T", 2), "plant_id": ("T", 2), "anchors": ("T", 2, 2), "speed": ("T", 2)}

    planted: NDArray[np.bool_]
    """(T, 2)."""
    plant_id: NDArray[np.int64]
    """(T, 2) number of the plant, -1 in the air."""
    anchors: NDArray[np.float64]
    """(T, 2, 2) source px: where the planted ankle stands, carried by the local ground motion; NaN in the air."""
    speed: NDArray[np.float64]
    """(T, 2) ankle speed against the ground, body heights a second; NaN unknown."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a shot that the viewer sees as one; frames ``start`` to ``stop`` (exclusive)."""

    shot: int
    start: int
    stop: int
    kind: Literal["approach", "hold", "exit", "whole", "part"]


@dataclass(frozen=True, slots=True)
class Chunk:
    """The unit of checkpointing: frames ``start`` to ``stop`` (exclusive) of one segment."""

    index: int
    shot: int
    segment: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CropPath(Shaped):
    """The generator's virtual camera."""

    SHAPES: ClassVar[Shapes] = {"crop_from_stable": ("T", 3, 3)}

    crop_from_stable: Transforms
    """(T, 3, 3), similarities (times the pixel aspect, so that crop pixels are square)."""
    size_wh: tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Plan(Shaped):
    """All decisions of a job; made without frames, saved as a file."""

    shot_starts: NDArray[np.int64]
    segments: tuple[Segment, ...]
    chunks: tuple[Chunk, ...]
    camera: CameraPath
    subject: Subject
    contacts: Contacts
    crop: CropPath
    warnings: tuple[str, ...] = ()
    overlays: Overlays | None = None

    def __post_init__(self) -> None:
        frames = {
            "camera": len(self.camera.world_from_source),
            "subject": len(self.subject.presence),
            "contacts": len(self.contacts.planted),
            "crop": len(self.crop.crop_from_stable),
        }
        if len(set(frames.values())) > 1:
            raise ValueError(f"the parts of a plan are of different lengths: {frames}")

    def crop_from_source(self, frame: int) -> Transforms:
        """(3, 3) of one frame."""
        return self.crop.crop_from_stable[frame] @ self.camera.stable_from_source[frame]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ReferencePicture(Shaped):
    """One picture of who is put in."""

    SHAPES: ClassVar[Shapes] = {"picture": ("H", "W", "C")}

    picture: NDArray[np.uint8]
    """(H, W, 3 or 4) RGB(A)."""
    person: Person
    """The one person in it; the picture's pixels."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Appearance(Shaped):
    """Who is put in; once a job."""

    SHAPES: ClassVar[Shapes] = {"reference": ("H", "W", "C")}

    prompt: str = ""
    negative_prompt: str = ""
    reference: NDArray[np.uint8] | None = None
    """(H, W, 3 or 4) RGB(A), the reference picture."""
    reference_person: Person | None = None
    """The person found in the reference picture; its pixels' space."""
    more_references: tuple[ReferencePicture, ...] = ()
    """The same person from other sides."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Layer(Shaped):
    """The new person in one frame, straight (not premultiplied) colour; crop space."""

    SHAPES: ClassVar[Shapes] = {"picture": ("h", "w", 3), "alpha": ("h", "w"), "joints": (NUM_JOINTS, 3)}

    picture: Picture
    """(h, w, 3)."""
    alpha: NDArray[np.uint8] | None
    """(h, w) 0..255; None where the generator gives no matte."""
    joints: NDArray[np.float32] | None = None
    """(21, 3) x, y crop px and confidence of the new person, where the generator knows them."""
    matte_is_propagated: bool = False
    """Nobody was found in the generated picture: the alpha is the frame before's, moved."""
    is_pixelated: bool = False
    """The safety checker flagged it."""

    @classmethod
    def empty(cls, size_wh: tuple[int, int]) -> Layer:
        """Return the layer of a frame without the subject."""
        width, height = size_wh
        joints = np.full((NUM_JOINTS, 3), np.nan, np.float32)
        joints[:, 2] = 0
        return cls(np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.uint8), joints)


@dataclass(frozen=True, slots=True, eq=False)
class SceneLight:
    """The light that falls on a person, over N frames. Linear: 1 makes a white surface the picture's white."""

    key_direction: NDArray[np.float32]
    """(N, 3) unit vectors towards the key light: x right, y down, z away from the camera."""
    key_rgb: NDArray[np.float32]
    """(N, 3) what a surface gets that faces the key light."""
    ambient_rgb: NDArray[np.float32]
    """(N, 3) what an open surface gets from the sky; the ground gives back two fifths of it, in its own colour."""

    def part(self, start: int, stop: int) -> SceneLight:
        """Return the frames [start, stop) of it."""
        return SceneLight(self.key_direction[start:stop], self.key_rgb[start:stop], self.ambient_rgb[start:stop])

    @classmethod
    def daylight(cls, num_frames: int) -> SceneLight:
        """Return soft daylight from above, in front and the picture's left: what stands in where nothing is known."""
        key = np.array([-0.42, -0.74, -0.53], np.float32)

        def over_time(values: NDArray[np.float32]) -> NDArray[np.float32]:
            return np.tile(values, (num_frames, 1)).astype(np.float32)

        return cls(
            over_time(key / np.linalg.norm(key)),
            over_time(np.array([1.06, 1.0, 0.92], np.float32) * np.float32(0.72)),
            over_time(np.array([0.90, 0.97, 1.08], np.float32) * np.float32(0.50)),
        )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CastShadows(Shaped):
    """The shadow that the subject throws on the ground, over T frames; see ``maths.cast_shadow``."""

    SHAPES: ClassVar[Shapes] = {"shear": ("T", 2), "darkness": ("T", 3), "softness_bh": ("T",)}

    shear: NDArray[np.float32]
    """(T, 2) px to the right and up by which a px of height throws its shadow."""
    darkness: NDArray[np.float32]
    """(T, 3) share of the linear light that it takes, RGB; 0 where there is none."""
    softness_bh: NDArray[np.float32]
    """(T,) standard deviation of its edge before the shear, body heights."""

    @classmethod
    def none(cls, num_frames: int) -> CastShadows:
        """Return no shadows at all."""
        zeros = np.zeros((num_frames, 3), np.float32)
        return cls(zeros[:, :2], zeros, zeros[:, 0])

    def shear_at(self, frame: int) -> tuple[float, float] | None:
        """Return the shear in a frame, None where no shadow falls."""
        if not self.darkness[frame].any():
            return None
        return float(self.shear[frame, 0]), float(self.shear[frame, 1])


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FigureGuide(Shaped):
    """The posed figure in the frames of a window: guidance for generators that paint; crop space."""

    SHAPES: ClassVar[Shapes] = {"depth": ("N", "h", "w"), "normals": ("N", "h", "w", 3)}

    layers: tuple[Layer, ...]
    """N: the figure as the mannequin draws it, with its shadow on the ground."""
    depth: NDArray[np.float32]
    """(N, h, w) orthographic z, crop px, smaller nearer; NaN where the figure is not."""
    normals: NDArray[np.float32]
    """(N, h, w, 3) unit, x right, y down, z away from the camera; 0 where the figure is not."""

    @property
    def silhouette(self) -> NDArray[np.bool_]:
        """(N, h, w): where the figure is."""
        return np.isfinite(self.depth)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Window(Shaped):
    """What a generator takes at once: N frames in crop space. Pictures that ``Needs`` does not ask for are None."""

    SHAPES: ClassVar[Shapes] = {
        "pts_seconds": ("N",), "joints": ("N", NUM_JOINTS, 3), "skeletons": ("N", NUM_SKELETON, 3),
        "planted": ("N", 2), "body_height_px": ("N",), "presence": ("N",), "pictures": ("N", "h", "w", 3),
        "plates": ("N", "h", "w", 3), "masks": ("N", "h", "w"),
    }  # fmt: skip

    start: int
    """First frame's number."""
    size_wh: tuple[int, int]
    pts_seconds: NDArray[np.float64]
    """(N,)."""
    joints: NDArray[np.float32]
    """(N, 21, 3)."""
    skeletons: NDArray[np.float32]
    """(N, 23, 3) x, y, z crop px."""
    planted: NDArray[np.bool_]
    """(N, 2) left, right."""
    body_height_px: NDArray[np.float64]
    """(N,) crop px."""
    presence: NDArray[np.uint8]
    """(N,)."""
    pictures: NDArray[np.uint8] | None = None
    """(N, h, w, 3) the stabilized source."""
    plates: NDArray[np.uint8] | None = None
    """(N, h, w, 3) the clean background."""
    masks: NDArray[np.bool_] | None = None
    """(N, h, w) the subject."""
    controls: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)
    """name -> (N, h, w, 3)."""
    finished: tuple[Layer, ...] = ()
    """Layers already made for the window's first frames (at most ``Needs.conditioning_frames``)."""
    light: SceneLight | None = None
    """Of the window's frames; None where it is not known."""
    figure: FigureGuide | None = None
    """The posed figure, for generators that are guided by it."""

    @property
    def num_frames(self) -> int:
        return len(self.pts_seconds)
