"""Decoding in a separate process gives the same frames, and its failures end only that clip."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from pipeline.datatypes.clip import Frame
from pipeline.errors import Cancelled, InvalidInput, TooLarge, UnderstudyError, UnsupportedMedia
from pipeline.media import spool
from pipeline.media.decode import open_clip
from pipeline.media.decoder_process import DecoderProcess, SpareProcess
from pipeline.media.sandbox import SandboxedClip, open_untrusted
from pipeline.settings import LimitSettings
from tests.support.hostile_media import lying_mp4
from tests.support.media import ClipSpec, make_clip, spec

_LIMITS = LimitSettings()
_WALK = Path(__file__).resolve().parents[2] / "assets" / "walk_a" / "sample.mp4"
_ALL = (None, None)


@pytest.fixture
def clip(tmp_path: Path) -> Iterator[SandboxedClip]:
    with closing(open_untrusted(make_clip(tmp_path, spec("cfr")), _LIMITS)) as opened:
        yield opened


@pytest.mark.parametrize("name", ["cfr", "vfr", "rotated", "ten_bit", "gray", "alpha", "rgb", "odd_420", "chroma_422"])
def test_frames_and_facts_are_those_of_decoding_here(tmp_path: Path, name: str) -> None:
    path = make_clip(tmp_path, spec(name))
    for start_s, end_s in (_ALL, (0.1, 0.3)):
        here = open_clip(path, _LIMITS, start_s=start_s, end_s=end_s)
        with closing(open_untrusted(path, _LIMITS, start_s=start_s, end_s=end_s)) as there:
            for field in here.info.__slots__:
                np.testing.assert_array_equal(getattr(there.info, field), getattr(here.info, field), field)
            assert (there.trimmed, there.trim_offset) == (here.trimmed, here.trim_offset)
            for ours, theirs in zip(here.frames(), there.frames(), strict=True):
                assert (ours.index, ours.pts, ours.duration) == (theirs.index, theirs.pts, theirs.duration)
                for plane, other in zip(ours.planes, theirs.planes, strict=True):
                    assert plane.dtype == other.dtype and not other.flags.writeable
                    np.testing.assert_array_equal(plane, other)


def test_several_reads_at_a_time_do_not_mix(clip: SandboxedClip) -> None:
    expected = [frame.planes[0].copy() for frame in clip.frames()]
    pairs = zip(clip.frames(0, 12), clip.frames(6, 18), strict=True)
    held = [(first.planes[0], second.planes[0]) for first, second in pairs]
    for index, (first, second) in enumerate(held):
        np.testing.assert_array_equal(first, expected[index])
        np.testing.assert_array_equal(second, expected[index + 6])
    assert [frame.index for frame in clip.frames_at([1, 5, 20])] == [1, 5, 20]


@pytest.mark.parametrize(
    ("path", "kind"), [("missing.mp4", InvalidInput), ("no_video.mp4", UnsupportedMedia), ("lie.mp4", TooLarge)]
)
def test_errors_come_back_as_they_are(tmp_path: Path, path: str, kind: type[UnderstudyError]) -> None:
    (tmp_path / "no_video.mp4").write_bytes(b"no video" * 100)
    (tmp_path / "lie.mp4").write_bytes(lying_mp4(80_000_000, 6))
    with pytest.raises(kind) as told:
        open_untrusted(tmp_path / path, _LIMITS)
    assert told.value.field == "video_url"


def test_memory_is_limited(tmp_path: Path) -> None:
    large = ClipSpec(
        "large", ".mkv", "ffv1", size_wh=(2048, 2048), pts=(0, 40), time_base=Fraction(1, 1000), options={}, audio=None
    )
    path = make_clip(tmp_path, large)
    # The process itself takes 260 MB of address space.
    processes = SpareProcess(lambda: DecoderProcess(memory_bytes=285 * 10**6))
    with pytest.raises(TooLarge, match="memory"):
        open_untrusted(path, _LIMITS, processes=processes)


@pytest.mark.parametrize(
    ("how", "kind"),
    [(signal.SIGSEGV, UnsupportedMedia), (signal.SIGXCPU, UnsupportedMedia), (signal.SIGKILL, TooLarge)],
)
def test_the_exit_of_the_process_ends_only_its_clip(
    clip: SandboxedClip, how: signal.Signals, kind: type[UnderstudyError]
) -> None:
    frames = clip.frames()
    next(frames)
    os.kill(clip.process_id, how)
    with pytest.raises(kind):
        list(frames)
    with pytest.raises(UnsupportedMedia):
        list(clip.frames())
    with closing(open_untrusted(clip.info.path, _LIMITS)) as again:
        assert sum(1 for _ in again.frames()) == 24


def test_a_silent_process_is_killed(tmp_path: Path) -> None:
    process = DecoderProcess()
    with closing(
        open_untrusted(make_clip(tmp_path, spec("cfr")), _LIMITS, processes=SpareProcess(lambda: process))
    ) as clip:
        frames = clip.frames()
        next(frames)
        process.silent_seconds = 0.3
        os.kill(clip.process_id, signal.SIGSTOP)
        with pytest.raises(TooLarge, match="time"):
            list(frames)


def test_opening_reports_progress_and_can_be_cancelled() -> None:
    told: list[tuple[int, int]] = []
    open_untrusted(_WALK, _LIMITS, progress=lambda done, total: told.append((done, total))).close()
    assert told and told[-1][1] == 150
    begin = time.monotonic()

    def stop() -> None:
        raise Cancelled("the job was cancelled")

    with pytest.raises(Cancelled):
        open_untrusted(_WALK, _LIMITS, check=stop)
    assert time.monotonic() - begin < 5


def _open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_the_process_knows_no_secret_and_is_gone_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUCKET_SECRET_ACCESS_KEY", "hunter22")
    clip = open_untrusted(make_clip(tmp_path, spec("cfr")), _LIMITS, processes=SpareProcess())
    assert b"hunter22" not in Path(f"/proc/{clip.process_id}/environ").read_bytes()
    files = _open_files()
    clip.close()
    assert not Path(f"/proc/{clip.process_id}").exists()
    assert _open_files() == files - 3


def test_a_process_that_cannot_start_is_a_bug_and_not_an_error_of_the_file(tmp_path: Path) -> None:
    without_code = SpareProcess(lambda: DecoderProcess(code=tmp_path))
    with pytest.raises(RuntimeError, match="cannot be started"):
        open_untrusted(make_clip(tmp_path, spec("cfr")), _LIMITS, processes=without_code)


def test_a_killed_spare_process_is_replaced(tmp_path: Path) -> None:
    waiting = DecoderProcess()
    started = [DecoderProcess, lambda: waiting]
    os.kill(waiting.process_id, signal.SIGKILL)
    processes = SpareProcess(lambda: started.pop()())
    with closing(open_untrusted(make_clip(tmp_path, spec("cfr")), _LIMITS, processes=processes)) as clip:
        assert clip.info.num_frames == 24 and clip.process_id != waiting.process_id


def _contents(frames: Iterable[Frame]) -> list[tuple[int, int, list[tuple[str, bytes]]]]:
    return [
        (frame.index, frame.pts, [(str(plane.shape) + plane.dtype.str, plane.tobytes()) for plane in frame.planes])
        for frame in frames
    ]


@pytest.mark.parametrize("name", ["cfr", "vfr", "rotated", "ten_bit", "gray", "alpha", "rgb", "odd_420"])
def test_spooled_frames_are_the_decoded_ones(tmp_path: Path, name: str) -> None:
    path = make_clip(tmp_path, spec(name))
    folder = tmp_path / "space"
    folder.mkdir()
    for start_s, end_s in (_ALL, (0.1, 0.3)):
        options = {"start_s": start_s, "end_s": end_s}
        with (
            closing(open_untrusted(path, _LIMITS, **options)) as decoded,
            closing(open_untrusted(path, _LIMITS, **options, spool_folder=folder)) as spooled,
        ):
            # No file with a name could be left over.
            assert not list(folder.iterdir())
            os.kill(spooled.process_id, signal.SIGKILL)
            assert _contents(spooled.frames()) == _contents(decoded.frames())
            last = decoded.info.num_frames - 1
            assert _contents(spooled.frames_at([1, last])) == _contents(decoded.frames_at([1, last]))
            assert not next(spooled.frames()).planes[0].flags.writeable


def test_frames_beyond_the_spool_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_clip(tmp_path, spec("cfr"))
    with closing(open_untrusted(path, _LIMITS)) as decoded:
        size = sum(plane.nbytes for plane in next(decoded.frames()).planes)
        monkeypatch.setattr(spool, "SPOOL_BYTES", 5 * size + size // 2)
        with closing(open_untrusted(path, _LIMITS, spool_folder=tmp_path)) as partly:
            assert _contents(partly.frames()) == _contents(decoded.frames())
            assert _contents(partly.frames_at([2, 4, 5, 11])) == _contents(decoded.frames_at([2, 4, 5, 11]))
            os.kill(partly.process_id, signal.SIGKILL)
            assert len(list(partly.frames(0, 5))) == 5
            with pytest.raises(UnderstudyError):
                list(partly.frames(4, 6))


def test_an_unwritable_folder_only_costs_time(tmp_path: Path) -> None:
    path = make_clip(tmp_path, spec("cfr"))
    with closing(open_untrusted(path, _LIMITS, spool_folder=tmp_path / "missing")) as opened:
        assert len(list(opened.frames())) == opened.info.num_frames


def test_frames_claimed_but_not_decoded_are_refused(tmp_path: Path) -> None:
    held = spool.SpoolFile(tmp_path)
    for told in ({"count": 3, "first": 0, "planes": [[4, 4, 1]]}, {"count": -1, "first": 0, "planes": []}):
        with pytest.raises(ValueError, match="not there"):
            held.reader(told)
    with pytest.raises(ValueError, match="impossible"):
        held.reader({"count": 0, "first": 0, "planes": [[-4, 4, 1]]})
    held.close()


def test_a_clip_that_is_read_again_is_spooled_anew(tmp_path: Path) -> None:
    held = spool.SpoolFile(tmp_path)
    writer = spool.SpoolWriter(held.path, 3 * 64)
    for number in range(5):
        writer.put(number, [np.full((4, 4), number, np.uint8)])
    assert not writer.has_room
    for number in range(2):
        writer.put(number, [np.full((4, 4), 10 + number, np.uint8)])
    read = held.reader(writer.finish(0))
    assert [int(read.planes(number)[0][0, 0]) for number in range(read.count)] == [10, 11]
    held.close()
