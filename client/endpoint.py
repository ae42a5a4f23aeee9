"""Process one clip with an Understudy endpoint on RunPod: upload, submit, wait, save."""

from __future__ import annotations

import base64
import json
import re
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import requests
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from client.references import with_references
from pipeline.errors import UnderstudyError
from worker.delivery.bucket import s3_client, sign_links, upload_files
from worker.delivery.bucket_settings import Bucket
from worker.delivery.upload_limits import UploadLimits
from worker.output import ResultFiles, plain_sentence

Tell = Callable[..., None]
"""Called with a state and, where known, the percentage done."""
_ENDS = frozenset({"COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT"})
_UPLOAD = UploadLimits(total_seconds=6 * 3600.0)
"""Enough for 2 GiB over a slow home connection."""
_REMOVE_SECONDS = 60.0
_VIDEO_NAMES = {"video/quicktime": "result.mov", "video/x-matroska": "result.mkv"}
_INLINE_SUFFIXES = {
    "analysis": ".npz",
    "plate": ".zip",
    "report": ".html",
    "contact_sheet": ".png",
    "frame": ".png",
    "people": ".png",
    "character": ".png",
}
"""Suffixes of artifacts sent as base64; the others are Matroska files."""
ESTIMATE = "estimate.json"
"""Result file of a job with the mode ``estimate``."""


