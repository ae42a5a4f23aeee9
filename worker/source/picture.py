"""Read a caller's reference picture."""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image, ImageOps

from pipeline.errors import TooLarge, UnsupportedMedia
from pipeline.runtime.web_pages import is_web_page

_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "HEIF", "AVIF")
"""Formats whose decoders read nothing but the file itself."""
_UNKNOWN_WHITE = ("F", "I")
"""Modes with 32 bits per sample, whose white level is unknown."""


def read_reference(path: Path, max_megapixels: float, field: str = "reference_image_url") -> NDArray[np.uint8]:
    """Return a picture as (H, W, 3 or 4) RGB or RGBA, rotated according to its EXIF data.

    Its size is read from the header, before anything is decoded. Raises ``UnsupportedMedia`` if it is not a picture or
    has 32 bits per sample, and ``TooLarge`` above ``max_megapixels``.
    """
    _register_heif()
    too_large = TooLarge(f"the picture is larger than {max_megapixels:g} megapixels", field=field)
    try:
        with warnings.catch_warnings():
            # Pillow warns about pictures above its own limit; ours is checked here.
            warnings.simplefilter("ignore")
            with Image.open(path, formats=_FORMATS) as picture:
                if picture.width * picture.height > max_megapixels * 1e6:
                    raise too_large
                return _pixels(picture, field)
    except (TooLarge, UnsupportedMedia):
        raise
    except Image.DecompressionBombError:
        # Pillow's own limit, also checked in the header.
        raise too_large from None
    except Exception:
        # A dozen decoders raise all kinds of exceptions on damaged or hostile data.
        told = "the reference is not a readable picture (PNG, JPEG, WebP, BMP, TIFF, HEIC or AVIF)"
        if is_web_page(path):
            told = "the reference is a web page, not a picture: give the address of the file itself"
        raise UnsupportedMedia(told, field=field) from None


def _pixels(picture: Image.Image, field: str) -> NDArray[np.uint8]:
    if picture.mode in _UNKNOWN_WHITE:
        raise UnsupportedMedia("pictures with 32 bits per sample are not supported; 8 and 16 bits are", field=field)
    turned = _turned(picture)
    if turned.mode.startswith("I;16"):
        # Pillow would clip at 255 instead of scaling.
        gray = (np.asarray(turned).astype(np.uint32) * 255 + 32767) // 65535
        return np.repeat(gray.astype(np.uint8)[..., None], 3, axis=2)
    return np.asarray(turned.convert("RGBA" if turned.has_transparency_data else "RGB"), np.uint8)


def _turned(picture: Image.Image) -> Image.Image:
    """Rotate a picture according to its EXIF data; damaged EXIF data is ignored."""
    try:
        return ImageOps.exif_transpose(picture)
    except Exception:
        # If the picture itself is damaged, decoding it will fail.
        return picture


@cache
def _register_heif() -> None:
    pillow_heif.register_heif_opener()
