"""The operator's configuration of a worker, read once from the environment.

Parsed without a library, after a trial of pydantic-settings 2.16: it reads only ``os.environ``, while the environment
is an argument here; it expects JSON in a variable that holds a list (``minio:9000,other`` is a ``SettingsError``);
pydantic's ``ByteSize`` reads a number without a unit as bytes (``UNDERSTUDY_STATE_MAX=20`` would be 20 bytes), and its
integers accept ``1_0`` as ten. The parsers below would remain as validators, and its errors would need translating.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.errors import InvalidInput
from worker.delivery.bucket import check_bucket
from worker.delivery.bucket_settings import Bucket, link_seconds, read_bucket
from worker.fan_out.endpoint import OwnEndpoint, read_endpoint

JobOrigin = Literal["local", "api", "platform"]
"""Where jobs come from: the command line, the SDK's HTTP server, or RunPod."""
STATE_LIFE_SECONDS = 24 * 3600.0
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{1,5})?")
_SIZE = re.compile(r"(\d{1,6})\s*([MGT])B?", re.IGNORECASE)
_UNITS = {"M": 10**6, "G": 10**9, "T": 10**12}


@dataclass(frozen=True, slots=True)
class WorkerEnvironment:
    """Where a worker reads, writes and delivers."""

    outputs: Path
    """Folder for local results."""
    work: Path
    """Folder for the jobs' temporary folders."""
    local_root: Path | None
    """Folder under which paths in a request may be read; None: no paths."""
    private_hosts: frozenset[str]
    """``host`` or ``host:port`` that may have private addresses, for downloads and uploads."""
    bucket: Bucket | None
    state_dir: Path | None
    """Folder for the checkpoints of unfinished jobs; None: no checkpoints."""
    state_life_seconds: float
    state_max_bytes: int
    inline_max_bytes: int
    """Maximum size of the files that an answer may contain as base64."""
    local_delivery: bool
    """Whether results may be written to ``outputs``."""
    job_seconds: float | None = None
    """Time limit of a job; None: no limit."""
    upload_seconds: float = 300.0
    """How long the upload of a finished result is retried."""
    endpoint: OwnEndpoint | None = None
    """The endpoint that this worker belongs to; needed to share chunks with other workers."""
    fan_out_max: int = 16
    """Maximum number of workers that a job may request."""
    late_seconds: float = 60.0
    """A chunk that another worker has had for longer, and for more than three times the usual time, is generated again
    by the job itself."""
    stall_seconds: float = 300.0
    """A job without any progress for this long counts as stalled, and the worker is replaced. Loading a model and one
    call of an encoder take less."""


def read_worker_settings(environment: Mapping[str, str], origin: JobOrigin) -> WorkerEnvironment:
    """Read the operator's variables. Raises ``InvalidInput`` that names the variable and does not repeat its value."""
    # Checked even without a bucket, so that adding one later reveals no old mistake.
    link_seconds(environment)
    bucket = read_bucket(environment)
    if bucket is not None:
        check_bucket(bucket)
    return WorkerEnvironment(
        outputs=Path(environment.get("UNDERSTUDY_OUTPUTS") or "outputs"),
        work=Path(environment.get("UNDERSTUDY_WORK") or Path(tempfile.gettempdir()) / "understudy"),
        local_root=_local_root(environment, origin),
        private_hosts=_hosts(environment.get("UNDERSTUDY_PRIVATE_HOSTS", "")),
        bucket=bucket,
        state_dir=_folder(environment, "UNDERSTUDY_STATE_DIR"),
        state_life_seconds=STATE_LIFE_SECONDS,
        state_max_bytes=_size(environment, "UNDERSTUDY_STATE_MAX", "20G"),
        inline_max_bytes=_size(environment, "UNDERSTUDY_INLINE_MAX", "6M"),
        # With the SDK's HTTP server, callers who may read local paths may also have results written there.
        local_delivery=_local_root(environment, origin) is not None,
        job_seconds=_seconds(environment, "UNDERSTUDY_JOB_SECONDS"),
        upload_seconds=_seconds(environment, "UNDERSTUDY_UPLOAD_SECONDS") or 300.0,
        stall_seconds=_seconds(environment, "UNDERSTUDY_STALL_SECONDS") or 300.0,
        endpoint=read_endpoint(environment),
        fan_out_max=_count(environment, "UNDERSTUDY_FAN_OUT_MAX", 16),
        late_seconds=_seconds(environment, "UNDERSTUDY_LATE_SECONDS") or 60.0,
    )


def _local_root(environment: Mapping[str, str], origin: JobOrigin) -> Path | None:
    if origin == "local":
        return Path("/")
    # On the platform jobs come from anywhere: no variable gives them access to the worker's disk.
    return _folder(environment, "UNDERSTUDY_LOCAL_ROOT") if origin == "api" else None


def _folder(environment: Mapping[str, str], name: str) -> Path | None:
    text = environment.get(name, "").strip()
    if not text:
        return None
    if not Path(text).is_absolute():
        raise InvalidInput("must be an absolute path", field=name)
    return Path(text)


def _hosts(text: str) -> frozenset[str]:
    hosts = [part.strip().lower() for part in text.split(",") if part.strip()]
    if not all(_HOST.fullmatch(host) for host in hosts):
        raise InvalidInput("must be hosts such as minio:9000, separated by commas", field="UNDERSTUDY_PRIVATE_HOSTS")
    return frozenset(host.replace("[", "").replace("]", "") if host.endswith("]") else host for host in hosts)


def _size(environment: Mapping[str, str], name: str, default: str) -> int:
    found = _SIZE.fullmatch((environment.get(name) or default).strip())
    if found is None:
        raise InvalidInput("must be a size such as 500M or 20G", field=name)
    return int(found[1]) * _UNITS[found[2].upper()]


def _count(environment: Mapping[str, str], name: str, most: int) -> int:
    text = environment.get(name, "").strip() or str(most)
    if not re.fullmatch(r"\d{1,2}", text) or not 1 <= int(text) <= most:
        raise InvalidInput(f"must be a number from 1 to {most}", field=name)
    return int(text)


def _seconds(environment: Mapping[str, str], name: str) -> float | None:
    text = environment.get(name, "").strip()
    if not text:
        return None
    if not re.fullmatch(r"\d{1,6}", text) or int(text) == 0:
        raise InvalidInput("must be a number of seconds", field=name)
    return float(text)
