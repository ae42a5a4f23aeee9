"""Run fifty good and bad jobs in a row through the handler: memory, open files, threads and disk must not grow.

``python -m benchmarks.soak [--jobs 50]``

One process, `preview`, two seconds of walk_a at 360p from a server on loopback; every third job is a bad one. The first
ten jobs are a warm-up, in which caches and the allocator's arenas fill. Exit code 1 if anything grows after them.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import http.server
import tempfile
import threading
from functools import partial
from pathlib import Path
from typing import Any

import psutil

import handler
from worker.command_line import Arguments
from worker.environment import read_worker_settings

_ASSETS = Path(__file__).resolve().parents[1] / "assets" / "walk_a"
_WARM = 10
_RSS_AIM_MIB = 30.0


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        pass


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--jobs", type=int, default=50)
    arguments = parser.parse_args()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(_ASSETS)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_address[1]}"
    good = {"video_url": f"{base}/sample.mp4", "start_s": 1.5, "end_s": 3.5, "inline": True}
    bad: list[Any] = [
        {**good, "video_url": f"{base}/none.mp4"},
        {**good, "preset": "nope"},
        {**good, "video_url": f"{base}/gt.npz"},
        {**good, "video_url": f"{base}/plate.mp4", "end_s": 1.8},
        {**good, "video_url": "http://10.0.0.1/a.mp4"},
        None,
    ]
    process = psutil.Process()
    rows: list[tuple[float, int, int, int]] = []
    with tempfile.TemporaryDirectory(prefix="understudy-soak-") as folder:
        work = Path(folder) / "work"
        worker = read_worker_settings(
            {"UNDERSTUDY_PRIVATE_HOSTS": "127.0.0.1", "UNDERSTUDY_WORK": str(work)}, "platform"
        )
        run = handler.make_handler(Arguments(None, (), (), "api", ()), worker)

        async def jobs() -> None:
            for number in range(arguments.jobs):
                is_bad = number % 3 == 2
                asked = bad[number // 3 % len(bad)] if is_bad else good
                answer = await run({"id": f"soak-{number}", "input": asked})
                if is_bad != ("error_code" in answer):
                    raise SystemExit(f"job {number}: {answer}")
                gc.collect()
                left = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
                rows.append((process.memory_info().rss / 2**20, process.num_fds(), process.num_threads(), left))
                rss, files, threads, disk = rows[-1]
                what = answer.get("error_code", "OK")
                print(f"job {number:2}: {what:18} {rss:6.0f} MiB, {files} files, {threads} threads, {disk} bytes left")

        asyncio.run(jobs())
    server.shutdown()
    after = rows[min(_WARM, len(rows) - 1) :]
    growth = max(row[0] for row in after[-5:]) - max(row[0] for row in after[:5])
    flat = growth <= _RSS_AIM_MIB and all(
        max(row[i] for row in after[-5:]) <= max(row[i] for row in after[:5]) for i in (1, 2, 3)
    )
    print(f"after {_WARM} jobs: RSS grows {growth:+.1f} MiB; files, threads and disk {'flat' if flat else 'GROW'}")
    return int(not flat)


if __name__ == "__main__":
    raise SystemExit(main())
