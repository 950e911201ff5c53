"""Where the messages of a Redis connection begin and end, so that a fault can be put at a chosen place of one."""

from __future__ import annotations

_LINES = b"+-:_#,("
_BULKS = b"$=!"
_PARTS = {b"*"[0]: 1, b"~"[0]: 1, b">"[0]: 1, b"%"[0]: 2, b"|"[0]: 2}


class BrokenFrame(ValueError):
    """What came is not the protocol (RESP2 or RESP3)."""


class Frames:
    """Cuts a stream into whole messages, whatever pieces it comes in.

    An attribute (`|`) belongs to the message that follows it. Nothing of a message is looked at but its lengths.
    """

    def __init__(self) -> None:
        self._data = bytearray()
        self._at = 0  # all before it was looked at
        self._open = 1  # parts that the first message still wants

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that are whole by now, in order."""
        self._data += data
        found: list[bytes] = []
        while self._step():
            if self._open == 0:
                found.append(bytes(self._data[: self._at]))
                del self._data[: self._at]
                self._at, self._open = 0, 1
        return found

    def _step(self) -> bool:
        """Past one part; False when it is not whole yet."""
        end = self._data.find(b"\r\n", self._at)
        if end < 0:
            return False
        kind, line = self._data[self._at], bytes(self._data[self._at + 1 : end])
        end += 2
        if kind in _LINES:
            self._open -= 1
        elif kind in _BULKS:
            length = int(line)
            if length >= 0:
                end += length + 2
            if end > len(self._data):
                return False
            self._open -= 1
        elif kind in _PARTS:
            # A null array is one part; an attribute comes on top of what it is about.
            self._open += max(0, int(line)) * _PARTS[kind] - (kind != b"|"[0])
        else:
            raise BrokenFrame(f"{bytes(self._data[self._at : self._at + 20])!r} begins no message")
        self._at = end
        return True


def words(request: bytes) -> list[bytes]:
    """The words of a request, an array of strings."""
    found: list[bytes] = []
    at = request.index(b"\r\n") + 2
    while at < len(request):
        end = request.index(b"\r\n", at)
        length = int(request[at + 1 : end])
        found.append(request[end + 2 : end + 2 + length])
        at = end + 2 + length + 2
    return found
