"""The one filter between text of jobs and any terminal."""

from __future__ import annotations

import unicodedata

_CUT = "…"
# Categories that draw nothing, move the cursor or turn the direction of text: control, format, surrogate, separators.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp", "Co"})


def safe_text(text: str, limit: int = 500, *, multiline: bool = False) -> str:
    """The text with every control character made visible, cut at `limit` characters.

    C0 controls and DEL become their pictures (␛ for ESC), others `\\uXXXX`. Tabs become four spaces; newlines stay
    only when `multiline`.
    """
    if len(text) > limit:
        text = text[: max(0, limit - 1)] + _CUT
    if text.isascii() and text.isprintable():
        return text
    return "".join(_safe(character, multiline) for character in text)


def _safe(character: str, multiline: bool) -> str:
    if character == "\t":
        return "    "
    if character == "\n" and multiline:
        return character
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    if unicodedata.category(character) in _UNSAFE:
        return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
    return character
