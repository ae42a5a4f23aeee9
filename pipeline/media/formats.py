"""Pixel formats: which are supported, and how a decoded picture is split into planes without copying where possible.

Every format is read as the planar one with the same samples: packed, semi-planar and big-endian layouts become views
(or copies) of it, and a few rare ones go through swscale, which repacks them without loss.
"""

from __future__ import annotations

import re
from functools import lru_cache

import av
import numpy as np

from pipeline.datatypes.arrays import Plane

_PLANAR = re.compile(
    r"yuva?j?4\d\dp(9|10|12|14|16)?|gray(9|10|12|14|16)?|gbrp(9|10|12|14|16)?|gbrap(10|12|14|16)?", re.ASCII
)
_PACKED_RGB = ("rgb24", "bgr24", "rgb0", "bgr0", "0rgb", "0bgr", "rgba", "bgra", "argb", "abgr")
_PACKED_RGB_16 = ("rgb48", "bgr48", "rgba64", "bgra64")
_PACKED_422 = ("yuyv422", "uyvy422", "yvyu422")
_SEMI_PLANAR = {
    "nv12": ("yuv420p", 0),
    "nv21": ("yuv420p", 0),
    "nv16": ("yuv422p", 0),
    "nv24": ("yuv444p", 0),
    "nv42": ("yuv444p", 0),
    "nv20": ("yuv422p10le", 0),
    "p010": ("yuv420p10le", 6),
    "p012": ("yuv420p12le", 4),
    "p016": ("yuv420p16le", 0),
    "p210": ("yuv422p10le", 6),
    "p212": ("yuv422p12le", 4),
    "p216": ("yuv422p16le", 0),
    "p410": ("yuv444p10le", 6),
    "p412": ("yuv444p12le", 4),
    "p416": ("yuv444p16le", 0),
}
"""The planar format, and the number of bits by which samples are shifted left."""
_REPACKED = {
    "pal8": "gbrap",
    "rgb8": "gbrp",
    "bgr8": "gbrp",
    "rgb4_byte": "gbrp",
    "bgr4_byte": "gbrp",
    **dict.fromkeys(
        (f"{order}{bits}{end}" for order in ("rgb", "bgr") for bits in ("444", "555", "565") for end in ("le", "be")),
        "gbrp",
    ),
    "x2rgb10le": "gbrp10le",
    "x2bgr10le": "gbrp10le",
    "ya8": "gbrap",
    "monow": "gbrp",
    "monob": "gbrp",
    "vuyx": "yuv444p",
    "vuya": "yuva444p",
    "ayuv": "yuva444p",
    "uyva": "yuva444p",
    "y210le": "yuv422p10le",
    "y212le": "yuv422p12le",
    "xv30le": "yuv444p10le",
    "xv36le": "yuv444p12le",
    "ayuv64le": "yuva444p16le",
    "uyyvyy411": "yuv411p",
}
"""Formats that swscale converts to the planar format, sample for sample."""
READ_FORMATS = tuple(
    sorted(
        {
            *_PACKED_RGB,
            *(name + end for name in _PACKED_RGB_16 for end in ("le", "be")),
            *_PACKED_422,
            *(name if name in ("nv12", "nv21", "nv16", "nv24", "nv42") else name + "le" for name in _SEMI_PLANAR),
            *_REPACKED,
        }
    )
)
"""Supported formats besides planar YUV, gray and RGB (8 to 16 bits, either byte order)."""


@lru_cache(maxsize=64)
def planar_name(pix_fmt: str) -> str | None:
    """Return the planar format (little-endian, full-range names kept) that holds a format's samples; None: not
    supported."""
    bare = re.sub(r"[lb]e$", "", pix_fmt)
    if _PLANAR.fullmatch(bare):
        return bare if bare == pix_fmt else f"{bare}le"
    if pix_fmt in _PACKED_RGB:
        return "gbrap" if "a" in pix_fmt else "gbrp"
    if bare in _PACKED_RGB_16:
        return "gbrap16le" if "a" in bare else "gbrp16le"
    if pix_fmt in _PACKED_422:
        return "yuv422p"
    if bare in _SEMI_PLANAR:
        return _SEMI_PLANAR[bare][0]
    return _REPACKED.get(pix_fmt)


