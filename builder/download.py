"""Download files from the model hub and from releases: resumable, in parallel, verified before they get their final
name.

huggingface_hub is not used; it was tried (2.4.0) against the tests' fake hub. It does not resume in another process: a
killed download's partial data (21 of 102 MB) stays behind under a temporary name, and the next one starts at byte 0; a
dropped connection costs up to 10 MiB. A file gets its final name before its hash is checked, so a wrong file of the
same size stays in place. And it would add 19 MB to the `preview` image, where no other package needs it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import requests
import tomlkit
from requests.adapters import HTTPAdapter
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from urllib3.exceptions import HTTPError
from urllib3.util import Retry

from pipeline.models.weights.lock import FetchError, LockedFile, LockedHub, LockedRelease, sha256_of

_THREADS = 4
_TIMEOUT_SECONDS = (10, 60)
_BLOCK_BYTES = 1 << 20
_TOKEN_FILE = Path("/run/secrets/hf_token")
"""Path of a build secret while the image is built."""


def hub_url() -> str:
    """Return the hub's address: ``$HF_ENDPOINT``, as its own tools read it."""
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def hub_token() -> str | None:
    """Return ``$HF_TOKEN`` or the build's secret; None where there is neither. It is never printed."""
    if os.environ.get("HF_TOKEN"):
        return os.environ["HF_TOKEN"]
    return _TOKEN_FILE.read_text(encoding="utf-8").strip() if _TOKEN_FILE.is_file() else None


def download(
    source: LockedHub | LockedRelease, files: list[LockedFile], weights: Path, say: Callable[[str], None]
) -> None:
    """Download the files of one source to ``weights``. Partial downloads are resumed. Raises ``FetchError``."""
    unknown = [file.name for file in files if file.sha256 is None]
    if unknown:
        raise FetchError(
            f"{source.title}: models.lock does not know the hash of {', '.join(unknown)} yet: run "
            "`python -m builder.fetch_models --lock` once where the hub is reached, look at what changed, and keep it"
        )
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, transient=True) as progress, ThreadPoolExecutor(_THREADS) as pool:
        futures = [pool.submit(_fetch, source, file, weights, progress) for file in files]
        for file, future in zip(files, futures, strict=True):
            future.result()
            say(f"{file.name}: written ({(file.size or 0) / 1e6:.1f} MB, {source.licence})")


def lock_hub(path: Path, say: Callable[[str], None]) -> None:
    """Fill in revision, sizes and hashes of the hub's files missing in ``path`` (models.lock), from the hub itself.

    A repository's licence is added as a separate file: whoever redistributes weights must include their licence's text.
    Large files have their SHA-256 in the hub's metadata; small ones are downloaded and hashed. Existing entries are
    kept: to update to a newer revision, clear its ``revision`` and hashes. The lock is written after each entry, so
    that a wrong name affects only its own entry. Raises ``FetchError`` at the end, with everything that a preset needs
    and the hub lacks; a missing file that no preset needs is only reported through ``say``.
    """
    document: Any = tomlkit.parse(path.read_text(encoding="utf-8"))
    misses: list[str] = []
    with _session(hub_token()) as session:
        entries = [(entry, _lock_entry) for entry in document.get("hub", [])]
        entries += [(entry, _lock_release) for entry in document.get("release", [])]
        # Entries that no preset needs come last.
        for entry, lock in sorted(entries, key=lambda pair: _is_optional(pair[0])):
            try:
                lock(session, entry, say)
            except FetchError as error:
                if _is_optional(entry):
                    say(f"left open, no preset needs it: {error}")
                else:
                    misses.append(str(error))
            path.write_text(tomlkit.dumps(document), encoding="utf-8")
    if misses:
        raise FetchError("; ".join(misses))


def _is_optional(entry: Any) -> bool:
    """Whether the entry is marked as unused by the worker's presets."""
    return bool(entry.get("optional", False))


def _lock_entry(session: requests.Session, entry: Any, say: Callable[[str], None]) -> None:
    if entry["revision"] and all(file.get("sha256") for file in entry["file"]):
        return
    repository = entry["repository"]
    revision = entry["revision"] or "main"
    told = _json(session, f"{hub_url()}/api/models/{repository}/revision/{revision}?blobs=true")
    siblings = {item["rfilename"]: item for item in told.get("siblings", [])}
    missing = [file["member"] for file in entry["file"] if file["member"] not in siblings]
    if missing:
        raise FetchError(f"{repository} has no {', '.join(missing)} at {told['sha']}")
    entry["revision"] = told["sha"]
    for member in sorted(name for name in siblings if _is_licence(name)):
        if all(file["member"] != member for file in entry["file"]):
            entry["file"].append(_licence_file(repository, member, entry))
    for file in entry["file"]:
        _lock_file(session, entry, file, siblings[file["member"]])
        say(f"{repository}: {file['member']}: {file['size']} bytes, sha256 {file['sha256']}")


def _is_licence(member: str) -> bool:
    """Whether a file of a repository is its licence or its use policy."""
    return "/" not in member and member.upper().startswith(("LICENSE", "LICENCE", "USE_POLICY", "NOTICE"))


