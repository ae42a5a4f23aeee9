"""Errors of a GPU as errors of the job, and what every torch model shares."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import diffusers.utils.logging
import torch
import transformers.utils.logging
from torch import Tensor

from pipeline.errors import GpuError, OutOfMemory


def check_finite(values: Tensor) -> None:
    """Raise ``GpuError`` where a value is not finite."""
    if not bool(torch.isfinite(values).all()):
        raise GpuError("the model gave values that are not finite")


@contextmanager
def device_errors() -> Iterator[None]:
    """Turn torch's errors into those that a job may end with."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise OutOfMemory("the device's memory does not suffice for this preset") from error
    except RuntimeError as error:
        if not is_device_error(error):
            raise
        raise GpuError("the device failed") from error


def is_device_error(error: Any) -> bool:
    """Whether a RuntimeError comes from CUDA rather than from a wrong shape, which is a bug of ours."""
    return isinstance(error, torch.AcceleratorError) or any(
        word in str(error) for word in ("CUDA error", "cuBLAS", "CUBLAS", "cuDNN", "CUDNN")
    )


def quiet() -> None:
    """Keep both libraries' progress bars and advice out of the worker's log."""
    for library in (diffusers.utils.logging, transformers.utils.logging):
        library.set_verbosity_error()
        library.disable_progress_bar()
