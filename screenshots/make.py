"""Makes the pictures of every view from a real server with the demo's traffic, and of `ironforge bench`: `./forge screenshots`.

`./forge screenshots bench` makes that one only, which wants a quiet machine. Needs Chromium (Debian: chromium, fonts-firacode)
to turn SVG into PNG.
"""

from __future__ import annotations

import asyncio
import io
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
SIZE = (120, 36)
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


def main() -> int:
    browser = next((found for name in CHROMIUM if (found := shutil.which(name))), None)
    if browser is None:
        print(
            "screenshots need Chromium; on Debian: sudo apt-get install -y chromium fonts-firacode",
            file=sys.stderr,
        )
        return 1
    with tempfile.TemporaryDirectory(prefix="shots-") as folder:
        os.environ["IRONFORGE_DATA_DIR"] = folder
        os.environ["BIND_ADDR"] = f"127.0.0.1:{_free_port()}"
        svgs = {"bench": _bench()}
        if sys.argv[1:] != ["bench"]:
            svgs |= asyncio.run(_shoot(Path(folder)))
        for name, svg in svgs.items():
            _to_png(browser, svg, HERE / f"{name}.png", Path(folder))
            print(f"screenshots/{name}.png")
    return 0


def _bench() -> str:
    """What `ironforge bench` prints, with the bundled server or that of REDIS_URL."""
    from rich.console import Console

    printed = subprocess.run(
        [sys.executable, "-m", "ironforge.cli.main", "bench"], check=True, capture_output=True, text=True
    ).stdout.strip()
    named = re.sub(r"^(  )(\w[\w ]*?)(  +)", r"\1[bold]\2[/]\3", printed, flags=re.MULTILINE)
    width = max(len(line) for line in printed.splitlines())
    console = Console(record=True, file=io.StringIO(), width=width + 2)
    console.print(f"[bold #7dcfff]$ ironforge bench[/]\n\n{named}", highlight=False)
    return console.export_svg(title="ironforge bench")


async def _shoot(folder: Path) -> dict[str, str]:
    from ironforge import config
    from ironforge.cli.bundle import Bundle
    from ironforge.tui.app import ConsoleApp

    bundle = Bundle(config.load(), demo=True)
    app = ConsoleApp(bundle.prepare)
    svgs: dict[str, str] = {}
    try:
        async with app.run_test(size=SIZE) as pilot:

            async def shot(name: str) -> None:
                await pilot.pause(0.4)
                svgs[name] = app.export_screenshot(title=f"ironforge-console: {name}")

            async def press(*keys: str) -> None:
                await pilot.press(*keys)
                await pilot.pause(0.4)

            await _until(lambda: app.store.stats.completed > 1_500 and app.store.stats.dead > 25, 240)
            await _until(lambda: app.store.stats.running > 4, 30)
            await shot("overview")
            await press("2")
            await _until(lambda: len(app.jobs.main().ids) > 4, 30)
            await shot("jobs")
            await press("3")
            await _until(lambda: len(app.dead.main().ids) > 2, 10)
            await press("j")
            await pilot.pause(1.5)
            await shot("dead")
            await press("R")
            await _until(lambda: len(app.screen_stack) > 1, 10)
            await shot("dead-retry-dialog")
            await press("n", "enter")
            await _until(lambda: len(app.jobs.main().ids) > 4, 10)
            await press("j", "space", "j", "space", "space")
            await shot("dead-jobs")
            await press("enter")
            await pilot.pause(0.6)
            await shot("job")
            await press("4")
            await _until(lambda: bool(app.workers_view.main().ids), 10)
            await pilot.pause(1.2)
            await shot("workers")
            await press("1", "N")
            await _until(lambda: len(app.screen_stack) > 1, 10)
            await pilot.press(*"image.resize")
            await shot("new-job")
            await press("escape", "question_mark")
            await shot("help")
            await press("escape", "2")
            await _until(lambda: len(app.jobs.main().ids) > 3, 30)
            bundle.stop()
            await _until(lambda: app.store.link == "offline", 10)
            await pilot.pause(1.2)
            await shot("offline")
    finally:
        bundle.stop()
    return svgs


async def _until(fact: Callable[[], object] | Callable[[], Awaitable[object]], within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not fact():
        if time.monotonic() > deadline:
            raise SystemExit(f"screenshots: waited {within_s:g} s in vain for the console to be ready")
        await asyncio.sleep(0.1)


def _to_png(browser: str, svg: str, target: Path, folder: Path) -> None:
    """The SVG asks for Fira Code from the web; the page asks the system for it instead."""
    width, height = (float(part) for part in svg.split('viewBox="0 0 ', 1)[1].split('"', 1)[0].split())
    page = folder / "page.html"
    local = svg
    page.write_text(
        f"<style>body{{margin:0;background:#12141a}}svg{{display:block;width:{width}px}}</style>{local}",
        encoding="utf-8",
    )
    subprocess.run(
        [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic",
            f"--user-data-dir={folder / 'profile'}", f"--window-size={int(width)},{int(height)}",
            f"--screenshot={target}", page.as_uri(),
        ],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120,
    )  # fmt: skip


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    sys.exit(main())
