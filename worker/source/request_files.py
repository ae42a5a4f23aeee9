"""Download the files of a request: the reference pictures of the new people, then the clip."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.request import FurtherSubject, JobRequest, PointChoice, SubjectChoice
from pipeline.settings import Settings
from worker.cancellation import CancelToken
from worker.environment import WorkerEnvironment
from worker.input import JobInput, SubjectInput, SubjectPoint, SubjectWords
from worker.source.fetch import fetch
from worker.source.picture import read_reference


class RequestFiles:
    """Downloads files into a job's folder and checks them. Raises the errors of ``fetch`` and ``read_reference``."""

    def __init__(
        self, settings: Settings, worker: WorkerEnvironment, workspace: Path, cancel_token: CancelToken
    ) -> None:
        self._limits = settings.limits
        self._worker = worker
        self._workspace = workspace
        self._cancel_token = cancel_token

    def character_references(self, request: JobInput) -> tuple[NDArray[np.uint8], ...]:
        """Return the pictures of the only person that a request describes."""
        [person] = _people_of(request)
        return tuple(self._pictures(_reference_urls(request, 0, person)))

    def job_request(self, request: JobInput) -> JobRequest:
        """Return a job's request with its files downloaded and its pictures decoded."""
        # Pictures first, since they are small: an invalid one is refused before the clip is downloaded.
        first, *further = [
            (each, self._pictures(_reference_urls(request, number, each)))
            for number, each in enumerate(_people_of(request))
        ]
        assert request.video_url is not None  # parse_request requires it in all modes with a clip
        return JobRequest(
            video=self._file(request.video_url, "source", "video_url", self._limits.max_bytes),
            output_dir=self._workspace / "result",
            artifacts=tuple(request.artifacts),
            seed=request.seed if first[0].seed is None else first[0].seed,
            subject=_choice(first[0].subject),
            on_lost=request.on_lost,
            prompt=first[0].prompt,
            negative_prompt=request.negative_prompt,
            reference=first[1][0] if first[1] else None,
            more_references=tuple(first[1][1:]),
            start_s=request.start_s,
            end_s=request.end_s,
            further_subjects=tuple(
                FurtherSubject(
                    subject=_choice(each.subject),
                    seed=request.seed if each.seed is None else each.seed,
                    prompt=each.prompt,
                    reference=references[0] if references else None,
                    more_references=tuple(references[1:]),
                )
                for each, references in further
            ),
        )

    def _file(self, url: str, name: str, field: str, max_bytes: int) -> Path:
        return fetch(
            url,
            self._workspace / name,
            field=field,
            max_bytes=max_bytes,
            seconds=self._limits.fetch_seconds,
            local_root=self._worker.local_root,
            private_hosts=self._worker.private_hosts,
            check=self._cancel_token.check,
        )

    def _pictures(self, urls: Mapping[str, str]) -> list[NDArray[np.uint8]]:
        limits = self._limits
        files = {
            field: self._file(url, field.replace(".", "_"), field, limits.max_reference_bytes)
            for field, url in urls.items()
        }
        return [read_reference(path, limits.max_reference_megapixels, field) for field, path in files.items()]


def _people_of(request: JobInput) -> list[SubjectInput]:
    """Return the people to replace; a single one is described in the request's top-level fields."""
    if request.subjects:
        return request.subjects
    urls = request.reference_image_urls
    if request.reference_image_url is not None:
        urls = [request.reference_image_url]
    return [SubjectInput(subject=request.subject, reference_image_urls=urls, prompt=request.prompt)]


def _reference_urls(request: JobInput, number: int, person: SubjectInput) -> dict[str, str]:
    """Return the URLs of a person's reference pictures by the request field that holds them."""
    if request.reference_image_url is not None:
        return {"reference_image_url": request.reference_image_url}
    within = f"subjects.{number}." if request.subjects else ""
    return {f"{within}reference_image_urls.{n}": url for n, url in enumerate(person.reference_image_urls)}


def _choice(subject: SubjectWords) -> SubjectChoice:
    if isinstance(subject, list):
        return tuple(PointChoice(point.x, point.y, point.at_s) for point in subject)
    return PointChoice(subject.x, subject.y, subject.at_s) if isinstance(subject, SubjectPoint) else subject
