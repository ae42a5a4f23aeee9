"""What the result preserves of the source, for every awkward clip; and encoder failures."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from pipeline.datatypes.clip import Frame
from pipeline.errors import Cancelled, EncodeFailed, NoSpace
from pipeline.media.clip import Clip
from pipeline.media.decode import open_clip
from pipeline.media.encode import PROVENANCE, ArtifactVideo, encode_clip, read_artifact
from pipeline.media.pixels import rgb_of
from pipeline.settings import OutputSettings
from tests.support.media import FFV1_SPECS, SPECS, make_clip, spec

SAMPLE = Path(__file__).parents[2] / "assets" / "walk_a" / "sample.mp4"
Shelf = Callable[[str], Path]
KEPT = (
    "width", "height", "bit_depth", "chroma_log2_wh", "sample_aspect_ratio", "quarter_turns", "display_matrix",
    "color_range", "color_matrix", "color_primaries", "color_transfer", "chroma_location",
)  # fmt: skip


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    folder = tmp_path_factory.mktemp("clips")
    made: dict[str, Path] = {"sample": SAMPLE}

    def get(name: str) -> Path:
        if name not in made:
            made[name] = make_clip(folder, spec(name))
        return made[name]

    return get


def sound_of(path: Path, number: int = 0) -> tuple[str, list[Fraction], str]:
    """Return a sound stream's codec, the times of its packets in seconds, and the hash of all their bytes."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[number]
        payload = hashlib.sha256()
        times = []
        for packet in container.demux(stream):
            if packet.size:
                payload.update(bytes(packet))
                times.append(packet.pts * packet.time_base)
        return stream.codec_context.name, times, payload.hexdigest()


def check_kept(source: Clip, path: Path) -> Clip:
    result = open_clip(path)
    given = source.info
    got = result.info
    assert [pts * got.time_base for pts in got.pts.tolist()] == [pts * given.time_base for pts in given.pts.tolist()]
    lengths = [[duration * info.time_base for duration in info.durations.tolist()] for info in (given, got)]
    assert lengths[0] == lengths[1]
    assert {name: getattr(got, name) for name in KEPT} == {name: getattr(given, name) for name in KEPT}
    assert got.pix_fmt.replace("yuvj", "yuv") == given.pix_fmt.replace("yuvj", "yuv")
    assert len(got.audio) == len(given.audio)
    for number in range(len(given.audio)):
        codec, times, digest = sound_of(given.path, number)
        new_codec, new_times, new_digest = sound_of(path, number)
        assert (new_codec, len(new_times), new_digest) == (codec, len(times), digest)
        # Half a tick where a time in ms becomes one in samples; else exact.
        rounded = given.audio[number].time_base != got.audio[number].time_base
        tolerance = got.audio[number].time_base if rounded else 0
        assert all(abs(new - old) <= tolerance for new, old in zip(new_times, times, strict=True))
    return result


@pytest.mark.parametrize("codec", ["h264", "lossless"])
@pytest.mark.parametrize("name", ["sample", *(of.name for of in (*SPECS, *FFV1_SPECS))])
def test_the_result_keeps_the_source(shelf: Shelf, tmp_path: Path, name: str, codec: str) -> None:
    clip = open_clip(shelf(name))
    encoded = encode_clip(clip.frames(), clip, tmp_path / "result", OutputSettings(codec=codec))
    result = check_kept(clip, encoded.path)
    ffv1 = name in {of.name for of in FFV1_SPECS}
    suffix_of_h264 = ".mov" if name == "mov_pcm" else ".mp4"
    assert encoded.path.suffix == (".mkv" if ffv1 else suffix_of_h264)
    assert len(encoded.warnings) == (1 if ffv1 else 0)
    assert sorted(tmp_path.iterdir()) == [encoded.path]
    differing = worst = 0
    for old, new in zip(clip.frames(), result.frames(), strict=True):
        for a, b in zip(old.planes, new.planes, strict=True):
            distance = np.abs(a.astype(int) - b.astype(int))
            differing += int(np.count_nonzero(distance))
            worst = max(worst, float(distance.mean()))
    if codec == "lossless" or ffv1:
        assert differing == 0
    else:
        assert worst < 4 * 2 ** (clip.info.bit_depth - 8)


