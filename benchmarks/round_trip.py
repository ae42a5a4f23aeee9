"""Decode and re-encode every clip of a folder, and compare: `python -m benchmarks.round_trip FOLDER`.

Nobody is replaced, so the output must equal the input. Prints one line per file and a summary; the exit status is 1 if
anything differs without a warning. ``--codec lossless`` requires equal samples; otherwise 30 dB are required.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UnderstudyError
from pipeline.media.clip import Clip
from pipeline.media.containers import video_stream
from pipeline.media.decode import open_clip
from pipeline.media.encode import encode_clip
from pipeline.media.kept_metadata import is_kept_elsewhere
from pipeline.media.pixels import is_full_range, planar_format
from pipeline.settings import LimitSettings, OutputSettings

LOWEST_PSNR_DB = 30.0
_NOT_CONTENT = ("encoder", "major_brand", "minor_version", "compatible_brands", "duration", "timecode", "provenance")
_TAGS = ("color_matrix", "color_primaries", "color_transfer", "chroma_location")
_EDGE_BLOCKS = 2
"""Audio blocks at each end whose samples may differ: with an edit list the decoder starts at a different position."""

_SAME_TIME_S = 0.0011
_LEVEL_SHARE = 0.2


@dataclass
class Outcome:
    """Outcome for one file."""

    name: str
    kind: str = "ok"
    """ok, DIFFERS, refused (a documented error) or FAILED (any other error)."""
    facts: str = ""
    problems: list[str] = field(default_factory=list)
    warnings: tuple[str, ...] = ()

    def line(self) -> str:
        """Return the outcome as one line."""
        warnings = [f"[{warning}]" for warning in self.warnings]
        parts = [f"{self.kind:8}{self.name}", self.facts, *self.problems, *warnings]
        return "  ".join(part for part in parts if part)


def round_trip(path: Path, folder: Path, settings: OutputSettings, limits: LimitSettings) -> Outcome:
    """Decode and re-encode one file into ``folder``; return what differs."""
    outcome = Outcome(path.name)
    try:
        clip = open_clip(path, limits)
        encoded = encode_clip(clip.frames(), clip, folder / "result", settings)
    except UnderstudyError as error:
        outcome.kind = "refused"
        outcome.problems = [f"{error.code}: {error.message}"]
        return outcome
    except Exception as error:
        outcome.kind = "FAILED"
        outcome.problems = [f"{type(error).__name__}: {error}"]
        traceback.print_exc()
        return outcome
    outcome.warnings = (*clip.info.warnings, *encoded.warnings)
    try:
        result = open_clip(encoded.path, limits)
        psnr, problems = _compare_frames(clip, result, lossless=settings.codec == "lossless")
        problems += _compare_times(clip, result)
        problems += _compare_description(clip, result, outcome.warnings)
        problems += _compare_containers(clip, result, outcome.warnings)
        problems += [f"the result: {warning}" for warning in result.info.warnings if warning not in clip.info.warnings]
        outcome.facts = (
            f"{clip.info.num_frames} frames {clip.info.width}x{clip.info.height} {clip.info.codec} "
            f"{clip.info.pix_fmt} -> {result.info.codec} {encoded.path.suffix} {psnr:.1f} dB"
        )
        outcome.problems = problems
        outcome.kind = "DIFFERS" if problems else "ok"
    except UnderstudyError as error:
        outcome.kind = "DIFFERS"
        outcome.problems = [f"the result cannot be read: {error.message}"]
    finally:
        encoded.path.unlink()
    return outcome


def _compare_frames(clip: Clip, result: Clip, *, lossless: bool) -> tuple[float, list[str]]:
    """Return the mean PSNR of the first plane, dB (100 where all samples are equal), and the differences."""
    if clip.info.num_frames != result.info.num_frames:
        return 0.0, [f"{result.info.num_frames} frames instead of {clip.info.num_frames}"]
    peak = float(2**clip.info.bit_depth - 1)
    values: list[float] = []
    differing = 0
    for old, new in zip(clip.frames(), result.frames(), strict=True):
        # FFmpeg decodes monochrome H.264 with neutral chroma planes.
        parts = 1 if len(old.planes) == 1 else len(new.planes)
        if [plane.shape for plane in old.planes] != [plane.shape for plane in new.planes[:parts]]:
            return 0.0, ["the planes have other shapes"]
        error = float(np.mean((old.planes[0].astype(np.float32) - new.planes[0].astype(np.float32)) ** 2))
        values.append(min(100.0, 10 * float(np.log10(peak**2 / max(error, 1e-12)))))
        differing += sum(int(np.count_nonzero(a != b)) for a, b in zip(old.planes, new.planes, strict=False))
    psnr = float(np.mean(values))
    if lossless and differing:
        return psnr, [f"{differing} samples differ"]
    return psnr, [f"the picture has {psnr:.1f} dB"] if psnr < LOWEST_PSNR_DB else []


def _compare_times(clip: Clip, result: Clip) -> list[str]:
    old = clip.info
    new = result.info
    # Matroska's time base is 1 ms.
    tolerance = 0.00051 if result.info.path.suffix == ".mkv" else 1e-9
    if old.num_frames != new.num_frames:
        return []
    apart = np.abs(old.pts * float(old.time_base) - new.pts * float(new.time_base)).max()
    problems = [f"time stamps are up to {1000 * apart:.2f} ms off"] if apart > tolerance else []
    lengths = np.abs(old.durations * float(old.time_base) - new.durations * float(new.time_base)).max()
    return problems + ([f"durations are up to {1000 * lengths:.2f} ms off"] if lengths > 2 * tolerance else [])


def _compare_description(clip: Clip, result: Clip, warnings: tuple[str, ...]) -> list[str]:
    old = clip.info
    new = result.info
    told = " ".join(warnings).lower()
    pairs = {
        "size": ((old.width, old.height), (new.width, new.height)),
        "pixel format": tuple(planar_format(info).replace("yuvj", "yuv") for info in (old, new)),
        "pixel aspect": (old.sample_aspect_ratio, new.sample_aspect_ratio),
        "display matrix": (old.display_matrix, new.display_matrix),
        "mastering display": (old.mastering_display, new.mastering_display),
        "content light": (old.content_light, new.content_light),
        "full range": (is_full_range(old), is_full_range(new)),
        **{name: (getattr(old, name), getattr(new, name)) for name in _TAGS if getattr(old, name) not in (0, 2)},
    }
    if planar_format(old).startswith("gray"):
        del pairs["pixel format"], pairs["full range"]
    return [
        f"{name} is {after}, was {before}"
        for name, (before, after) in pairs.items()
        if before != after and name not in told
    ]


def _compare_containers(clip: Clip, result: Clip, warnings: tuple[str, ...]) -> list[str]:
    told = " ".join(warnings)
    missing = [
        name
        for name in clip.info.side_data
        if name not in result.info.side_data and name not in told and name != "3x3 displaymatrix"
    ]
    problems = [f"{name} is lost without a word" for name in missing]
    with clip.reopen() as old, result.reopen() as new:
        picture = video_stream(old)
        named = {int(number) for number in re.findall(r"Stream (\d+) \(", told)}
        others = [stream for stream in old.streams if stream is not picture and not is_kept_elsewhere(stream)]
        copied = [stream for stream in others if stream.index not in named]
        found = [stream for stream in new.streams if stream.type in ("audio", "subtitle")]
        if len(found) != len(copied):
            problems.append(f"{len(copied)} streams should be copied, {len(found)} are there")
        problems += _compare_tags(old, new)
        titles = [[chapter["metadata"].get("title") for chapter in file.chapters()] for file in (old, new)]
        if len(titles[0]) != len(titles[1]):
            problems.append(f"{len(titles[1])} chapters instead of {len(titles[0])}")
        sounds = [stream.index for stream in copied if stream.type == "audio"]
    for number, index in enumerate(sounds):
        # A missing packet also affects the adjacent block.
        lacks = re.search(rf"Stream {number + 1} of the result lacks (\d+) damaged", told)
        lost = 3 * int(lacks[1]) if lacks else 0
        problems += _compare_sound(clip.info.path, index, result.info.path, number, lost)
    return problems


def _compare_tags(old: av.container.InputContainer, new: av.container.InputContainer) -> list[str]:
    after = {key.lower(): value for key, value in new.metadata.items()}
    return [
        f"tag {key} is {after.get(key.lower())!r}, was {value!r}"
        for key, value in old.metadata.items()
        if key.lower() not in _NOT_CONTENT and after.get(key.lower()) != value
    ]


def _compare_sound(old: Path, index: int, new: Path, number: int, lost: int) -> list[str]:
    """Compare an audio track's samples block by block, by time; ``lost`` packets may be missing, with a warning."""
    with av.open(str(new)) as container:
        if number >= len(container.streams.audio):
            return []
        after = _blocks_of(new, container.streams.audio[number].index)
    later = next(after, None)
    unlike: list[int] = []
    count = 0
    for time, block in _blocks_of(old, index):
        while later is not None and later[0] < time - _SAME_TIME_S:
            later = next(after, None)
        is_there = later is not None and later[0] <= time + _SAME_TIME_S and _is_alike(block, later[1])
        unlike += [] if is_there else [count]
        count += 1
    inside = [place for place in unlike if _EDGE_BLOCKS <= place < count - _EDGE_BLOCKS]
    return [f"sound {index}: {len(inside)} of {count} blocks differ"] if len(inside) > lost else []


