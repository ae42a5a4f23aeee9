"""The errors with which a job may fail.

::

    UnderstudyError
    ├── InvalidInput          INVALID_INPUT
    ├── PresetUnavailable     PRESET_UNAVAILABLE
    ├── SourceError
    │   ├── UrlRejected       URL_REJECTED
    │   ├── DownloadFailed    DOWNLOAD_FAILED
    │   ├── DownloadTimeout   DOWNLOAD_TIMEOUT
    │   ├── TooLarge          TOO_LARGE
    │   └── UnsupportedMedia  UNSUPPORTED_MEDIA
    ├── SubjectError
    │   ├── NoPerson          NO_PERSON
    │   └── SubjectLost       SUBJECT_LOST
    ├── DeviceError           (requests a fresh worker)
    │   ├── OutOfMemory       OUT_OF_MEMORY
    │   └── GpuError          GPU_ERROR
    ├── ResultError
    │   ├── NoSpace           NO_SPACE
    │   ├── EncodeFailed      ENCODE_FAILED
    │   ├── UploadFailed      UPLOAD_FAILED
    │   └── ResultTooLarge    RESULT_TOO_LARGE
    ├── JobTimeout            TIMEOUT
    └── Cancelled             CANCELLED

Anything else that reaches the edge is a bug and is reported as ``INTERNAL``.
"""

from __future__ import annotations

from typing import ClassVar


class UnderstudyError(Exception):
    """A failure reported to the caller: ``message`` is one sentence, ``field`` the request field that it concerns."""

    code: ClassVar[str] = "INTERNAL"
    refresh_worker: ClassVar[bool] = False

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field


class InvalidInput(UnderstudyError):
    """The request violates the schema, a range, or a rule between fields."""

    code = "INVALID_INPUT"


class PresetUnavailable(UnderstudyError):
    """The preset exists, but its weights are not on this machine."""

    code = "PRESET_UNAVAILABLE"


class SourceError(UnderstudyError):
    """The source clip or a reference picture cannot be downloaded or used."""


class UrlRejected(SourceError):
    """This worker may not read the URL or path."""

    code = "URL_REJECTED"


class DownloadFailed(SourceError):
    """The server did not deliver the file."""

    code = "DOWNLOAD_FAILED"


class DownloadTimeout(SourceError):
    """The download missed its deadline."""

    code = "DOWNLOAD_TIMEOUT"


class TooLarge(SourceError):
    """The file, picture or clip exceeds one of the operator's limits."""

    code = "TOO_LARGE"


class UnsupportedMedia(SourceError):
    """The file is not a supported video or picture."""

    code = "UNSUPPORTED_MEDIA"


class SubjectError(UnderstudyError):
    """There is no person to replace."""


class NoPerson(SubjectError):
    """No person was found in the clip."""

    code = "NO_PERSON"


class SubjectLost(SubjectError):
    """The subject was lost, and the caller requested an error (``on_lost=error``)."""

    code = "SUBJECT_LOST"


class DeviceError(UnderstudyError):
    """The GPU failed; the worker is replaced after the job."""

    refresh_worker = True


class OutOfMemory(DeviceError):
    """GPU or main memory was exhausted, or would have been."""

    code = "OUT_OF_MEMORY"


class GpuError(DeviceError):
    """The GPU raised an error or returned non-finite values."""

    code = "GPU_ERROR"


class ResultError(UnderstudyError):
    """The result could not be written or delivered."""


class NoSpace(ResultError):
    """The disk is full or not writable, or too small for the job."""

    code = "NO_SPACE"


class EncodeFailed(ResultError):
    """The encoder failed or did not finish."""

    code = "ENCODE_FAILED"


class UploadFailed(ResultError):
    """The destination did not accept the result."""

    code = "UPLOAD_FAILED"


class ResultTooLarge(ResultError):
    """The result exceeds the platform's payload limit."""

    code = "RESULT_TOO_LARGE"


class JobTimeout(UnderstudyError):
    """The job exceeded its time limit."""

    code = "TIMEOUT"


class Cancelled(UnderstudyError):
    """The caller or the platform cancelled the job."""

    code = "CANCELLED"
