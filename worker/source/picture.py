"""Read a caller's reference picture."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from pipeline.errors import TooLarge, UnsupportedMedia
from pipeline.settings import LimitSettings

_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")
"""Formats whose decoders read nothing but the file itself."""


def read_reference(path: Path, limits: LimitSettings, field: str = "reference_image_url") -> NDArray[np.uint8]:
    """Return a picture as (H, W, 3 or 4) RGB or RGBA, turned as its EXIF data says.

    Its size is taken from the header, before anything is decoded. Raises ``UnsupportedMedia`` where it is no picture,
    ``TooLarge`` over ``limits``.
    """
    try:
        with warnings.catch_warnings():
            # Pillow warns of pictures over its own limit; ours is asked for here.
            warnings.simplefilter("ignore")
            with Image.open(path, formats=_FORMATS) as picture:
                if picture.width * picture.height > limits.max_reference_megapixels * 1e6:
                    raise TooLarge(f"the picture is over {limits.max_reference_megapixels:g} megapixels", field=field)
                turned = ImageOps.exif_transpose(picture)
                return np.asarray(turned.convert("RGBA" if turned.has_transparency_data else "RGB"), np.uint8)
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError, MemoryError):
        # What Pillow's decoders raise on damaged files.
        raise UnsupportedMedia("the reference is no picture that can be read", field=field) from None
