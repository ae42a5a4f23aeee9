"""Send clips to an Understudy endpoint on RunPod and save the results.

    python -m client ENDPOINT_ID clip.mp4 https://example.com/b.mp4 folder/ -o results

``python -m client --help`` lists all options.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from client.endpoint import ESTIMATE, ClipToSend, EndpointClient, Failed, Tell, file_name
from client.references import local_references
from pipeline.errors import InvalidInput
from pipeline.estimate import estimate_lines
from worker.delivery.bucket import check_bucket
from worker.delivery.bucket_settings import NAMES, read_bucket
from worker.output import EstimateAnswer

VIDEO_SUFFIXES = frozenset({".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi"})
_OURS = ("video_url", "upload_url", "artifact_upload_urls", "inline")
ADVICE = {
    "INVALID_INPUT": "change the named field",
    "PRESET_UNAVAILABLE": "choose another preset: the worker's image does not contain this one's models",
    "URL_REJECTED": "the worker can only reach public http(s) addresses",
    "DOWNLOAD_FAILED": "check that the clip can be downloaded without a login and that its link has not expired",
    "DOWNLOAD_TIMEOUT": "put the clip on a faster server",
    "TOO_LARGE": "shorten the clip, or request a part of it with start_s and end_s",
    "UNSUPPORTED_MEDIA": "convert the clip to MP4",
    "NO_PERSON": "the clip has to show someone from head to foot, at least for a while",
    "SUBJECT_LOST": "choose another subject, or leave on_lost at warn",
    "RESULT_TOO_LARGE": "without --inline the result goes to the worker's bucket",
    "TIMEOUT": "request a part of the clip, or raise --execution-timeout",
    "TIMED_OUT": "request a part of the clip, or raise --execution-timeout",
    "UPLOAD_FAILED": "check the worker's bucket, then send the clip again",
}
"""Advice by error code; after any other error, sending the same job again may help."""


def find_clips(sources: Sequence[str], output: Path) -> list[ClipToSend]:
    """Return the clips given as URLs, files and folders. Raises ``InvalidInput`` for one that does not exist."""
    found: list[str] = []
    for source in sources:
        path = Path(source)
        if "://" in source or path.is_file():
            found.append(source)
        elif path.is_dir():
            found += sorted(str(each) for each in path.iterdir() if each.suffix.lower() in VIDEO_SUFFIXES)
        else:
            raise InvalidInput("there is no such file or folder", field=source)
    clips = [ClipToSend(source, output / file_name(source)) for source in found]
    for number, clip in enumerate(clips):
        if clip.folder in [other.folder for other in clips[:number]]:
            raise InvalidInput(
                "two clips have this file name: send them in two runs with different --output", field=clip.source
            )
    if not clips:
        raise InvalidInput("contains no clip", field=", ".join(sources))
    return clips


class _Board:
    """Shows the progress of each clip: bars on a terminal, lines elsewhere."""

    def __init__(self, console: Console) -> None:
        self.console = console
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[state]}"),
            TimeElapsedColumn(),
        )
        self.bars = Progress(*columns, console=console, disable=not console.is_terminal)
        self._said: dict[str, str] = {}

    def teller(self, name: str) -> Tell:
        task: TaskID = self.bars.add_task(escape(name), total=100, state="")

        def tell(state: str, percent: float | None = None) -> None:
            self.bars.update(task, state=escape(state), completed=percent)
            if not self.console.is_terminal and self._said.get(name) != state:
                self._said[name] = state
                self.console.print(f"{name}: {state}", markup=False, highlight=False, soft_wrap=True)

        return tell


def send_all(
    client: EndpointClient, clips: Sequence[ClipToSend], parallel: int, console: Console
) -> dict[str, Failed | None]:
    """Send clips, ``parallel`` at a time; return each source with its error, or None. Ctrl-C cancels running jobs."""
    board = _Board(console)

    def one(clip: ClipToSend) -> Failed | None:
        tell = board.teller(clip.folder.name)
        try:
            client.check()
            client.run(clip, tell)
        except Failed as error:
            tell(f"{error.code}: {error}")
            return error
        tell("done", 100.0)
        return None

    with board.bars, ThreadPoolExecutor(parallel) as pool:
        futures = {clip.source: pool.submit(one, clip) for clip in clips}
        try:
            return {source: future.result() for source, future in futures.items()}
        except BaseException:
            client.stopped.set()
            raise


_EPILOG = """\
Local files are uploaded to a bucket of yours that the worker can reach, under understudy/inputs/, and deleted after the
job. Set BUCKET_ENDPOINT_URL, BUCKET_ACCESS_KEY_ID, BUCKET_SECRET_ACCESS_KEY, BUCKET_NAME (and BUCKET_REGION) in this
environment; without them only URLs can be sent.

The results of each clip go to a folder of its own under --output: the video, the artifacts, and result.json, which is
written last. A clip whose result.json exists is not sent again. With --input '{"mode": "estimate"}' no clip is
processed: time and cost are printed and written to estimate.json.

