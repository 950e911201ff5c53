"""Many jobs from lines of JSON, in batches. A line that is refused is told with its number; the others are accepted."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO

from ironforge.errors import InvalidJob, IronForgeError
from ironforge.json_exact import read_object
from ironforge.safe_text import safe_text

MOST_JOBS = 1000
MOST_BYTES = 4 * 2**20  # half of what the server takes at once
LONGEST_LINE = 2**20  # a payload is at most a quarter of that


class _Bulk:
    """What was done so far, and the lines that wait for the next batch."""

    def __init__(self, client: Any, as_json: bool) -> None:
        self._client = client
        self._as_json = as_json
        self._progress = sys.stderr.isatty() and not sys.stdout.isatty()
        self._lines: list[tuple[int, bytes]] = []
        self._size = 0
        self.accepted = self.refused = 0

    def take(self, number: int, line: bytes) -> None:
        if self._lines and (len(self._lines) == MOST_JOBS or self._size + len(line) > MOST_BYTES):
            self.send()
        self._lines.append((number, line))
        self._size += len(line) + 1

    def refuse(self, number: int, words: str) -> None:
        self.refused += 1
        self._clear()
        print(f"line {number}: {safe_text(words)}", file=sys.stderr)

    def send(self) -> None:
        if not self._lines:
            return
        body = b'{"jobs":[' + b",".join(line for _, line in self._lines) + b"]}"
        try:
            answer = self._client.post("/jobs/batch", body)
        except IronForgeError:
            first, last = self._lines[0][0], self._lines[-1][0]
            self._clear()
            print(
                f"{self.accepted:,} accepted, {self.refused:,} refused before line {first}; "
                f"lines {first} to {last} may be accepted or not, those after them are not",
                file=sys.stderr,
            )
            raise
        for found in answer["errors"]:
            self.refuse(self._lines[int(found["index"])][0], f"{found['pointer'] or '/'}: {found['detail']}")
        ids = [job_id for job_id in answer["ids"] if job_id]
        self.accepted += len(ids)
        for job_id in ids:
            print(json.dumps({"id": job_id}) if self._as_json else job_id)
        sys.stdout.flush()
        self._lines, self._size = [], 0
        if self._progress:
            print(f"\r{self.accepted:,} accepted", end="", file=sys.stderr, flush=True)

    def tell(self) -> None:
        self._clear()
        print(f"{self.accepted:,} accepted, {self.refused:,} refused", file=sys.stderr)

    def _clear(self) -> None:
        if self._progress:
            print("\r\x1b[K", end="", file=sys.stderr)


def submit_lines(client: Any, source: BinaryIO, *, as_json: bool) -> int:
    """Prints the ids. Exit code 1 if a line was refused."""
    bulk = _Bulk(client, as_json)
    for number, line in _lines(source):
        if len(line) > LONGEST_LINE:
            bulk.refuse(number, f"longer than {LONGEST_LINE:,} bytes")
            continue
        try:
            read_object(line)  # one that is no JSON would spoil its whole batch
        except InvalidJob as error:
            bulk.refuse(number, str(error).removeprefix("the body is ").replace("the body", "it", 1))
            continue
        bulk.take(number, line)
    bulk.send()
    bulk.tell()
    return 1 if bulk.refused else 0


def _lines(source: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Lines that are not empty, with their numbers; of one too long only its beginning."""
    number = 0
    while line := source.readline(LONGEST_LINE + 2):
        number += 1
        rest = line
        while rest and not rest.endswith(b"\n"):
            rest = source.readline(LONGEST_LINE)
        if line.strip():
            yield number, line.strip()
