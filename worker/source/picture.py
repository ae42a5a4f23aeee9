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

_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "HEIF", "AVIF")
"""Formats whose decoders read nothing but the file itself."""
_UNKNOWN_WHITE = ("F", "I")
"""Modes of 32 bits a sample: nothing tells which value is white."""


def read_reference(path: Path, max_megapixels: float, field: str = "reference_image_url") -> NDArray[np.uint8]:
    """Return a picture as (H, W, 3 or 4) RGB or RGBA, turned as its EXIF data says.

    Its size is taken from the header, before anything is decoded. Raises ``UnsupportedMedia`` where it is no picture
    or one of 32 bits a sample, ``TooLarge`` over ``max_megapixels``.
    """
    _register_heif()
    too_large = TooLarge(f"the picture is over {max_megapixels:g} megapixels", field=field)
    try:
        with warnings.catch_warnings():
            # Pillow warns of pictures over its own limit; ours is asked for here.
            warnings.simplefilter("ignore")
            with Image.open(path, formats=_FORMATS) as picture:
                if picture.width * picture.height > max_megapixels * 1e6:
                    raise too_large
                return _pixels(picture, field)
    except (TooLarge, UnsupportedMedia):
        raise
    except Image.DecompressionBombError:
        # Pillow's own limit is found in the header as well.
        raise too_large from None
    except Exception:
        # A dozen decoders, fed with damaged or hostile bytes, raise whatever comes to them.
        raise UnsupportedMedia(
            "the reference is not a picture that can be read (PNG, JPEG, WebP, BMP, TIFF, HEIC or AVIF)", field=field
        ) from None


def _pixels(picture: Image.Image, field: str) -> NDArray[np.uint8]:
    if picture.mode in _UNKNOWN_WHITE:
        raise UnsupportedMedia("pictures with 32 bits a sample cannot be read; 8 and 16 bits can", field=field)
    turned = _turned(picture)
    if turned.mode.startswith("I;16"):
        # Pillow would clip at 255, not scale.
        gray = (np.asarray(turned).astype(np.uint32) * 255 + 32767) // 65535
        return np.repeat(gray.astype(np.uint8)[..., None], 3, axis=2)
    return np.asarray(turned.convert("RGBA" if turned.has_transparency_data else "RGB"), np.uint8)


def _turned(picture: Image.Image) -> Image.Image:
    """Turn a picture as its EXIF data says; as it is where that data is damaged."""
    try:
        return ImageOps.exif_transpose(picture)
    except Exception:
        # What is wrong with the picture itself shows when it is decoded.
        return picture


@cache
def _register_heif() -> None:
    pillow_heif.register_heif_opener()
