"""Does a card wait for the processor? `python -m benchmarks.overlap assets/walk_a/sample.mp4`.

A generator that sleeps stands for the card: it puts the subject back, so everything around it is real work. First the
job runs with a card that takes no time, which gives the processor's seconds; then with one that takes about as many
(``--card`` times them). Were the passes run one after the other, the second job would take the sum of both.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.speed import scaled
from conf import compose_settings
from pipeline.datatypes.window import Layer, Window
from pipeline.models.fakes import IdentityGenerator
from pipeline.models.loaded import LoadedModels
from pipeline.models.registry import make_people
from pipeline.request import JobRequest
from pipeline.run import run_job
from pipeline.runtime.callbacks import Check
from pipeline.settings import Settings

_AIM = 1.15


class SleepingCard(IdentityGenerator):
    """Takes a time per frame without working, as the processor sees a card."""

    def __init__(self, seconds_per_frame: float) -> None:
        super().__init__()
        self._seconds_per_frame = seconds_per_frame
        self.seconds = 0.0
        """How long it was busy."""

    def generate(self, window: Window, seed: int, check: Check) -> Iterator[Layer]:
        for layer in super().generate(window, seed, check):
            time.sleep(self._seconds_per_frame)
            self.seconds += self._seconds_per_frame
            yield layer


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overlap", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("clip", type=Path)
    parser.add_argument("--lines", type=int, default=360, help="scale the clip to so many lines")
    parser.add_argument("--card", type=float, default=1.0, help="the card's time as a multiple of the processor's")
    parser.add_argument("--set", nargs="*", default=["segment.chunk_seconds=0.5"], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    settings = compose_settings("preview", arguments.set)
    with tempfile.TemporaryDirectory(prefix="overlap-") as temporary:
        work = Path(temporary)
        clip = scaled(arguments.clip, work / "clip.mp4", arguments.lines)
        _seconds(clip, work / "compiled", settings, SleepingCard(0.0))
        processor, frames = _seconds(clip, work / "processor", settings, SleepingCard(0.0))
        card = SleepingCard(arguments.card * processor / frames)
        both, _ = _seconds(clip, work / "both", settings, card)
    longer = max(card.seconds, processor)
    print(f"processor {processor:.1f} s, card {card.seconds:.1f} s, together {both:.1f} s: {both / longer:.2f} times")
    print(f"the longer one (aim {_AIM}); one after the other {(card.seconds + processor) / longer:.2f} times")
    return int(both / longer > _AIM)


def _seconds(clip: Path, folder: Path, settings: Settings, card: SleepingCard) -> tuple[float, int]:
    """Run a job; return its seconds and its frames."""
    models = LoadedModels(make_people(settings.people), card)
    begin = time.monotonic()
    result = run_job(JobRequest(clip, folder / "out"), settings, models, folder / "space")
    return time.monotonic() - begin, result.report.frames


if __name__ == "__main__":
    raise SystemExit(main())
