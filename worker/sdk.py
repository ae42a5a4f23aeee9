"""RunPod's SDK, imported without a second of measuring the processor. Import it here first.

On import the SDK asks py-cpuinfo for the processor's name, for its debugging output. py-cpuinfo starts processes to
find out much more, which takes a second of the start-up.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cpuinfo

_CPUINFO = Path("/proc/cpuinfo")


@contextmanager
def _only_named() -> Iterator[None]:
    """Let py-cpuinfo tell the processor's name alone."""
    measured = cpuinfo.get_cpu_info
    cpuinfo.get_cpu_info = lambda: {"brand_raw": _name()}
    try:
        yield
    finally:
        cpuinfo.get_cpu_info = measured


def _name() -> str:
    lines = _CPUINFO.read_text().splitlines() if _CPUINFO.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


with _only_named():
    from runpod.serverless.utils.rp_ssrf import PinnedIPAdapter

__all__ = ["PinnedIPAdapter"]
