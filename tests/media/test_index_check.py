"""Files whose tables claim contents that they do not have are refused before FFmpeg reads them."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from pipeline.errors import TooLarge
from pipeline.media.containers import decoded_pictures, open_container, video_stream
from pipeline.media.index_check import check_index
from pipeline.settings import LimitSettings
from tests.support.hostile_media import box, lying_mp4
from tests.support.media import make_clip, spec

_LIMITS = LimitSettings()
_LIE = 80_000_000


def _checked(folder: Path, data: bytes) -> None:
    path = folder / "clip"
    path.write_bytes(data)
    check_index(path, _LIMITS.max_frames)


@pytest.mark.parametrize("where", ["stsz", "stts", "ctts", "trun"])
@pytest.mark.parametrize("tracks", [1, 6])
def test_tables_with_too_many_samples_are_refused(tmp_path: Path, where: str, tracks: int) -> None:
    with pytest.raises(TooLarge):
        _checked(tmp_path, lying_mp4(_LIE, tracks, where=where))


@pytest.mark.parametrize("where", ["stsz", "trun"])
def test_false_counts_spread_over_tracks_add_up(tmp_path: Path, where: str) -> None:
    _checked(tmp_path, lying_mp4(900_000, 4, where=where))
    with pytest.raises(TooLarge):
        _checked(tmp_path, lying_mp4(900_000, 5, where=where))


def test_one_tick_per_sample_is_accepted_only_for_audio(tmp_path: Path) -> None:
    # 28 minutes of PCM at 48 kHz: FFmpeg keeps it by chunk.
    _checked(tmp_path, lying_mp4(_LIE, sound=True, ticks=1))
    for sound, ticks in ((False, 1), (True, 2)):
        with pytest.raises(TooLarge):
            _checked(tmp_path, lying_mp4(_LIE, sound=sound, ticks=ticks))


def test_tracks_are_counted(tmp_path: Path) -> None:
    with pytest.raises(TooLarge):
        _checked(tmp_path, lying_mp4(1, 257))


def _element(kind: str, content: bytes) -> bytes:
    return bytes.fromhex(kind) + struct.pack(">Q", len(content) | 1 << 56) + content


def test_attachments_of_an_mkv_have_a_bound(tmp_path: Path) -> None:
    for megabytes, is_refused in ((10, False), (70, True)):
        attachments = _element("1941A469", bytes(megabytes * 10**6))
        segment = _element("18538067", _element("EC", bytes(100)) + attachments)
        data = _element("1A45DFA3", b"") + segment
        if is_refused:
            with pytest.raises(TooLarge, match="attachments"):
                _checked(tmp_path, data)
        else:
            _checked(tmp_path, data)


@pytest.mark.parametrize("name", ["cfr", "mov_pcm", "mkv", "two_sounds", "vfr"])
def test_consistent_files_are_accepted(tmp_path: Path, name: str) -> None:
    check_index(make_clip(tmp_path, spec(name)), _LIMITS.max_frames)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0\0",
        b"\0\0\0\1moov",
        box(b"moov", b"\0\0\0\7trak"),
        b"\0\0\0\1moov" + b"\xff" * 8,
        b"\x1a\x45\xdf\xa3",
        b"\x1a\x45\xdf\xa3\xff\x18\x53\x80\x67\xff",
        box(b"moov", *[box(b"trak")] * 3) * 3,
        b"".join(struct.pack(">I4s", 8 * (500 - n), b"moov") for n in range(500)),
    ],
)
def test_broken_files_are_left_to_the_decoder(tmp_path: Path, data: bytes) -> None:
    _checked(tmp_path, data)


def test_packets_behind_a_range_that_give_no_picture_are_not_all_read(tmp_path: Path) -> None:
    path = tmp_path / "many.mp4"
    path.write_bytes(lying_mp4(50_000, media=50_000))
    errors: list[str] = []
    with open_container(path, _LIMITS.max_side_px) as container:
        stream = video_stream(container)
        assert list(decoded_pictures(container, stream, errors, end=float(1 / stream.time_base))) == []  # type: ignore[operator]
    # One second of packets plus a few hundred.
    assert 0 < len(errors) < 1_000