def _is_alike(old: NDArray[np.generic], new: NDArray[np.generic]) -> bool:
    """Return whether two blocks are the same sound: equal samples, or equal loudness.

    AAC and Opus decoders fill bands with noise generated from a running state: after a different start the samples of
    such bands differ.
    """
    if old.shape != new.shape:
        return False
    if np.array_equal(old, new):
        return True
    levels = [float(np.sqrt(np.mean(block.astype(np.float64) ** 2))) for block in (old, new)]
    return abs(levels[0] - levels[1]) <= _LEVEL_SHARE * max(levels)


def _blocks_of(path: Path, index: int) -> Iterator[tuple[float, NDArray[np.generic]]]:
    """Yield the time in s and the samples of each block of a stream."""
    with av.open(str(path), metadata_errors="replace") as container:
        packets = container.demux(container.streams[index])
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                blocks = packet.decode()
            except av.FFmpegError:
                continue
            for block in blocks:
                if block.time is not None:
                    yield block.time, block.to_ndarray()


def main(arguments: list[str] | None = None) -> int:
    """Process a folder; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.round_trip", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("folder", type=Path, help="all files in it and below it are tried")
    parser.add_argument("--codec", choices=("auto", "h264", "lossless"), default="auto")
    parser.add_argument("--preset", default="ultrafast", help="of the encoder")
    given = parser.parse_args(arguments)
    settings = OutputSettings(codec=given.codec, encoder_preset=given.preset)
    counts = dict.fromkeys(("ok", "DIFFERS", "refused", "FAILED"), 0)
    files = sorted(path for path in given.folder.rglob("*") if path.is_file())
    with tempfile.TemporaryDirectory(prefix="round_trip-") as temporary:
        for path in files:
            outcome = round_trip(path, Path(temporary), settings, LimitSettings())
            counts[outcome.kind] += 1
            print(outcome.line(), flush=True)
    print(f"{len(files)} files: " + ", ".join(f"{number} {kind}" for kind, number in counts.items()))
    return 1 if counts["DIFFERS"] or counts["FAILED"] else 0


if __name__ == "__main__":
    sys.exit(main())
