"""Compare a preview job's time with vid.stab on the same clip: `python -m benchmarks.speed assets/walk_a/sample.mp4`.

The clip is scaled to 720 lines first. A job and ``ffmpeg``'s vidstabdetect + vidstabtransform with libx264 at the same
preset and crf alternate, each in its own process, so that start-up and models count towards the job, and CPU and memory
are those of the process. vid.stab only handles the camera; it represents how long people usually wait for a filter.
``taskset -c 0,1 python -m benchmarks.speed …`` gives the figure for two cores. ``--functions 40`` prints the CPU time
of each function instead.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from statistics import median

import av
import cv2

from benchmarks.functions import tables
from benchmarks.shake import read_rgb, write_video
from pipeline.runtime.prefetch import usable_cores

_JOB = """
import json, sys, tempfile
from pathlib import Path
from conf import compose_settings
from pipeline.models.loaded import load_models
from pipeline.request import JobRequest
from pipeline.run import run_job
clip, out, work, preset, overrides = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4], sys.argv[5:]
settings = compose_settings(preset, overrides)
result = run_job(JobRequest(clip, out), settings, load_models(settings), work)
print(json.dumps({"timings_s": result.report.timings_s, "frames": result.report.frames}))
"""
_ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Run:
    """Resources used by one process."""

    wall_seconds: float
    cpu_seconds: float
    """User and system time of all its threads and children."""
    peak_mb: float
    """Largest resident set, MiB."""
    output: str


def measured(command: list[str]) -> Run:
    """Run a command in the repository's root and measure it; raises ``RuntimeError`` if it fails."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        begin = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=err, cwd=_ROOT)
        # wait4 reports the child's own peak memory; getrusage(RUSAGE_CHILDREN) the maximum over all children.
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode:
            raise RuntimeError(f"{command[0]} ended with {process.returncode}: {err.read().decode()[-2000:]}")
        return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, out.read().decode())


def job(clip: Path, work: Path, *overrides: str, preset: str = "preview") -> tuple[Run, dict[str, float], int]:
    """Run the job in its own process; return the resources used, its seconds by stage and its frames."""
    shutil.rmtree(work, ignore_errors=True)
    run = measured([sys.executable, "-c", _JOB, str(clip), str(work / "out"), str(work / "space"), preset, *overrides])
    facts = json.loads(run.output.splitlines()[-1])
    return run, facts["timings_s"], int(facts["frames"])


def vidstab(clip: Path, work: Path, preset: str, crf: int) -> Run:
    """Run both passes of vid.stab, including the shell in between."""
    transforms = work / "transforms.trf"
    out = work / "stabilized.mp4"
    quiet = "ffmpeg -y -v error"
    return measured(
        [
            "sh",
            "-c",
            f"{quiet} -i '{clip}' -vf vidstabdetect=result={transforms} -f null - && "
            f"{quiet} -i '{clip}' -vf vidstabtransform=input={transforms} "
            f"-c:v libx264 -preset {preset} -crf {crf} -c:a copy '{out}'",
        ]
    )


def has_vidstab() -> bool:
    """Return whether there is an ``ffmpeg`` command with vid.stab."""
    if shutil.which("ffmpeg") is None:
        return False
    filters = subprocess.run(["ffmpeg", "-v", "error", "-filters"], capture_output=True, text=True, check=False)
    return "vidstabdetect" in filters.stdout


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("clip", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--lines",
        type=int,
        nargs="+",
        default=[720],
        help="scale the clip to so many lines, one after another; 0 leaves it",
    )
    parser.add_argument(
        "--functions", type=int, default=0, metavar="N", help="print instead what the N dearest functions cost"
    )
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings, Hydra's grammar")
    arguments = parser.parse_args()
    if not arguments.functions and not has_vidstab():
        print("no ffmpeg with vid.stab on this machine (apt-get install ffmpeg): the job is timed alone", flush=True)
    with tempfile.TemporaryDirectory(prefix="speed-") as temporary:
        work = Path(temporary)
        for lines in arguments.lines:
            clip = arguments.clip.resolve()
            if lines:
                print(f"{lines} lines", flush=True)
                clip = scaled(clip, work / f"clip_{lines}.mp4", lines)
            if arguments.functions:
                print(tables(clip, work / f"profile_{lines}", arguments.functions, arguments.set), flush=True)
                continue
            _compare(clip, work, arguments.repeats, arguments.set)
    return 0


def scaled(clip: Path, out: Path, lines: int) -> Path:
    """Write the clip at another height, with an even width and without sound."""
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        fps = Fraction(stream.average_rate or 30)
        width = round(stream.width * lines / stream.height / 2) * 2
    write_video(
        out,
        (cv2.resize(rgb, (width, lines), interpolation=cv2.INTER_CUBIC) for rgb in read_rgb(clip)),
        fps=fps,
        crf=18,
    )
    return out


def _compare(clip: Path, work: Path, repeats: int, overrides: list[str]) -> None:
    jobs = []
    peers = []
    for _ in range(repeats):
        jobs.append(job(clip, work / "job", *overrides))
        if has_vidstab():
            peers.append(vidstab(clip, work, "veryfast", 16))
    frames = jobs[0][2]
    walls = [run.wall_seconds for run, _, _ in jobs]
    cpus = [run.cpu_seconds for run, _, _ in jobs]
    print(f"{frames} frames, {repeats} repeats, {usable_cores()} usable_cores; medians (least .. most)")
    print(
        f"job        wall {_spread(walls)} s, CPU {_spread(cpus)} s, peak {max(r.peak_mb for r, _, _ in jobs):.0f} MiB"
    )
    for stage in jobs[0][1]:
        seconds = median(timings[stage] for _, timings, _ in jobs)
        share = 100 * seconds / sum(median(timings[name] for _, timings, _ in jobs) for name in jobs[0][1])
        print(f"  {stage:<8} {seconds:7.2f} s  {1000 * seconds / frames:7.1f} ms a frame  {share:4.0f} %")
    print(f"  {frames / median(walls):.2f} frames a second, start-up and models included")
    if peers:
        peer_walls = [run.wall_seconds for run in peers]
        print(f"vid.stab   wall {_spread(peer_walls)} s, CPU {_spread([run.cpu_seconds for run in peers])} s")
        print(f"ratio of walls {median(w / p for w, p in zip(walls, peer_walls, strict=True)):.2f} (aim 4 or less)")


def _spread(values: list[float]) -> str:
    return f"{median(values):.2f} ({min(values):.2f} .. {max(values):.2f})"


if __name__ == "__main__":
    sys.exit(main())
