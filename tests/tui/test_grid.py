from __future__ import annotations

from textual.app import App, ComposeResult

from ironforge.tui.widgets.grid import Column, Grid, Row
from tests.tui.screen import screen_text

COLUMNS = (
    Column("a", "NAME", 6, keep=100),
    Column("b", "COUNT", 6, right=True, keep=90),
    Column("c", "NOTE", 8, keep=10, grows=1),
)


class GridApp(App[int]):
    def __init__(self) -> None:
        super().__init__()
        self.grid = Grid(COLUMNS, empty=("nothing here",))

    def compose(self) -> ComposeResult:
        yield self.grid

    def on_mount(self) -> None:
        self.grid.focus()


def _bold_of(app: GridApp, text: str) -> bool:
    strips = app.screen._compositor.render_strips(app.size)
    found = [segment for strip in strips for segment in strip if text in segment.text]
    return bool(found[0].style and found[0].style.bold)


def _rows(*ids: str) -> list[Row]:
    return [Row(i, {"a": i, "b": str(len(i)), "c": f"note {i}"}) for i in ids]


async def test_the_cursor_stays_on_its_row_however_rows_move() -> None:
    app = GridApp()
    async with app.run_test(size=(40, 10)) as pilot:
        app.grid.show(_rows("a", "b", "c"))
        await pilot.press("j")
        assert app.grid.cursor_id == "b"
        app.grid.show(_rows("x", "c", "b", "a"))
        assert app.grid.cursor_id == "b" and app.grid.cursor_place == 2
        app.grid.show(_rows("x", "c", "a"))
        assert app.grid.cursor_id == "a", "its row left: the cursor stays in its place"
        app.grid.show([])
        assert app.grid.cursor_id is None
        await pilot.pause()
        assert "nothing here" in screen_text(app)


async def test_only_what_fits_is_shown_and_the_least_wanted_goes_first() -> None:
    app = GridApp()
    async with app.run_test(size=(18, 5)) as pilot:
        app.grid.show(_rows("a"))
        await pilot.pause()
        assert "COUNT" in screen_text(app) and "NOTE" not in screen_text(app)


async def test_moving_scrolls_and_ten_thousand_rows_are_no_matter() -> None:
    app = GridApp()
    async with app.run_test(size=(40, 10)) as pilot:
        app.grid.show(_rows(*(f"r{at}" for at in range(10_000))))
        await pilot.press("G")
        await pilot.pause()
        assert "r9999" in screen_text(app)
        await pilot.press("g")
        await pilot.pause()
        text = screen_text(app)
        assert "r0" in text and "r9999" not in text


async def test_marks_are_kept_by_id_and_ranges_are_marked() -> None:
    app = GridApp()
    async with app.run_test(size=(40, 10)):
        app.grid.show(_rows("a", "b", "c", "d"))
        app.grid.toggle_mark()
        assert app.grid.marks == {"a"} and app.grid.cursor_id == "b"
        app.grid.mark_range()
        app.grid.move(2)
        app.grid.mark_range()
        assert app.grid.marks == {"a", "b", "c", "d"}
        app.grid.show(_rows("d", "a"))
        app.grid.clear_marks()
        assert app.grid.marks == set()


async def test_a_changed_cell_is_repainted() -> None:
    app = GridApp()
    async with app.run_test(size=(40, 10)) as pilot:
        app.grid.show(_rows("a", "b"))
        await pilot.pause()
        rows = _rows("a", "b")
        rows[1].cells["c"] = "changed"
        app.grid.show(rows)
        await pilot.pause()
        assert "changed" in screen_text(app)
        assert _bold_of(app, "changed"), "it is bold for one tick"
        app.grid.show(rows)
        await pilot.pause()
        assert not _bold_of(app, "changed")


async def test_only_rows_in_sight_are_drawn() -> None:
    app = GridApp()
    async with app.run_test(size=(40, 10)) as pilot:
        drawn: list[str] = []

        def draw(row_id: str) -> Row:
            drawn.append(row_id)
            return Row(row_id, {"a": row_id})

        app.grid.show_ids([f"r{at}" for at in range(5_000)], draw)
        await pilot.pause()
        assert len(set(drawn)) < 20


async def test_the_view_goes_along_with_the_row_under_the_cursor() -> None:
    app = GridApp()
    async with app.run_test(size=(40, 10)) as pilot:
        ids = [f"r{at}" for at in range(200)]
        app.grid.show(_rows(*ids))
        app.grid.move(100)
        await pilot.pause()
        line = next(at for at, text in enumerate(screen_text(app).split("\n")) if "r100" in text)
        app.grid.show(_rows(*(f"new{at}" for at in range(50)), *ids))
        await pilot.pause()
        assert app.grid.cursor_id == "r100"
        assert "r100" in screen_text(app).split("\n")[line], "it stands in the same line of the screen"


async def test_brackets_in_text_are_text() -> None:
    app = GridApp()
    async with app.run_test(size=(60, 10)) as pilot:
        app.grid.show([Row("x", {"a": "[/foo]", "b": "[red]", "c": "KeyError: [/foo] missing"})])
        await pilot.pause()
        assert "KeyError: [/foo] missing" in screen_text(app)