class Failed(Exception):
    """A clip has no result; ``code`` is the worker's error code or the platform's status."""

    def __init__(self, code: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.field = field
        """Field of the request, where the worker named one; the message starts with it."""


@dataclass(frozen=True, slots=True)
class ClipToSend:
    """One clip to send."""

    source: str
    """A URL or a path; "" in the mode ``character``, which has no clip."""
    folder: Path
    """Folder for its result."""

    @property
    def is_done(self) -> bool:
        return (self.folder / "result.json").is_file()


@dataclass(slots=True)
class EndpointClient:
    """Settings shared by all clips. Methods are thread-safe."""

    endpoint_id: str
    api_key: str
    request: Mapping[str, Any]
    """The keys of ``input`` other than the clip; reference pictures may be local files."""
    bucket: Bucket | None
    """Bucket to which local files are uploaded for the worker."""
    inline: bool = False
    execution_seconds: int | None = None
    poll_seconds: float = 2.0
    stopped: threading.Event = field(default_factory=threading.Event)

    def run(self, clip: ClipToSend, tell: Tell) -> dict[str, Any]:
        """Send a clip, wait for the job to end, save its files; return the worker's answer. Raises ``Failed``."""
        with ExitStack() as uploads:

            def reachable(source: str) -> str:
                return uploads.enter_context(self._reachable(source, tell))

            job_input = with_references(self.request, reachable)
            if clip.source:
                job_input["video_url"] = reachable(clip.source)
            if self.inline:
                job_input["inline"] = True
            answer = self._answer(job_input, tell)
            tell("saving", 100.0)
            try:
                save(answer, clip.folder, self.check)
            except OSError as error:
                raise Failed("NOT_SAVED", error.strerror or type(error).__name__) from None
        return answer

    def check(self) -> None:
        """Raise ``Failed`` when the user has stopped the client."""
        if self.stopped.is_set():
            raise Failed("CANCELLED", "stopped")

    @contextmanager
    def _reachable(self, source: str, tell: Tell) -> Iterator[str]:
        """Yield a URL at which the worker finds ``source``; an upload to the bucket is removed afterwards."""
        if "://" in source:
            yield source
            return
        assert self.bucket is not None  # main() refuses local files without one
        key = f"understudy/inputs/{uuid.uuid4().hex}{Path(source).suffix.lower()}"
        tell("uploading", 0.0)
        try:
            upload_files(self.bucket, {key: Path(source)}, check=self.check, limits=_UPLOAD)
        except UnderstudyError as error:
            raise Failed("NOT_SENT", error.message) from None
        try:
            yield sign_links(self.bucket, [key])[key]
        finally:
            _remove(self.bucket, key)

    def _answer(self, job_input: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
        # Imported late: it takes a second, which --help should not.
        import runpod

        # One per thread: the SDK's session is not thread-safe.
        endpoint = runpod.Endpoint(self.endpoint_id, api_key=self.api_key)
        body: dict[str, Any] = {"input": dict(job_input)}
        if self.execution_seconds is not None:
            body["policy"] = {"executionTimeout": self.execution_seconds * 1000}
        job = _asked(lambda: endpoint.run(body), is_safe_again=False)
        try:
            while True:
                # The SDK's Job exposes status or output; progress and errors need the full response.
                state = _asked(lambda: endpoint.rp_client.get(f"{self.endpoint_id}/status/{job.job_id}"))
                output = state.get("output")
                known = output if isinstance(output, dict) else {}
                if state["status"] in _ENDS:
                    break
                tell(known.get("stage") or state["status"].lower().replace("_", " "), known.get("percent"))
                if self.stopped.wait(self.poll_seconds):
                    self.check()
        except BaseException:
            with suppress(Failed):
                _asked(job.cancel, tries=3)
            raise
        if state["status"] != "COMPLETED" or "error_code" in known:
            code = known.get("error_code") or state["status"]
            message = plain_sentence(
                str(state.get("error") or "the platform gives no details"), code, known.get("field")
            )
            if "field" in known:
                raise Failed(code, f"{known['field']}: {message}", str(known["field"]))
            raise Failed(code, message)
        return known


def _remove(bucket: Bucket, key: str) -> None:
    """Delete a clip from the bucket; on failure it stays, and the job's outcome is reported anyway."""
    from botocore.exceptions import BotoCoreError, ClientError

    store = s3_client(bucket, UploadLimits(total_seconds=_REMOVE_SECONDS))
    with suppress(BotoCoreError, ClientError):
        store.delete_object(Bucket=bucket.name, Key=key)
    store.close()


def _asked(ask: Callable[[], Any], *, is_safe_again: bool = True, tries: int = 12) -> Any:
    """Return ``ask()``, retrying transient failures. Raises ``Failed``.

    Over https the SDK itself does not retry. Non-idempotent requests are repeated only after a 429.
    """

    def may_pass(error: BaseException) -> bool:
        if not isinstance(error, requests.RequestException):
            return False
        status = getattr(error.response, "status_code", None)
        return status == 429 or (is_safe_again and (status is None or status >= 500))

    try:
        return Retrying(
            retry=retry_if_exception(may_pass),
            stop=stop_after_attempt(tries),
            wait=wait_random_exponential(max=30),
            reraise=True,
        )(ask)
    except requests.HTTPError as error:
        raise Failed("API_ERROR", f"the endpoint's API answered {error.response.status_code}") from None
    except requests.RequestException as error:
        raise Failed("API_ERROR", f"the endpoint's API cannot be reached ({type(error).__name__})") from None
    except RuntimeError as error:
        # The SDK raises this for 401.
        raise Failed("API_ERROR", str(error)) from None


def save(answer: Mapping[str, Any], folder: Path, check: Callable[[], None] = lambda: None) -> None:
    """Write an answer's files into ``folder``, ``result.json`` last, so that its presence means that all files are
    complete. Estimates have one file.

    Raises ``Failed`` and ``OSError``.
    """
    if "estimate" in answer:
        # Optional: its absence does not affect the result.
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ESTIMATE).write_text(json.dumps(answer, indent=1), encoding="utf-8")
        return
    is_people = "people" in answer
    try:
        files = ResultFiles.model_validate(answer)
    except ValueError:
        files = ResultFiles()
    # A clip without people has nothing to show.
    if not files.model_fields_set and not is_people:
        raise Failed("NOT_SAVED", "the answer names no files: is this an Understudy endpoint?")
    folder.mkdir(parents=True, exist_ok=True)
    # Existing files there are no longer a valid result.
    (folder / "result.json").unlink(missing_ok=True)
    video = _VIDEO_NAMES.get(files.video_content_type, "result.mp4")
    if files.video_base64:
        (folder / video).write_bytes(base64.b64decode(files.video_base64))
    elif files.video_url:
        # The modes frame and people return only pictures.
        _download(files.video_url, folder / video, check)
    for name, text in files.artifacts_base64.items():
        content = base64.b64decode(text)
        plain = re.sub(r"[^a-z_]", "_", name)
        # One picture is sent as it is, several as a zip.
        is_zip = name in ("frame", "people", "character") and content.startswith(b"PK")
        suffix = ".zip" if is_zip else _INLINE_SUFFIXES.get(name, ".mkv")
        (folder / (plain + suffix)).write_bytes(content)
    for places in files.artifacts.values():
        for place in [places] if isinstance(places, str) else places:
            _download(place, folder / file_name(place), check)
    saved = {name: value for name, value in answer.items() if not name.endswith("_base64")}
    part = folder / ".result.json.part"
    part.write_text(json.dumps(saved, indent=1), encoding="utf-8")
    part.replace(folder / "result.json")


def _download(url: str, target: Path, check: Callable[[], None]) -> None:
    if url.startswith("s3://"):
        raise Failed("NOT_SAVED", f"{target.name}: is in the worker's bucket, which does not support links: {url}")
    part = target.with_name(f".{target.name}.part")

    def load() -> None:
        with requests.get(url, stream=True, timeout=(10, 60)) as response:
            response.raise_for_status()
            with part.open("wb") as file:
                for block in response.iter_content(1 << 20):
                    check()
                    file.write(block)

    try:
        _asked(load, tries=4)
        part.replace(target)
    except Failed as error:
        raise Failed("NOT_SAVED", f"{target.name}: {error}") from None
    finally:
        part.unlink(missing_ok=True)


def file_name(source: str) -> str:
    """Return a harmless file name for a URL or path: its last part."""
    last = unquote(urlsplit(source).path) if "://" in source else source
    return re.sub(r"[^\w.-]", "_", Path(last).name).lstrip(".") or "clip"