def test_same_frames_same_bytes(shelf: Shelf, tmp_path: Path) -> None:
    clip = open_clip(SAMPLE, end_s=1.0)
    digests = {
        hashlib.sha256(
            encode_clip(clip.frames(), clip, tmp_path / str(run), OutputSettings()).path.read_bytes()
        ).hexdigest()
        for run in range(2)
    }
    assert len(digests) == 1


def test_trimming_restarts_the_time_and_keeps_audio_in_sync(tmp_path: Path) -> None:
    clip = open_clip(SAMPLE, start_s=1.0, end_s=2.0)
    result = open_clip(encode_clip(clip.frames(), clip, tmp_path / "result", OutputSettings(codec="lossless")).path)
    assert result.info.pts.tolist() == (clip.info.pts - 30 * 512).tolist()
    for old, new in zip(clip.frames(), result.frames(), strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(old.planes, new.planes, strict=True))
    with av.open(str(SAMPLE)) as container:
        whole = {bytes(p): p.pts * p.time_base for p in container.demux(audio=0) if p.size}
    with av.open(str(result.info.path)) as container:
        cut = [(bytes(p), p.pts * p.time_base) for p in container.demux(audio=0) if p.size]
    assert all(whole[payload] - time == 1 for payload, time in cut)
    # The packets that overlap [0, 1): the first begins before, the last ends after.
    assert cut[0][1] <= 0 < cut[1][1]
    assert cut[-1][1] < 1 <= cut[-1][1] + Fraction(1024, 44100)


def test_frames_before_time_0_are_shown(tmp_path: Path) -> None:
    """MP4 would hide them behind an edit list; the sound moves along."""
    path = tmp_path / "negative.mkv"
    with av.open(str(path), "w", container_options={"avoid_negative_ts": "disabled"}) as output:
        video = output.add_stream("libx264", rate=25, options={"bf": "0"})
        (video.width, video.height) = (64, 48)
        sound = output.add_stream("pcm_s16le", rate=8000, layout="mono")
        for number in range(8):
            picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 * number, np.uint8), "rgb24")
            samples = av.AudioFrame.from_ndarray(np.full((1, 320), number, np.int16), "s16", "mono")
            samples.sample_rate = 8000
            for frame, rate, ticks in ((picture, 25, 1), (samples, 8000, 320)):
                frame.pts = (number - 3) * ticks
                frame.time_base = Fraction(1, rate)
            output.mux([*video.encode(picture), *sound.encode(samples)])
        output.mux([*video.encode(None), *sound.encode(None)])
    clip = open_clip(path)
    assert int(clip.info.pts[0]) < 0
    result = encode_clip(clip.frames(), clip, tmp_path / "result", OutputSettings()).path
    with av.open(str(result)) as container:
        packets = [packet for packet in container.demux() if packet.size]
        assert not any(packet.is_discard for packet in packets)
        times = sorted((packet.stream.type, packet.pts * packet.time_base) for packet in packets)
    assert times[0] == ("audio", 0)
    assert times[-8:] == [("video", Fraction(number, 25)) for number in range(8)]


def test_says_what_was_done_and_can_leave_it_out(tmp_path: Path) -> None:
    clip = open_clip(SAMPLE, end_s=0.2)
    for tag in (True, False):
        settings = OutputSettings(provenance_tag=tag)
        encoded = encode_clip(clip.frames(), clip, tmp_path / "result", settings, tags={"title": "walk"})
        with av.open(str(encoded.path)) as container:
            assert container.metadata.get("provenance") == (PROVENANCE if tag else None)
            assert container.metadata["title"] == "walk"
            assert "encoder" not in container.metadata


def test_the_index_comes_first(tmp_path: Path) -> None:
    clip = open_clip(SAMPLE, end_s=0.2)
    data = encode_clip(clip.frames(), clip, tmp_path / "result", OutputSettings()).path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_sound_that_mp4_cannot_hold(tmp_path: Path) -> None:
    clip = open_clip(make_clip(tmp_path, replace(spec("mkv"), audio="wavpack")))
    encoded = encode_clip(clip.frames(), clip, tmp_path / "result", OutputSettings())
    assert encoded.path.suffix == ".mkv"
    assert "wavpack" in encoded.warnings[0]
    check_kept(clip, encoded.path)
    clip = open_clip(make_clip(tmp_path, replace(spec("mkv"), second_audio="wavpack")))
    encoded = encode_clip(clip.frames(), clip, tmp_path / "result", OutputSettings())
    assert encoded.path.suffix == ".mp4"
    assert encoded.warnings == ("Stream 2 (audio, wavpack) is not in the result.",)


