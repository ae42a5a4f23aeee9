"""GPU errors as errors of the job, and what all torch models share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import diffusers.utils.logging
import torch
import transformers.utils.logging
from torch import Tensor

from pipeline.errors import GpuError, OutOfMemory, PresetUnavailable

_NEEDED_DRIVER = 580
"""Minimum driver of the CUDA 13 in torch's wheels: NVIDIA's table of CUDA releases and drivers."""


def check_finite(values: Tensor) -> None:
    """Raise ``GpuError`` where a value is not finite."""
    if not bool(torch.isfinite(values).all()):
        raise GpuError("the model gave values that are not finite")


def check_device() -> None:
    """Raise ``PresetUnavailable`` where torch cannot use a GPU, with the reason: none, a driver that is too old, or
    CUDA's own."""
    if torch.cuda.is_available():
        return
    driver = _driver_version()
    if driver is None:
        raise PresetUnavailable("this preset needs a GPU, and this worker has none")
    if int(driver.partition(".")[0]) < _NEEDED_DRIVER:
        raise PresetUnavailable(
            f"this worker's GPU driver is {driver}, and CUDA {torch.version.cuda} needs {_NEEDED_DRIVER} or newer "
            "(or CUDA's forward compatibility package)"
        )
    raise PresetUnavailable(f"CUDA {torch.version.cuda} does not start with GPU driver {driver}: {_cuda_says()}")


def _cuda_says() -> str:
    """Return the first line of CUDA's reason for not starting."""
    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:
        return str(error).partition("\n")[0]
    return "it names no reason"


def _driver_version() -> str | None:
    """Return the NVIDIA driver's version, None where there is no driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
        try:
            version = pynvml.nvmlSystemGetDriverVersion()
        finally:
            pynvml.nvmlShutdown()
    except pynvml.NVMLError:
        return None
    return version.decode() if isinstance(version, bytes) else str(version)


@contextmanager
def device_errors() -> Iterator[None]:
    """Convert torch's errors into those that a job may end with."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise OutOfMemory("the device has too little memory for this preset") from error
    except RuntimeError as error:
        if not is_device_error(error):
            raise
        raise GpuError("the device failed") from error


def is_device_error(error: Any) -> bool:
    """Whether a RuntimeError comes from CUDA rather than from a wrong shape, which is our bug."""
    return isinstance(error, torch.AcceleratorError) or any(
        word in str(error) for word in ("CUDA error", "cuBLAS", "CUBLAS", "cuDNN", "CUDNN")
    )


def quiet() -> None:
    """Keep both libraries' progress bars and advice out of the worker's log."""
    for library in (diffusers.utils.logging, transformers.utils.logging):
        library.set_verbosity_error()
        library.disable_progress_bar()
