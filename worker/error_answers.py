"""The answers of jobs that failed."""

from __future__ import annotations

import logging
import uuid
from typing import Any

from pipeline.errors import EncodeFailed, JobTimeout, UnderstudyError
from worker.cancellation import CancelToken
from worker.output import ErrorAnswer, full_sentence, wire_form

log = logging.getLogger("understudy")


def error_answer(error: UnderstudyError) -> ErrorAnswer:
    """Return the answer for an error: sentence, code, and the field that caused it, if any."""
    answer = ErrorAnswer(error=full_sentence(error.message, error.code, error.field), error_code=error.code)
    if error.field is not None:
        answer = answer.model_copy(update={"field": error.field})
    if error.refresh_worker:
        answer = answer.model_copy(update={"refresh_worker": True})
    return answer


def bug_answer(error: BaseException) -> ErrorAnswer:
    """Log an unexpected exception and return an answer that names the log entry and nothing else."""
    number = uuid.uuid4().hex[:12]
    log.error("internal error %s", number, exc_info=error)
    message = f"an internal error occurred; the log has the details under {number}"
    return ErrorAnswer(error=full_sentence(message, "INTERNAL"), error_code="INTERNAL")


def give_up(cancel_token: CancelToken) -> dict[str, Any]:
    """Cancel a job that no longer makes progress and return its error, which asks for a fresh worker.

    Should the job's thread resume after all, it delivers nothing: the caller has been answered and may retry.
    """
    seconds = cancel_token.seconds_since_check()
    log.error("the job has stalled", extra={"stage": cancel_token.stage, "seconds": round(seconds)})
    kind = EncodeFailed if cancel_token.stage == "finish" else JobTimeout
    error = kind(f'the job made no progress in stage "{cancel_token.stage}"')
    cancel_token.cancel(error)
    return wire_form(error_answer(error).model_copy(update={"refresh_worker": True}))


def busy_answer(cancel_token: CancelToken) -> dict[str, Any]:
    """Return the error of a job that cannot start because the thread of a stalled job is still running."""
    error = JobTimeout(f'an earlier job is stuck in stage "{cancel_token.stage}" and occupies the worker; try again')
    return wire_form(error_answer(error).model_copy(update={"refresh_worker": True}))
