"""The SDK is imported quickly: nothing is measured on the way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
_SCRIPT = """
import cpuinfo
def measure():
    raise AssertionError("the processor was measured")
cpuinfo.get_cpu_info = measure
import handler
from runpod.serverless.utils import rp_debugger
assert isinstance(rp_debugger.PROCESSOR, str)
assert cpuinfo.get_cpu_info is measure
print("imported")
"""


def test_a_worker_starts_without_measuring_the_processor() -> None:
    done = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True, check=False, cwd=_ROOT)

    assert done.stdout == "imported\n", done.stderr
