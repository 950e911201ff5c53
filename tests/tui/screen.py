"""What a console shows, as text."""

from __future__ import annotations

from textual.app import App


def screen_text(app: App[int]) -> str:
    """The whole screen, a line each, without what trails."""
    width, height = app.size
    strips = app.screen._compositor.render_strips(app.size)
    lines = ["".join(segment.text for segment in strip) for strip in strips[:height]]
    return "\n".join(line[:width].rstrip() for line in lines) + "\n"