examples:
  python -m client ENDPOINT_ID https://example.com/clip.mp4 --input '{"artifacts": ["report"]}'
  python -m client ENDPOINT_ID clips/ --reference front.png --reference back.png --jobs 4 -o results

exit status: 0 if all clips have results, 1 if some have none, 2 for invalid arguments, 130 if stopped by Ctrl-C
(running jobs are cancelled)
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m client",
        description="Send clips to an Understudy endpoint on RunPod and save the results. Needs RUNPOD_API_KEY.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("endpoint", help="the endpoint's id")
    parser.add_argument("clips", nargs="+", metavar="CLIP", help="a URL, a file, or a folder of clips")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("results"), help="folder for results (default: %(default)s)"
    )
    parser.add_argument(
        "--input", default="{}", metavar="JSON", help="the other fields of the job, as JSON (see docs/api.md)"
    )
    parser.add_argument(
        "--reference",
        action="append",
        default=[],
        metavar="PICTURE",
        help="a picture of the new person, a URL or a file; give it up to four times: front first, then other sides",
    )
    parser.add_argument(
        "--inline", action="store_true", help="return results in the answer: for short clips, needs no bucket"
    )
    parser.add_argument(
        "--jobs", type=int, default=2, metavar="N", help="clips processed at the same time (default: %(default)s)"
    )
    parser.add_argument(
        "--execution-timeout", type=int, metavar="SECONDS", help="execution timeout, instead of the endpoint's"
    )
    parser.add_argument("--again", action="store_true", help="also send clips that already have results")
    parser.add_argument("--poll", type=float, default=2.0, metavar="SECONDS", help=argparse.SUPPRESS)
    return parser


def _request(given: argparse.Namespace) -> dict[str, Any]:
    """Return the other fields of the job. Raises ``InvalidInput``."""
    try:
        request: Any = json.loads(given.input)
    except ValueError:
        raise InvalidInput("not valid JSON", field="--input") from None
    if not isinstance(request, dict):
        raise InvalidInput('must be an object such as {"artifacts": ["report"]}', field="--input")
    for name in _OURS:
        if name in request:
            raise InvalidInput(f"{name} is set by an option or argument of this command", field="--input")
    if given.reference:
        for name in ("reference_image_url", "reference_image_urls"):
            if name in request:
                raise InvalidInput(f"{name} is set by --reference", field="--input")
        request["reference_image_urls"] = given.reference
    return request


def _client(given: argparse.Namespace, request: dict[str, Any], clips: Sequence[ClipToSend]) -> EndpointClient:
    """Validate the arguments before anything is sent. Raises ``InvalidInput``."""
    key = os.environ.get("RUNPOD_API_KEY", "")
    if not key:
        raise InvalidInput("is not set: create a key in RunPod's console under Settings", field="RUNPOD_API_KEY")
    if given.jobs < 1:
        raise InvalidInput("must be at least 1", field="--jobs")
    pictures = local_references(request)
    for picture in pictures:
        if not Path(picture).is_file():
            field = "--reference" if picture in given.reference else "--input"
            raise InvalidInput(f"there is no such file: {picture}", field=field)
    bucket = read_bucket(os.environ)
    if bucket is not None:
        check_bucket(bucket)
    local = [*(clip.source for clip in clips if "://" not in clip.source), *pictures]
    if local and bucket is None:
        raise InvalidInput(f"local files require a bucket: set {', '.join(NAMES)}, or give a URL", field=local[0])
    return EndpointClient(
        endpoint_id=given.endpoint,
        api_key=key,
        request=request,
        bucket=bucket,
        inline=given.inline,
        execution_seconds=given.execution_timeout,
        poll_seconds=given.poll,
    )


def main(argv: Sequence[str]) -> int:
    """Run the command line; return the exit status."""
    given = _parser().parse_args(argv)
    console = Console(stderr=True)
    try:
        clips = find_clips(given.clips, given.output)
        request = _request(given)
        is_estimate = request.get("mode") == "estimate"
        waiting = [clip for clip in clips if given.again or is_estimate or not clip.is_done]
        client = _client(given, request, waiting)
    except InvalidInput as error:
        print(f"{error.field}: {error.message}", file=sys.stderr)
        return 2
    if len(waiting) < len(clips):
        print(f"{len(clips) - len(waiting)} of {len(clips)} clips already have results")
    try:
        ends = send_all(client, waiting, given.jobs, console)
    except KeyboardInterrupt:
        print("stopped; the jobs were cancelled", file=sys.stderr)
        return 130
    for clip in waiting:
        failure = ends[clip.source]
        if failure is None:
            print(f"{clip.source}: {clip.folder}")
            if is_estimate:
                answer = EstimateAnswer.model_validate_json((clip.folder / ESTIMATE).read_bytes())
                print("\n".join(f"  {line}" for line in estimate_lines(answer.estimate)))
        else:
            advice = ADVICE.get(failure.code)
            print(f"{clip.source}: {failure.code}: {failure}" + (f" ({advice})" if advice else ""), file=sys.stderr)
    return 1 if any(ends.values()) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
