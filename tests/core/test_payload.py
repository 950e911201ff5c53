from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from ironforge import Context, Forge, JobStatus
from ironforge.errors import ConfigError, InvalidJob, InvalidPayload
from ironforge.forge import new_job
from ironforge.job import TRANSITIONS, Job, JobError, Priority
from ironforge.payload import Signature


def mail(to: str, subject: str = "hello", *, copies: int = 0) -> None: ...


def with_context(ctx: Context, json: dict[str, int], model_config: str = "") -> None: ...


def raw(payload: dict[str, Any]) -> None: ...


class Order(BaseModel):
    id: int
    lines: list[str] = []


def order(order: Order) -> None: ...


def test_a_call_becomes_a_payload_and_a_payload_arguments() -> None:
    signature = Signature("mail", mail)
    assert signature.bind(("ada",), {"copies": 2}) == {"to": "ada", "copies": 2}
    assert signature.arguments({"to": "ada"}) == {"to": "ada", "subject": "hello", "copies": 0}


def test_a_leading_context_is_no_argument_and_names_may_be_any() -> None:
    signature = Signature("x", with_context)
    assert signature.takes_context
    assert signature.arguments({"json": {"a": 1}}) == {"json": {"a": 1}, "model_config": ""}


def test_the_whole_payload_as_a_dict_or_a_model() -> None:
    assert Signature("r", raw).arguments({"a": [1]}) == {"payload": {"a": [1]}}
    signature = Signature("o", order)
    assert signature.bind((Order(id=1),), {}) == {"id": 1, "lines": []}
    assert signature.arguments({"id": 5})["order"] == Order(id=5)


@pytest.mark.parametrize(
    ("payload", "pointer"),
    [
        ({}, "/to"),
        ({"to": []}, "/to"),
        ({"to": "a", "copies": "x"}, "/copies"),
        ({"to": "a", "bcc": 1}, "/bcc"),
    ],
)
def test_what_does_not_fit_is_told_with_a_pointer(payload: dict[str, Any], pointer: str) -> None:
    with pytest.raises(InvalidPayload) as invalid:
        Signature("mail", mail).arguments(payload)
    assert [found["pointer"] for found in invalid.value.errors] == [pointer]


@pytest.mark.parametrize(("args", "kwargs"), [((), {}), (("a", "b", "c"), {}), (("a",), {"cc": 1})])
def test_a_call_that_does_not_fit_is_refused_before_it_is_sent(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    with pytest.raises(InvalidPayload, match="mail"):
        Signature("mail", mail).bind(args, kwargs)


def test_the_schema_names_what_is_required() -> None:
    schema = Signature("mail", mail).schema()
    assert schema["required"] == ["to"] and set(schema["properties"]) == {"to", "subject", "copies"}


def test_a_signature_that_cannot_be_json_is_refused_at_once() -> None:
    def star(*values: int) -> None: ...

    with pytest.raises(TypeError, match=r"\*values"):
        Signature("star", star)


def test_two_tasks_of_one_kind_and_bad_kinds_are_refused() -> None:
    forge = Forge()
    forge.task("a.b")(mail)
    with pytest.raises(ConfigError, match=r"a\.b"):
        forge.task("a.b")(mail)
    with pytest.raises(ConfigError, match="cannot be a kind"):
        forge.task("Not A Kind")(mail)
    assert [task.kind for task in forge.tasks] == ["a.b"]


def test_a_task_is_still_a_function() -> None:
    forge = Forge()

    @forge.task
    def double(ctx: Context, n: int) -> int:
        """Twice."""
        assert not ctx.cancelled and ctx.retry_count == 0
        ctx.progress(0.5)
        return 2 * n

    assert double(4) == 8 and double.__doc__ == "Twice." and double.kind == "double"


@pytest.mark.parametrize(
    ("options", "pointer"),
    [
        ({"kind": "Bad Kind"}, "/kind"), ({"queue": "a:b"}, "/queue"), ({"priority": "urgent"}, "/priority"),
        ({"max_retries": 101}, "/max_retries"), ({"delay_s": -1}, "/delay_s"), ({"timeout_s": 0}, "/timeout_s"),
        ({"tags": ["x"] * 21}, "/tags"), ({"payload": {"x": float("nan")}}, "/payload"), ({"payload": {"x": {1}}}, "/payload"),
        ({"payload": {"x": "y" * 300_000}}, "/payload"),
    ],
)  # fmt: skip
def test_a_job_that_breaks_a_rule_is_refused_with_a_pointer(options: dict[str, Any], pointer: str) -> None:
    with pytest.raises(InvalidJob) as invalid:
        new_job(**{"kind": "greet", **options})
    assert invalid.value.errors[0]["pointer"] == pointer


def test_priorities_and_the_table_of_transitions() -> None:
    assert [priority.rank for priority in Priority] == [0, 1, 2, 3]
    assert set(TRANSITIONS) == set(JobStatus)
    assert TRANSITIONS[JobStatus.COMPLETED] == frozenset()


def test_integers_of_any_size_reach_the_handler() -> None:
    job = Job("j", "k", "q", JobStatus.RUNNING, payload_json=b'{"n":' + b"7" * 6000 + b"}")
    assert job.payload["n"] % 10**5 == 77777


@pytest.mark.parametrize("stored", ["", "[]", "nonsense", '{"type": 3}'])
def test_a_damaged_error_is_still_an_error(stored: str) -> None:
    assert isinstance(JobError.from_json(stored), JobError)
