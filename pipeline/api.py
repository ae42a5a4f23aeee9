"""The public API of the library. Everything else in ``pipeline`` may change between versions."""

from __future__ import annotations

from pipeline.character import CharacterRequest, show_character
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
from pipeline.find_people import find_people
from pipeline.mode_results import CharacterReport, CharacterResult, PeopleReport, PeopleResult, PersonReport
from pipeline.models.loaded import LoadedModels, load_character, load_models, load_people
from pipeline.request import JobRequest, PointChoice
from pipeline.result import Estimate, JobReport, JobResult, Quality
from pipeline.run import run_job, run_stills
from pipeline.settings import Settings

__all__ = [
    "Cancelled",
    "CharacterReport",
    "CharacterRequest",
    "CharacterResult",
    "DeviceError",
    "DownloadFailed",
    "DownloadTimeout",
    "EncodeFailed",
    "Estimate",
    "GpuError",
    "InvalidInput",
    "JobReport",
    "JobRequest",
    "JobResult",
    "JobTimeout",
    "LoadedModels",
    "NoPerson",
    "NoSpace",
    "OutOfMemory",
    "PeopleReport",
    "PeopleResult",
    "PersonReport",
    "PointChoice",
    "PresetUnavailable",
    "Quality",
    "ResultTooLarge",
    "Settings",
    "SubjectLost",
    "TooLarge",
    "UnderstudyError",
    "UnsupportedMedia",
    "UploadFailed",
    "UrlRejected",
    "find_people",
    "load_character",
    "load_models",
    "load_people",
    "run_job",
    "run_stills",
    "show_character",
]
