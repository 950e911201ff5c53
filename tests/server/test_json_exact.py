"""The reader of bodies: what it takes, what it refuses and where, and that it never fails in another way."""

from __future__ import annotations

import json
import math
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ironforge.json_exact import InvalidJson, LongInteger, is_json, read_batch, read_object, same_json

REFUSED: list[tuple[bytes, str]] = [
    (b"", ""),
    (b" \n", ""),
    (b"null", ""),
    (b"[]", ""),
    (b'"{}"', ""),
    (b"{", ""),
    (b"{}x", ""),
    (b'{"a":1}{}', ""),
    (b'{"a":1,}', ""),
    (b"{'a':1}", ""),
    (b'{"a":tru}', "/a"),
    (b'{"a":[1,{"b":}]}', "/a/1/b"),
    (b'{"a":01}', "/a"),
    (b'{"a":+1}', "/a"),
    (b'{"a":.5}', "/a"),
    (b'{"a":"\n"}', "/a"),
    (b'{"a":"\\x"}', "/a"),
    (b'{"a":"\\u12"}', "/a"),
    (b'{"a":NaN}', "/a"),
    (b'{"a":{"b/c":[1,Infinity]}}', "/a/b~1c/1"),
    (b'{"a":-Infinity}', "/a"),
    (b'{"a":[1e999]}', "/a/0"),
    (b'{"a":1,"a":1}', "/a"),
    (b'{"p":{"x":[{"y":1,"y":2}]}}', "/p/x/0/y"),
    (b'{"a":"\\ud800"}', "/a"),
    (b'{"a":["\\udc00\\ud800"]}', "/a/0"),
    (b'{"a":{"\\ud800":1}}', "/a"),
    (b'{"\\ud800":1}', ""),
    (b'{"a":"\xed\xa0\x80"}', ""),
    (b'{"a":"\xff"}', ""),
    (b'\xef\xbb\xbf{"a":1}', ""),
    ('{"a":1}'.encode("utf-16"), ""),
    ('{"a":1}'.encode("utf-32-le"), ""),
    (b'{"a":' + b"[" * 65 + b"]" * 65 + b"}", "/a" + "/0" * 64),
    (b'{"a":' + b'{"b":' * 70 + b"1" + b"}" * 71, "/a" + "/b" * 64),
    (b'{"a":' + b"[" * 1_000_000, "/a" + "/0" * 64),
    (b'{"a":' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}", "/a" + "/0" * 64),
    (b'{"a":' + b'{"b":' * 1_000_000, "/a" + "/b" * 64),
]


@pytest.mark.parametrize(("body", "pointer"), REFUSED, ids=lambda value: repr(value[:24]))
def test_refused_with_a_pointer(body: bytes, pointer: str) -> None:
    with pytest.raises(InvalidJson) as refused:
        read_object(body)
    assert refused.value.status == 422
    assert [finding["pointer"] for finding in refused.value.errors] == [pointer]
    assert len(refused.value.errors[0]["detail"]) < 200


@pytest.mark.parametrize(
    "value",
    [
        b"12345678901234567890123456789",
        b"-0",
        b"1.000",
        b"1E5",
        b"[ 1 ,\n\t2 ]",
        b'"\\u0000\\ud83d\\ude00\\/"',
        '"\N{SNOWMAN}\N{LINE SEPARATOR}"'.encode(),
        b"9" * 5000,
        b"[" * 64 + b"]" * 64,
        b'{"b":[[],{}],"c":{"b":1}}',
    ],
    ids=lambda value: repr(value[:24]),
)
def test_a_member_keeps_its_text(value: bytes) -> None:
    body = b' {"x" : 1, "payload"\n:\t' + value + b' , "y":{}} '
    members = read_object(body)
    assert members.raw("payload") == value
    assert list(members.values) == ["x", "payload", "y"] and members.values["x"] == 1


def test_an_integer_too_long_for_int_is_kept_and_is_no_number() -> None:
    members = read_object(b'{"n":' + b"7" * 4301 + b',"m":' + b"7" * 4300 + b"}")
    assert isinstance(members.values["n"], LongInteger) and isinstance(members.values["m"], int)