def _licence_file(repository: str, member: str, entry: Any) -> Any:
    """Return the lock entry of a licence's text: it is fetched with any of the weights."""
    file = tomlkit.table()
    file["name"] = f"licences/{repository}/{member}"
    file["member"] = member
    file["sha256"] = ""
    file["presets"] = sorted({preset for other in entry["file"] for preset in other["presets"]})
    return file


def _lock_release(session: requests.Session, entry: Any, say: Callable[[str], None]) -> None:
    for file in entry["file"]:
        if not file.get("sha256"):
            content = _content(session, f"{entry['url'].rstrip('/')}/{file['member']}")
            file["sha256"] = _digest(content)
            file["size"] = len(content)
            say(f"{entry['url']}: {file['member']}: {file['size']} bytes, sha256 {file['sha256']}")


def _lock_file(session: requests.Session, entry: Any, file: Any, told: dict[str, Any]) -> None:
    lfs = told.get("lfs")
    if lfs:
        digest = lfs["sha256"]
        size = lfs["size"]
    else:
        content = _content(session, f"{hub_url()}/{entry['repository']}/resolve/{entry['revision']}/{file['member']}")
        digest = _digest(content)
        size = len(content)
    if file.get("sha256") and file["sha256"] != digest:
        raise FetchError(
            f"{entry['repository']}: {file['member']} is {digest} on the hub, the lock says {file['sha256']}"
        )
    file["sha256"] = digest
    file["size"] = size


def _fetch(source: LockedHub | LockedRelease, file: LockedFile, weights: Path, progress: Progress) -> None:
    target = weights / file.name
    # Its hash is in the name: a partial download of another version is not resumed.
    part = target.with_name(f".part-{(file.sha256 or '')[:12]}-{target.name}")
    part.parent.mkdir(parents=True, exist_ok=True)
    task = progress.add_task(file.name, total=file.size)
    is_hub = isinstance(source, LockedHub)
    if isinstance(source, LockedHub):
        url = f"{hub_url()}/{source.repository}/resolve/{source.revision}/{file.member}"
    else:
        url = f"{source.url.rstrip('/')}/{file.member}"
    try:
        with _session(hub_token() if is_hub else None) as session:
            _stream(session, url, part, file, lambda done: progress.update(task, completed=done))
    except requests.RequestException as error:
        status = error.response.status_code if error.response is not None else None
        hint = "; it wants a token: set HF_TOKEN" if status in (401, 403) and is_hub else ""
        raise FetchError(f"{source.title}: {file.member}: {_told(error, status)}{hint}") from error
    found = sha256_of(part)
    if part.stat().st_size != file.size or found != file.sha256:
        part.unlink()
        raise FetchError(f"{file.name}: sha256 is {found}, the lock says {file.sha256}")
    part.replace(target)


def _stream(session: requests.Session, url: str, part: Path, file: LockedFile, tell: Callable[[int], None]) -> None:
    """Download to ``part``; a dropped connection is resumed where it ended, as long as each attempt makes progress."""
    while True:
        have = part.stat().st_size if part.exists() else 0
        if file.size is not None and have >= file.size:
            return
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={have}-"} if have else {})}
        try:
            with session.get(url, headers=headers, stream=True, timeout=_TIMEOUT_SECONDS) as answer:
                answer.raise_for_status()
                goes_on = answer.status_code == 206
                with part.open("ab" if goes_on else "wb") as out:
                    # Received data is kept even where the connection ends in the middle of a block.
                    while block := answer.raw.read1(_BLOCK_BYTES):
                        out.write(block)
                        tell(out.tell())
        except (requests.ConnectionError, HTTPError) as error:
            if not part.exists() or part.stat().st_size <= have:
                raise requests.ConnectionError(str(error)) from error
            continue
        if file.size is None or part.stat().st_size <= have or part.stat().st_size >= file.size:
            return


def _session(token: str | None) -> requests.Session:
    session = requests.Session()
    retry = Retry(total=4, backoff_factor=1.0, status_forcelist=(429, 500, 502, 503, 504), allowed_methods=("GET",))
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry))
    if token:
        # requests drops the header when a redirect leads to another host, such as the hub's CDN.
        session.headers["Authorization"] = f"Bearer {token}"
    return session


def _json(session: requests.Session, url: str) -> dict[str, Any]:
    try:
        answer = session.get(url, timeout=_TIMEOUT_SECONDS)
        answer.raise_for_status()
        told: dict[str, Any] = answer.json()
        return told
    except (requests.RequestException, ValueError) as error:
        raise FetchError(f"the hub does not say: {url}: {type(error).__name__}") from error


def _content(session: requests.Session, url: str) -> bytes:
    try:
        answer = session.get(url, timeout=_TIMEOUT_SECONDS)
        answer.raise_for_status()
        return answer.content
    except requests.RequestException as error:
        raise FetchError(f"{url}: {type(error).__name__}") from error


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _told(error: requests.RequestException, status: int | None) -> str:
    return f"the server answered {status}" if status is not None else type(error).__name__
