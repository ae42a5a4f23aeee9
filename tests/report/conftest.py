"""One made job for all tests of the report."""

from __future__ import annotations

import pytest

from pipeline.report.page import ReportInputs
from tests.support.report_job import made_job


@pytest.fixture(scope="session")
def job(tmp_path_factory: pytest.TempPathFactory) -> ReportInputs:
    return made_job(tmp_path_factory.mktemp("report"))
