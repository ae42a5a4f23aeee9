"""The public face of the library: a job in, a result out.

Everything else in ``pipeline`` may change from version to version.
"""

from __future__ import annotations

from pipeline.errors import (
    Cancelled,
    DeviceError,
    DownloadFailed,
    DownloadTimeout,
    EncodeFailed,
    GpuError,
    InvalidInput,
    JobTimeout,
    NoPerson,
    NoSpace,
    OutOfMemory,
    PresetUnavailable,
    ResultTooLarge,
    SubjectLost,
    TooLarge,
    UnderstudyError,
    UnsupportedMedia,
    UploadFailed,
    UrlRejected,
)
from pipeline.models.loaded import LoadedModels, load_models
from pipeline.request import JobRequest, JobResult, PointChoice
from pipeline.run import run_job, run_stills
from pipeline.settings import Settings

__all__ = [
    "Cancelled",
    "DeviceError",
    "DownloadFailed",
    "DownloadTimeout",
    "EncodeFailed",
    "GpuError",
    "InvalidInput",
    "JobRequest",
    "JobResult",
    "JobTimeout",
    "LoadedModels",
    "NoPerson",
    "NoSpace",
    "OutOfMemory",
    "PointChoice",
    "PresetUnavailable",
    "ResultTooLarge",
    "Settings",
    "SubjectLost",
    "TooLarge",
    "UnderstudyError",
    "UnsupportedMedia",
    "UploadFailed",
    "UrlRejected",
    "load_models",
    "run_job",
    "run_stills",
]
