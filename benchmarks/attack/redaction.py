"""Long messages and answers: redacting secrets in the log must not stall the worker."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from benchmarks.attack.bench import Bench, Tried, timed
from tests.support.job_runner import WALK
from worker.logs import Redactor, _JsonFormatter, redact_sdk_log

_SIZES = (10_000, 1_000_000, 10_000_000)
_FILLS: dict[str, Callable[[int], str]] = {
    "one letter": lambda size: "A" * size,
    "base64 of zeros": lambda size: base64.b64encode(bytes(size * 3 // 4)).decode(),
    "base64 of noise": lambda size: base64.b64encode(np.random.default_rng(0).bytes(size * 3 // 4)).decode(),
    "schemes": lambda size: "a+b-c.d" * (size // 7),
    "half schemes": lambda size: "http:" * (size // 5),
    "users": lambda size: "https://" + "u@" * (size // 2),
    "names": lambda size: "password" * (size // 8),
    "names and blanks": lambda size: ("token" + " " * 500) * (size // 505),
    "assignments": lambda size: "token=Bearer " * (size // 13),
    "quotes": lambda size: "\"'\\" * (size // 3),
    "new lines": lambda size: "\n" * size,
}


def run(bench: Bench) -> Iterator[Tried]:
    """Log every filler at every size, as text, as JSON and through the SDK; then deliver a silent clip inline."""
    from runpod.serverless.modules.rp_logger import RunPodLogger

    redact = Redactor({"MY_API_KEY": "hunter22-hunter22"})
    redact_sdk_log({"MY_API_KEY": "hunter22-hunter22"})
    for name, fill in _FILLS.items():
        for size in _SIZES:
            text = fill(size)
            record = logging.makeLogRecord({"msg": "%s", "args": (text,), "answer": {"video_base64": text}})
            yield timed(f"{name}, {size} characters", lambda text=text: redact(text), 1.0)  # type: ignore[misc]
            yield timed(
                f"{name}, {size} characters, JSON",
                lambda record=record: json.loads(_JsonFormatter(redact).format(record)),  # type: ignore[misc]
                2.0,
            )
            for level in ("INFO", "DEBUG"):
                RunPodLogger.level = level
                yield timed(
                    f"{name}, {size} characters, SDK at {level}",
                    lambda text=text: RunPodLogger().debug(f"Handler output: {text}"),  # type: ignore[misc]
                    1.0,
                )
    yield bench.good()
    clip = _with_silence(bench.folder / "silence.mov", 4)
    yield bench.job(
        "silent PCM inline",
        {"video_url": str(clip), "inline": True, "start_s": 0.0, "end_s": 0.2},
        allowed={"OK", "RESULT_TOO_LARGE"},
    )
    yield bench.good()


def _with_silence(path: Path, seconds: int) -> Path:
    """Write a part of walk_a with a given amount of silence, one packet per second."""
    with av.open(str(WALK)) as source, av.open(str(path), "w") as out:
        video = out.add_stream_from_template(source.streams.video[0])
        sound = out.add_stream("pcm_s16le", rate=48_000, layout="stereo")
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None and float(packet.dts * packet.time_base) < 1.0:
                packet.stream = video
                out.mux(packet)
        for second in range(seconds):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 2 * 48_000), np.int16), format="s16", layout="stereo")
            frame.sample_rate = 48_000
            frame.pts = second * 48_000
            frame.time_base = Fraction(1, 48_000)
            out.mux(sound.encode(frame))
        out.mux(sound.encode(None))
    return path