def broken(clip: Clip, error: Exception) -> Iterator[Frame]:
    yield from clip.frames(0, 5)
    raise error


def test_failures_leave_nothing(tmp_path: Path) -> None:
    clip = open_clip(SAMPLE, end_s=0.5)
    with pytest.raises(Cancelled):
        encode_clip(broken(clip, Cancelled("stop")), clip, tmp_path / "result", OutputSettings())
    with pytest.raises(EncodeFailed, match="5 frames"):
        encode_clip(clip.frames(0, 5), clip, tmp_path / "result", OutputSettings())
    with pytest.raises(EncodeFailed):
        encode_clip(clip.frames(), clip, tmp_path / "no folder" / "result", OutputSettings())
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_reported(tmp_path: Path) -> None:
    clip = open_clip(SAMPLE)
    (tmp_path / "result.mp4.part").symlink_to("/dev/full")
    with pytest.raises(NoSpace):
        encode_clip(clip.frames(), clip, tmp_path / "result", OutputSettings())
    assert list(tmp_path.iterdir()) == []
    full = tmp_path / "mask.mkv"
    full.symlink_to("/dev/full")
    noise = np.random.default_rng(0).integers(0, 256, (360, 640), np.uint8)
    with pytest.raises(NoSpace), ArtifactVideo(full, (640, 360), "gray", clip.info) as video:
        for index in range(20):
            video.write(noise, index)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("pix_fmt", "channels"), [("gray", ()), ("bgra", (4,)), ("bgr0", (3,))])
@pytest.mark.parametrize("size", [(64, 48), (37, 23)])
def test_artifacts_are_read_back_exactly(
    tmp_path: Path, pix_fmt: str, channels: tuple[int, ...], size: tuple[int, int]
) -> None:
    info = open_clip(SAMPLE, end_s=0.2).info
    pictures = np.random.default_rng(2).integers(0, 256, (info.num_frames, size[1], size[0], *channels), np.uint8)
    paths = [tmp_path / "a.mkv", tmp_path / "b.mkv"]
    for path in paths:
        with ArtifactVideo(path, size, pix_fmt, info) as video:
            for index, picture in enumerate(pictures):
                video.write(picture, index)
    assert np.array_equal(list(read_artifact(paths[0])), pictures)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with av.open(str(paths[0])) as container:
        times = [float(packet.pts * packet.time_base) for packet in container.demux(video=0) if packet.size]
    assert np.abs(times - info.pts_seconds).max() <= 0.0005


def test_an_artifact_that_fails_is_removed(tmp_path: Path) -> None:
    info = open_clip(SAMPLE, end_s=0.2).info
    path = tmp_path / "a.mkv"
    with pytest.raises(ValueError, match="gray artifact"), ArtifactVideo(path, (8, 8), "gray", info) as video:
        video.write(np.zeros((4, 4), np.uint8), 0)
    assert not path.exists()


def test_sizes_at_which_x264_varied_give_the_same_bytes(tmp_path: Path) -> None:
    source = tmp_path / "small.mp4"
    with av.open(str(source), "w") as output:
        stream = output.add_stream("libx264", rate=30, options={"crf": "10"})
        stream.width = 320
        stream.height = 180
        stream.pix_fmt = "yuv420p"
        for frame in open_clip(Path(__file__).parents[2] / "assets" / "walk_a" / "sample.mp4").frames(0, 45):
            small = cv2.resize(rgb_of(frame), (320, 180), interpolation=cv2.INTER_AREA)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(small, format="rgb24")))
        output.mux(stream.encode(None))
    clip = open_clip(source)
    results = {
        encode_clip(clip.frames(), clip, tmp_path / f"run{number}", OutputSettings()).path.read_bytes()
        for number in range(6)
    }
    assert len(results) == 1
