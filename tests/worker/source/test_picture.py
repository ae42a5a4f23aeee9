"""Reference pictures: formats, depths, orientation, sizes that a header only claims, and damaged bytes."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from pipeline.errors import TooLarge, UnsupportedMedia
from pipeline.settings import LimitSettings
from worker.source.picture import read_reference

MAX_MEGAPIXELS = LimitSettings().max_reference_megapixels


def smooth(width: int = 64, height: int = 48) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 255 // width, y * 255 // height, (x + y) * 255 // (width + height)], axis=-1).astype(np.uint8)


@pytest.mark.parametrize(
    ("name", "options", "tolerance"),
    [
        ("a.png", {}, 0),
        ("a.jpg", {"quality": 95}, 3),
        ("a.webp", {"lossless": True}, 0),
        ("a.bmp", {}, 0),
        ("a.tif", {}, 0),
        ("a.avif", {"quality": 95}, 4),
        ("a.heic", {"quality": 95}, 4),
    ],
)
def test_every_format_is_read(tmp_path: Path, name: str, options: dict[str, object], tolerance: float) -> None:
    pillow_heif.register_heif_opener()
    path = tmp_path / name
    Image.fromarray(smooth()).save(path, **options)
    assert np.abs(read_reference(path, MAX_MEGAPIXELS).astype(int) - smooth()).mean() <= tolerance


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.avif", "a.heic", "a.tif"])
def test_alpha_stays(tmp_path: Path, name: str) -> None:
    pillow_heif.register_heif_opener()
    rgba = np.dstack([smooth(), np.full((48, 64), 128, np.uint8)])
    Image.fromarray(rgba).save(tmp_path / name)
    got = read_reference(tmp_path / name, MAX_MEGAPIXELS)
    assert got.shape == (48, 64, 4)
    assert abs(float(got[..., 3].mean()) - 128) < 2


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sixteen_bits_of_gray_are_scaled(tmp_path: Path, name: str) -> None:
    gray = smooth()[..., 0]
    Image.fromarray(gray.astype(np.uint16) * 257).save(tmp_path / name)
    got = read_reference(tmp_path / name, MAX_MEGAPIXELS)
    assert got.shape == (48, 64, 3)
    assert np.array_equal(got, np.repeat(gray[..., None], 3, axis=2))


def test_sixteen_bits_of_color_are_scaled(tmp_path: Path) -> None:
    rows = (smooth().astype(np.uint16) * 257).astype(">u2")
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", 64, 48, 16, 2, 0, 0, 0)
    (tmp_path / "a.png").write_bytes(png([(b"IHDR", header), (b"IDAT", zlib.compress(raw)), (b"IEND", b"")]))
    assert np.abs(read_reference(tmp_path / "a.png", MAX_MEGAPIXELS).astype(int) - smooth()).max() <= 1


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_thirty_two_bits_are_refused_by_name(tmp_path: Path, kind: type[np.generic]) -> None:
    Image.fromarray(smooth()[..., 0].astype(kind)).save(tmp_path / "a.tif")
    with pytest.raises(UnsupportedMedia, match="32 bits") as caught:
        read_reference(tmp_path / "a.tif", MAX_MEGAPIXELS)
    assert caught.value.field == "reference_image_url"


def png(chunks: list[tuple[bytes, bytes]]) -> bytes:
    parts = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("side", [6400, 30_000, 60_000])
def test_a_too_large_picture_is_refused_by_its_header(tmp_path: Path, side: int) -> None:
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    (tmp_path / "a.png").write_bytes(png([(b"IHDR", header), (b"IDAT", b""), (b"IEND", b"")]))
    with pytest.raises(TooLarge, match="larger than 40 megapixels"):
        read_reference(tmp_path / "a.png", MAX_MEGAPIXELS)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_the_picture(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(smooth()).save(tmp_path / "a.png", exif=exif)
    got = read_reference(tmp_path / "a.png", MAX_MEGAPIXELS)
    flipped = smooth()[:, ::-1] if orientation in (2, 4, 5, 7) else smooth()
    turns = {1: 0, 2: 0, 3: 2, 4: 2, 5: 1, 6: -1, 7: -1, 8: 1}[orientation]
    assert np.array_equal(got, np.rot90(flipped, turns))


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0",
        b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x05\0\0\0\x01\xff\xff\xff\xff\0\0\0\0",
        b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + bytes(range(256)),
        b"Exif\0\0MM\0*\xff\xff\xff\xff",
        b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\0\0\0\x04\0\0\0\0\0\0\0\0",
    ],
)
def test_damaged_exif_loses_only_the_orientation(tmp_path: Path, exif: bytes) -> None:
    Image.fromarray(smooth()).save(tmp_path / "a.jpg", exif=exif, quality=95)
    assert read_reference(tmp_path / "a.jpg", MAX_MEGAPIXELS).shape == (48, 64, 3)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.tif", "a.heic", "a.avif"])
def test_mangled_pictures_are_read_or_refused(tmp_path: Path, name: str) -> None:
    pillow_heif.register_heif_opener()
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    kind = {"a.jpg": "JPEG", "a.tif": "TIFF", "a.heic": "HEIF"}.get(name, name[2:].upper())
    Image.fromarray(smooth(32, 24)).save(buffer, kind, exif=exif)
    random = np.random.default_rng(7)
    whole = np.frombuffer(buffer.getvalue(), np.uint8)
    for _ in range(120):
        data = whole.copy()
        where = random.integers(0, len(data), random.integers(1, 12))
        data[where] = random.integers(0, 256, len(where))
        cut = len(data) if random.random() < 0.7 else int(random.integers(0, len(data)))
        (tmp_path / name).write_bytes(data[:cut].tobytes())
        try:
            got = read_reference(tmp_path / name, MAX_MEGAPIXELS)
        except (UnsupportedMedia, TooLarge):
            continue
        assert got.dtype == np.uint8 and got.ndim == 3


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"GIF89a" + bytes(40), "HEIC or AVIF"), (b"<!doctype html>", "a web page, not a picture")],
)
def test_the_error_for_an_unreadable_picture_lists_the_formats_or_names_a_web_page(
    tmp_path: Path, content: bytes, told: str
) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(UnsupportedMedia, match=told):
        read_reference(tmp_path / "a.png", MAX_MEGAPIXELS)
