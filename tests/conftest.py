from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

# Read when torch is imported: several test processes with one busy-waiting thread per core would stall.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Speed on a loaded machine says nothing about the code: no test fails because of time.
settings.register_profile("understudy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("understudy-ci", parent=settings.get_profile("understudy"), derandomize=True, database=None)
settings.load_profile("understudy-ci" if os.environ.get("CI") else "understudy")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the developer's own settings, or a RunPod machine's, from changing what a test sees.

    A proxy is one of them: behind one the SDK refuses every URL of a job.
    """
    for name in os.environ:
        ours = name.startswith(("UNDERSTUDY_", "RUNPOD_", "BUCKET_", "AWS_")) and name != "UNDERSTUDY_WEIGHTS"
        if ours or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
