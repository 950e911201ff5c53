"""Jobs: accept, read, list, and what an operator does to one."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from ironforge import schemas
from ironforge.errors import InvalidJob
from ironforge.job import Job, JobStatus
from ironforge.job_json import job_json, jobs_json
from ironforge.json_exact import read_object, same_json
from ironforge.queue.backend import RedisQueue
from ironforge.queue.readings import JobFilter, Once
from ironforge.requests import JobIn, Name, RetryIn
from ironforge.server.auth import Role
from ironforge.server.deps import IdempotencyKey, JobId, OnceDep, QueueDep
from ironforge.server.documentation import about
from ironforge.server.submitting import checked
from ironforge.server.submitting import submit as submit_one

router = APIRouter(prefix="/jobs", tags=["jobs"])


class JobsQuery(BaseModel):
    """Which jobs, and how many at once."""

    model_config = ConfigDict(extra="forbid")

    status: JobStatus | None = None
    queue: Name | None = None
    kind: Name | None = None
    tag: str | None = Field(default=None, max_length=64)
    error: str | None = Field(
        default=None, max_length=64, description="The fingerprint of a group of dead jobs."
    )
    q: str | None = Field(default=None, max_length=200, description="Text in payload, kind, id or error.")
    cursor: str | None = Field(default=None, max_length=512, description="`next_cursor` of the page before.")
    limit: int = Field(default=50, ge=1, le=schemas.MAX_PAGE)


@router.post(
    "",
    status_code=201,
    response_model=schemas.Job,
    summary="Submit a job",
    response_description="The job; `Location` is its path.",
    **about(
        Role.SUBMITTER,
        409,
        410,
        body=JobIn,
        answers={200: "The job that this Idempotency-Key has already made."},
    ),
)
async def submit(request: Request, queue: QueueDep, key: IdempotencyKey = None) -> Response:
    """Accepts one job. With an `Idempotency-Key`, the same request again gives the same job."""
    job, created = await submit_one(queue, await request.body(), key)
    return _answer(request, job, 201 if created else 200, located=True)


@router.get("", response_model=schemas.JobPage, summary="List jobs", **about(Role.VIEWER, 422))
async def list_jobs(queue: QueueDep, wanted: Annotated[JobsQuery, Query()]) -> Response:
    """A page of jobs.

    Queued jobs come in the order they will run, scheduled and retrying ones by due time, running ones longest first,
    dead ones newest first, completed and cancelled ones last to be removed first; without `status` these lists follow
    one another, running first. A page may be short: go on until `next_cursor` is null.
    """
    page = await queue.list_jobs(
        JobFilter(wanted.status, wanted.queue, wanted.kind, wanted.tag, wanted.error, wanted.q or None),
        wanted.cursor,
        wanted.limit,
    )
    return _json(jobs_json(page.jobs, page.next_cursor, page.total))


@router.get("/{job_id}", response_model=schemas.Job, summary="Read a job", **about(Role.VIEWER, 404))
async def get(request: Request, job_id: JobId, queue: QueueDep) -> Response:
    """The job, with its payload exactly as accepted and its last 10 attempts."""
    return _answer(request, await queue.get(job_id))


@router.delete("/{job_id}", status_code=204, summary="Delete a job", **about(Role.OPERATOR, 404, 409, 422))
async def delete(job_id: JobId, queue: QueueDep, once: OnceDep) -> Response:
    """Removes a job for good. A running one is refused: cancel it instead."""
    await queue.delete(job_id, once=once)
    return Response(status_code=204)


@router.post(
    "/{job_id}/retry",
    response_model=schemas.Job,
    summary="Retry a dead or cancelled job",
    **about(Role.OPERATOR, 404, 409, body=RetryIn, body_required=False),
)
async def retry(request: Request, job_id: JobId, queue: QueueDep, once: OnceDep) -> Response:
    """Queues it again, by default with all its retries. With another `payload` a new job is made like it."""
    body = await request.body()
    asked, payload = RetryIn(), None
    if body.strip():
        members = read_object(body)
        asked = checked(RetryIn, members.values, "the request")
        payload = None if asked.payload is None else members.raw("payload")
    job = await _retried(queue, job_id, asked, payload, once)
    return _answer(request, job, located=job.id != job_id)


async def _retried(queue: RedisQueue, job_id: str, asked: RetryIn, payload: bytes | None, once: Once) -> Job:
    if payload is not None and not same_json(payload, (await queue.get(job_id)).payload_json):
        return await queue.retry_as_new(job_id, payload, once=once)
    return await queue.retry(job_id, reset_retry_count=asked.reset_retry_count, once=once)


@router.post(
    "/{job_id}/run",
    response_model=schemas.Job,
    summary="Run a scheduled or retrying job now",
    **about(Role.OPERATOR, 404, 409, 422),
)
async def run_now(request: Request, job_id: JobId, queue: QueueDep, once: OnceDep) -> Response:
    """Does not wait for its time any longer: it is queued now."""
    await _no_body(request)
    return _answer(request, await queue.run_now(job_id, once=once))


@router.post(
    "/{job_id}/cancel",
    response_model=schemas.Job,
    summary="Cancel a job",
    response_description="It was waiting and is cancelled.",
    **about(
        Role.OPERATOR,
        404,
        409,
        422,
        answers={202: "It runs; its handler is told within 2 s, the job follows it."},
    ),
)
async def cancel(request: Request, job_id: JobId, queue: QueueDep, once: OnceDep) -> Response:
    """Ends a waiting job at once, and asks the handler of a running one to stop."""
    await _no_body(request)
    job, word = await queue.cancel(job_id, once=once)
    return _answer(request, job, 202 if word == "requested" else 200)


async def _no_body(request: Request) -> None:
    """A body that would be ignored is refused instead; `{}` says nothing and is taken."""
    body = await request.body()
    if body.strip() and (members := read_object(body)).values:
        name = next(iter(members.values))
        raise InvalidJob(
            f"this call has no member {name[:80]!r}; send no body",
            [{"pointer": "/" + name[:80], "detail": "there is no such member"}],
        )


def _answer(request: Request, job: Job, status: int = 200, *, located: bool = False) -> Response:
    headers = {"Location": f"{request.scope.get('root_path', '')}/jobs/{job.id}"} if located else None
    return Response(job_json(job), status, headers, "application/json")


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")