def planes_of(picture: av.VideoFrame) -> tuple[Plane, ...]:
    """View the samples of each component, as ``planar_name`` orders them; read-only, a decoder may still refer to them.

    Y, U, V or gray or G, B, R; alpha last. Deep samples are uint16 in the low bits.
    """
    name = picture.format.name
    if name in _REPACKED:
        # With several threads swscale occasionally leaves samples of a slice's first row uninitialized.
        picture = picture.reformat(format=_REPACKED[name], threads=1)
        name = picture.format.name
    bare = re.sub(r"[lb]e$", "", name)
    if name in _PACKED_RGB or bare in _PACKED_RGB_16:
        return _packed_rgb(picture, name, bare)
    if name in _PACKED_422:
        return _packed_422(picture, name)
    if bare in _SEMI_PLANAR:
        return _semi_planar(picture, name, bare)
    kind = _sample_type(picture)
    components = sorted(picture.format.components, key=lambda component: component.plane)
    return tuple(
        _little(_samples(plane, component.width, component.height, kind))
        for plane, component in zip(picture.planes, components, strict=True)
    )


def _packed_rgb(picture: av.VideoFrame, name: str, bare: str) -> tuple[Plane, ...]:
    order = bare.removesuffix("24").removesuffix("48").removesuffix("64")
    kind = _sample_type(picture)
    packed = _little(_samples(picture.planes[0], picture.width, picture.height, kind, len(order)))
    return tuple(packed[..., order.index(letter)] for letter in ("gbra" if "a" in order else "gbr"))


def _packed_422(picture: av.VideoFrame, name: str) -> tuple[Plane, ...]:
    pairs = _samples(picture.planes[0], -(-picture.width // 2), picture.height, np.dtype(np.uint8), 4)
    order = name.removesuffix("422")
    first = order.index("y")
    row = picture.planes[0].line_size
    luma = np.lib.stride_tricks.as_strided(
        pairs[..., first:], (picture.height, picture.width), (row, 2), writeable=False
    )
    return luma, pairs[..., order.index("u")], pairs[..., order.index("v")]


def _semi_planar(picture: av.VideoFrame, name: str, bare: str) -> tuple[Plane, ...]:
    kind = _sample_type(picture)
    luma = _samples(picture.planes[0], picture.width, picture.height, kind)
    chroma = picture.format.components[1]
    pairs = _samples(picture.planes[1], chroma.width, chroma.height, kind, 2)
    u, v = (1, 0) if name in ("nv21", "nv42") else (0, 1)
    shift = _SEMI_PLANAR[bare][1]
    planes = tuple(_little(plane) for plane in (luma, pairs[..., u], pairs[..., v]))
    return tuple(plane >> shift for plane in planes) if shift else planes


def _sample_type(picture: av.VideoFrame) -> np.dtype[np.generic]:
    if picture.format.components[0].bits <= 8:
        return np.dtype(np.uint8)
    return np.dtype(">u2" if picture.format.name.endswith("be") else "<u2")


def _little(plane: Plane) -> Plane:
    if plane.dtype.byteorder != ">":
        return plane
    swapped = plane.astype("<u2")
    swapped.flags.writeable = False
    return swapped


def _samples(
    plane: av.video.plane.VideoPlane, width: int, height: int, kind: np.dtype[np.generic], channels: int = 1
) -> Plane:
    rows = np.frombuffer(plane, dtype=kind)
    row = plane.line_size // rows.itemsize
    view: Plane = rows[: row * height].reshape(height, row)[:, : width * channels]
    if channels > 1:
        view = np.lib.stride_tricks.as_strided(
            view, (height, width, channels), (plane.line_size, channels * rows.itemsize, rows.itemsize)
        )
    view.flags.writeable = False
    return view
