"""Burnt-in graphics of edited videos, drawn with known coverage: captions, stickers, watermarks, an app's interface.

Each kind maps a frame number to a picture with alpha. There are two styles of each: with other words, letters, colors,
places and times, so that thresholds can be chosen on one and judged on the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Picture = NDArray[np.uint8]
Alpha = NDArray[np.float32]
Color = tuple[int, int, int]
_OVERSAMPLING = 2
"""Graphics are drawn larger and made smaller, so that their edges are soft as an editor's."""
_CYCLE = ("one", "day", "WE", "walk", "over", "THERE", "and", "never", "come", "back")


@dataclass(frozen=True, slots=True)
class Style:
    """How an editor's graphics look."""

    font: str
    fill: Color
    outline: Color
    row: float
    """Height of captions, fraction of the picture's."""
    column: float
    """Middle of captions, fraction of the picture's width."""
    first: int
    last: int
    """Frames of graphics that begin and end within the clip."""
    words: tuple[str, str]
    word_frames: int
    """Frames that a single word is shown for."""


STYLES = (
    Style("default", (255, 255, 255), (0, 0, 0), 0.72, 0.5, 40, 96, ("wait for it", "he did not"), 9),
    Style("DejaVuSans-Bold.ttf", (250, 225, 40), (40, 10, 70), 0.62, 0.48, 28, 83, ("So I went out", "EVERY DAY"), 11),
)


class Canvas:
    """One frame's graphics while they are drawn; lengths are fractions of the picture's short side."""

    def __init__(self, size_wh: tuple[int, int]) -> None:
        self._size_wh = size_wh
        self.width = size_wh[0] * _OVERSAMPLING
        self.height = size_wh[1] * _OVERSAMPLING
        self.unit = min(self.width, self.height)
        self._image = Image.new("RGBA", (self.width, self.height), (0, 0, 0, 0))
        self.draw = ImageDraw.Draw(self._image)

    def text(self, words: str, x: float, y: float, size: float, style: Style, opacity: float = 1.0) -> None:
        """Write outlined words around a point; ``x``, ``y`` are fractions of width and height."""
        shade = round(255 * opacity)
        self.draw.text(
            (x * self.width, y * self.height),
            words,
            font=_font(style.font, max(6, round(size * self.unit))),
            anchor="mm",
            fill=(*style.fill, shade),
            stroke_width=max(1, round(0.008 * self.unit * size / 0.1)),
            stroke_fill=(*style.outline, shade),
        )

    def layer(self) -> tuple[Picture, Alpha]:
        """Return the colors (H, W, 3) and the coverage (H, W) 0..1."""
        premultiplied = np.asarray(self._image, np.float32)
        premultiplied[..., :3] *= premultiplied[..., 3:] / 255
        small = np.stack([_halved(premultiplied[..., channel]) for channel in range(4)], axis=-1)
        alpha = small[..., 3] / 255
        colors = small[..., :3] / np.maximum(alpha, 1e-3)[..., None]
        return np.clip(np.rint(colors), 0, 255).astype(np.uint8), alpha.astype(np.float32)