def test_deep_nesting_is_refused_fast() -> None:
    began = time.perf_counter()
    for body in (b'{"a":' + b"[{" * 4_000_000, b'{"a":' + b"[]," * 80_000, b'{"a":"' + b"[" * 250_000):
        with pytest.raises(InvalidJson):
            read_object(body)
    assert time.perf_counter() - began < 3


_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs",))),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=("Cs",))), inner, max_size=4)
    ),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None)
@given(_values, st.booleans(), st.sampled_from([None, 1, "\t"]))
def test_whatever_json_writes_is_read_and_kept(
    value: Any, ascii_only: bool, indent: int | str | None
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    members = read_object(f'{{"payload": {text}}}'.encode())
    assert members.raw("payload") == text.encode()
    assert members.values["payload"] == value
    assert is_json(members.raw("payload")) and same_json(text.encode(), json.dumps(value).encode())


_scraps = st.lists(
    st.sampled_from(
        [b"{", b"}", b"[", b"]", b",", b":", b'"', b'"a"', b'"b"', b"\\", b"\\u", b"d800", b"1", b"-", b".", b"e9", b"99",
         b"null", b"NaN", b"Infinity", b" ", b"\n", b"\x00", b"\xff", "é".encode(), b'{"jobs":[']
    ),
    max_size=24,
).map(b"".join)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(_scraps | st.binary(max_size=40))
def test_anything_is_read_as_the_standard_does_or_refused(body: bytes) -> None:
    try:
        members = read_object(body)
    except InvalidJson as refused:
        assert refused.errors
    else:
        assert members.values == json.loads(body, parse_constant=lambda word: pytest.fail(word))
        assert not _strange(members.values)
    try:
        read_batch(body, "jobs", max_elements=10)
    except InvalidJson as refused:
        assert refused.errors


def _strange(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_strange, value)) or any(map(_strange, value.values()))
    if isinstance(value, list):
        return any(map(_strange, value))
    if isinstance(value, str):
        return any("\ud800" <= character <= "\udfff" for character in value)
    return isinstance(value, float) and not math.isfinite(value)


def test_an_element_of_a_batch_is_refused_alone() -> None:
    body = b'{"jobs": [{"kind":"a","payload":{ "n":1 }}, {"p":{"x":NaN}}, 7, {"k":1,"k":2}, {"s":"\\ud800"}]}'
    members, elements = read_batch(body, "jobs", max_elements=10)
    assert list(members.values) == ["jobs"]
    first, *others = elements
    assert not isinstance(first, list) and first.raw("payload") == b'{ "n":1 }'
    assert [other[0]["pointer"] for other in others if isinstance(other, list)] == ["/p/x", "", "/k", "/s"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b'{"jobs":[{"a":1},]}', "/jobs/1"),
        (b'{"jobs":[{"a":}]}', "/jobs/0/a"),
        (b'{"jobs":[{}{}]}', "/jobs/0"),
        (b'{"jobs":[' + b"{}," * 11 + b"{}]}", "/jobs"),
        (b'{"jobs":[],"jobs":[]}', "/jobs"),
        (b'{"jobs":[],"x":NaN}', "/x"),
    ],
)
def test_a_batch_that_is_no_json_is_refused_whole(body: bytes, pointer: str) -> None:
    with pytest.raises(InvalidJson) as refused:
        read_batch(body, "jobs", max_elements=10)
    assert refused.value.errors[0]["pointer"] == pointer


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (b'{"a":1,"b":2}', b'{ "b": 2, "a": 1 }', True),
        (b'{"a":1}', b'{"a":1.0}', False),
        (b'{"a":1}', b'{"a":"1"}', False),
        (b'{"a":' + b"1" * 5000 + b"}", b'{"a": ' + b"1" * 5000 + b"}", True),
    ],
)
def test_same_json(one: bytes, other: bytes, same: bool) -> None:
    assert same_json(one, other) is same
