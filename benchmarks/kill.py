"""Kill a job at random moments and resume it: the same bytes, and at most one chunk generated twice.

``python -m benchmarks.kill [--times 10]``

The clip is walk_a played back and forth for 32 s, downscaled so that a run takes half a minute. Each trial sends
SIGKILL to a fresh job at one moment (evenly spread over the time of an undisturbed run, with a random shift) and
resumes it from its files. Exit code 1 if bytes differ, more than one chunk was generated twice, or a pass was never
hit.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import av
import cv2

from pipeline.datatypes.appearance import Appearance
from pipeline.datatypes.window import Layer, Window
from pipeline.media.decode import open_clip
from pipeline.media.pixels import rgb_of
from pipeline.models.interfaces import Generator, Needs
from pipeline.models.loaded import load_models
from pipeline.request import JobRequest
from pipeline.run import run_job
from pipeline.runtime.callbacks import Check
from pipeline.settings import Settings

_WALK = Path(__file__).resolve().parents[1] / "assets" / "walk_a" / "sample.mp4"
_SECONDS = 32
_FPS = 15
_SIZE_WH = (320, 180)
_SETTINGS = Settings.model_validate({"segment": {"count": 1, "chunk_seconds": 3.5}})


class _Counted:
    """A generator that records in a file how many frames were requested from it."""

    def __init__(self, inner: Generator, counter: Path) -> None:
        self._inner = inner
        self._counter = counter

    @property
    def needs(self) -> Needs:
        return self._inner.needs

    def prepare(self, appearance: Appearance) -> tuple[str, ...]:
        return self._inner.prepare(appearance)

    def use_less_memory(self) -> bool:
        return self._inner.use_less_memory()

    def rest(self) -> None:
        self._inner.rest()

    def generate(self, window: Window, seed: int, check: Check) -> Iterator[Layer]:
        for layer in self._inner.generate(window, seed, check):
            with self._counter.open("ab") as file:
                file.write(b"x")
            yield layer


def _child(folder: Path) -> None:
    """Run the job on ``clip.mp4`` in ``folder``, resuming from the files of an earlier attempt."""

    models = load_models(_SETTINGS)
    models = replace(models, generator=_Counted(models.generator, folder / "generated"))

    def progress(stage: str, done: int, total: int) -> None:
        (folder / "stage").write_text(stage)

    result = run_job(
        JobRequest(folder.parent / "clip.mp4", folder / "out"), _SETTINGS, models, folder / "work", progress=progress
    )
    assert result.video is not None
    result.video.rename(folder / "result.mp4")


def _start(folder: Path) -> subprocess.Popen[bytes]:
    folder.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.kill", "--child", str(folder)],
        cwd=_WALK.parents[2],
        stderr=subprocess.DEVNULL,
        env=os.environ,
    )


def _make_clip(path: Path) -> None:
    pictures = [
        cv2.resize(rgb_of(frame), _SIZE_WH, interpolation=cv2.INTER_AREA) for frame in open_clip(_WALK).frames()
    ]
    to_and_fro = [*pictures[::2], *pictures[-1:0:-2]]
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=_FPS, options={"crf": "18"})
        (stream.width, stream.height) = _SIZE_WH
        stream.pix_fmt = "yuv420p"
        for number in range(_SECONDS * _FPS):
            picture = to_and_fro[number % len(to_and_fro)]
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        output.mux(stream.encode(None))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kill", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child is not None:
        _child(arguments.child)
        return 0
    rng = random.Random(arguments.seed)
    bad = 0
    hit = set()
    with tempfile.TemporaryDirectory(prefix="understudy-kill-") as name:
        folder = Path(name)
        _make_clip(folder / "clip.mp4")
        begin = time.monotonic()
        if _start(folder / "whole").wait() != 0:
            raise SystemExit("the undisturbed run failed")
        took = time.monotonic() - begin
        wanted = (folder / "whole" / "result.mp4").read_bytes()
        frames = (folder / "whole" / "generated").stat().st_size
        chunks = len(list((folder / "whole" / "work" / "layers").glob("*.zip")))
        print(f"undisturbed: {took:.0f} s, {chunks} chunks, {frames} frames generated")
        for trial in range(arguments.times):
            moment = took * (trial + rng.uniform(0.2, 0.9)) / arguments.times
            each = folder / f"trial{trial}"
            process = _start(each)
            try:
                process.wait(moment)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
            process.wait()
            stage = (each / "stage").read_text() if (each / "stage").exists() else "start"
            hit.add(stage)
            done = _start(each).wait() == 0 and (each / "result.mp4").read_bytes() == wanted
            twice = (each / "generated").stat().st_size - frames
            right = done and twice <= frames / chunks + _SETTINGS.segment.overlap_frames + 1
            bad += not right
            print(
                f"killed after {moment:5.1f} s in {stage:8}: {'same bytes' if done else 'DIFFERENT'}, "
                f"{twice} frames generated twice ({twice * chunks / frames:.2f} chunks)"
            )
    missed = {"survey", "plate", "perform", "finish"} - hit
    print(f"passes hit: {', '.join(sorted(hit))}" + (f"; never hit: {', '.join(sorted(missed))}" if missed else ""))
    return int(bool(bad or missed))


if __name__ == "__main__":
    raise SystemExit(main())