def _halved(values: NDArray[np.float32]) -> NDArray[np.float32]:
    height, width = values.shape
    blocks = values.reshape(height // _OVERSAMPLING, _OVERSAMPLING, width // _OVERSAMPLING, _OVERSAMPLING)
    return np.asarray(blocks.mean(axis=(1, 3)), np.float32)


@lru_cache(maxsize=64)
def _font(name: str, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    if name == "default":
        return ImageFont.load_default(size)
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)


def caption(canvas: Canvas, t: int, style: Style) -> None:
    """Two lines that begin and end within the clip, without a fade."""
    if style.first <= t < style.last:
        canvas.text(style.words[0], style.column, style.row, 0.11, style)
        canvas.text(style.words[1], style.column, style.row + 0.13, 0.11, style)


def hook(canvas: Canvas, t: int, style: Style) -> None:
    """A line that is there from the first frame to the last, in front of the subject's chest."""
    canvas.text(style.words[1], style.column, style.row - 0.2, 0.1, style)


def karaoke(canvas: Canvas, t: int, style: Style) -> None:
    """One word at a time at the same place, a third of a second each."""
    if t >= 12:
        canvas.text(_CYCLE[t // style.word_frames % len(_CYCLE)], style.column, style.row + 0.05, 0.14, style)


def panel(canvas: Canvas, t: int, style: Style) -> None:
    """A caption on a translucent panel, which fades in and out over five frames."""
    opacity = float(np.clip(min(t - style.first, style.last + 20 - t) / 5, 0, 1))
    if opacity > 0:
        x, y = style.column * canvas.width, (style.row + 0.03) * canvas.height
        half = 0.36 * canvas.unit, 0.1 * canvas.unit
        box = (x - half[0], y - half[1], x + half[0], y + half[1])
        canvas.draw.rounded_rectangle(box, 0.03 * canvas.unit, fill=(*style.outline, round(150 * opacity)))
        canvas.text(style.words[0], style.column, style.row + 0.03, 0.09, style, opacity)


def lower_third(canvas: Canvas, t: int, style: Style) -> None:
    """A name on a translucent panel that is there from the first frame to the last."""
    left, top = (0.05 if style is STYLES[0] else 0.32) * canvas.width, (style.row + 0.02) * canvas.height
    box = (left, top, left + 0.55 * canvas.width, top + 0.2 * canvas.unit)
    canvas.draw.rectangle(box, fill=(*style.outline, 140))
    canvas.text(style.words[0], (left + 0.27 * canvas.width) / canvas.width, style.row + 0.12, 0.08, style)


def pop(canvas: Canvas, t: int, style: Style) -> None:
    """A caption that grows beyond its size in seven frames, stays, and shrinks away."""
    grown = np.interp(t, [style.first, style.first + 5, style.first + 8], [0.2, 1.2, 1.0])
    shrunk = np.interp(t, [style.last - 5, style.last], [1.0, 0.2])
    if style.first <= t < style.last:
        canvas.text(style.words[1], style.column, style.row, 0.16 * float(min(grown, shrunk)), style)


def sticker(canvas: Canvas, t: int, style: Style) -> None:
    """A star that turns back and forth and pulsates at a fixed place."""
    middle = np.array([(style.column - 0.06) * canvas.width, (style.row - 0.14) * canvas.height])
    turn = 0.35 * np.sin(2 * np.pi * t / 16)
    radius = (0.11 + 0.012 * np.sin(2 * np.pi * t / 10)) * canvas.unit
    angles = turn + np.arange(10) * np.pi / 5
    reach = np.where(np.arange(10) % 2 == 0, radius, 0.5 * radius)
    corners = middle + reach[:, None] * np.stack([np.sin(angles), -np.cos(angles)], axis=-1)
    points = [(float(x), float(y)) for x, y in corners]
    canvas.draw.polygon(
        points, fill=(*style.fill, 255), outline=(*style.outline, 255), width=round(0.012 * canvas.unit)
    )


def watermark(canvas: Canvas, t: int, style: Style) -> None:
    """Pale translucent words over the whole clip."""
    pale = replace(style, outline=style.fill)
    canvas.text("@understudy", style.column, style.row - 0.2, 0.1, pale, 0.4)


def progress(canvas: Canvas, t: int, style: Style) -> None:
    """A bar that grows along the lower edge, on a darker one."""
    top = (0.93 if style is STYLES[0] else 0.9) * canvas.height
    bottom = top + 0.022 * canvas.unit
    canvas.draw.rectangle((0, top, canvas.width, bottom), fill=(50, 50, 50, 255))
    canvas.draw.rectangle((0, top, canvas.width * min(1.0, (t + 5) / 150), bottom), fill=(230, 40, 60, 255))


def letterbox(canvas: Canvas, t: int, style: Style) -> None:
    """Black bars above and below."""
    bar = (0.11 if style is STYLES[0] else 0.13) * canvas.height
    canvas.draw.rectangle((0, 0, canvas.width, bar), fill=(0, 0, 0, 255))
    canvas.draw.rectangle((0, canvas.height - bar, canvas.width, canvas.height), fill=(0, 0, 0, 255))


def emoji(canvas: Canvas, t: int, style: Style) -> None:
    """A round face that stays at one place, over the subject for a while."""
    if not style.first - 20 <= t < style.last + 30:
        return
    x, y = (style.column + 0.02) * canvas.width, (style.row - 0.22) * canvas.height
    radius = 0.09 * canvas.unit
    line = max(2, round(0.014 * canvas.unit))
    canvas.draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(255, 205, 60, 255))
    for side in (-0.4, 0.4):
        eye = x + side * radius, y - 0.25 * radius
        canvas.draw.ellipse((eye[0] - line, eye[1] - line, eye[0] + line, eye[1] + line), fill=(70, 40, 10, 255))
    mouth = (x - 0.5 * radius, y - 0.3 * radius, x + 0.5 * radius, y + 0.6 * radius)
    canvas.draw.arc(mouth, 20, 160, fill=(70, 40, 10, 255), width=line)


def app(canvas: Canvas, t: int, style: Style) -> None:
    """An app's interface: round icons with numbers at the right, an account's name and text below."""
    side = 0.9 if style is STYLES[0] else 0.1
    for number, color in enumerate(((240, 60, 80), (250, 250, 250), (60, 160, 240))):
        x, y = side * canvas.width, (0.42 + 0.17 * number) * canvas.height
        radius = 0.05 * canvas.unit
        canvas.draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(*color, 255))
        canvas.text(f"{12 + 31 * number}.{number}K", side, 0.505 + 0.17 * number, 0.045, style)
    plain = replace(style, fill=(255, 255, 255), outline=(30, 30, 30))
    canvas.text("@someone.walks", style.column - 0.12, 0.88, 0.06, plain)
    canvas.text("a day out #walk #fyp", style.column - 0.09, 0.95, 0.05, plain)


Draw = Callable[[Canvas, int, Style], None]
KINDS: dict[str, Draw] = {
    each.__name__: each
    for each in (caption, hook, karaoke, panel, lower_third, pop, sticker, watermark, progress, letterbox, emoji, app)
}


def drawn(kinds: tuple[str, ...], t: int, size_wh: tuple[int, int], style: Style) -> tuple[Picture, Alpha]:
    """Return the graphics of some kinds in frame ``t``: colors (H, W, 3) and coverage (H, W)."""
    canvas = Canvas(size_wh)
    for name in kinds:
        KINDS[name](canvas, t, style)
    return canvas.layer()


def laid_on(picture: Picture, graphics: tuple[Picture, Alpha]) -> Picture:
    """Return a picture (H, W, 3) with graphics on it."""
    colors, alpha = graphics
    mixed = picture + alpha[..., None] * (colors.astype(np.float32) - picture)
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
