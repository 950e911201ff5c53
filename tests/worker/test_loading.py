"""MODULE:FORGE that cannot be used: exit code 2 and one plain sentence, never a traceback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from ironforge.errors import ConfigError
from ironforge.job import JobStatus, NewJob
from ironforge.queue.backend import RedisQueue
from ironforge.worker.loading import load_forge
from tests.system.bench import Bench, ended
from tests.system.processes import await_text, children_of, environment, ironforge, running
from tests.waiting import wait_until

MODULES = {
    "broken": "import nowhere_at_all",
    "raises": "raise ValueError('first line\\nsecond line')",
    "unprintable": "class E(Exception):\n  def __str__(self): raise KeyError\nraise E",
    "exits": "import sys; sys.exit(3)",
    "syntax": "def (:",
    "empty": "forge = 1",
    "twice": "from ironforge import Forge\nforge = Forge()\n@forge.task('a')\ndef a(): ...\n@forge.task('a')\ndef b(): ...",
}


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("nothing", "is not MODULE:FORGE"),
        ("absent_module:forge", "there is no module 'absent_module'"),
        ("broken:forge", "nowhere_at_all"),
        ("raises:forge", "ValueError: first line"),
        ("unprintable:forge", "'unprintable' cannot be imported: E"),
        ("exits:forge", "'exits' ends the program when it is imported"),
        ("syntax:forge", "SyntaxError"),
        ("empty:forge", "has no Forge in 'forge'"),
        ("empty:other", "has nothing called 'other'"),
        ("twice:forge", "two tasks are called 'a'"),
        ("..:forge", "'..' is not the name of a module"),
    ],
)
def test_a_target_that_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str, words: str
) -> None:
    for name, text in MODULES.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigError) as refused:
        load_forge(target)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value) and "Traceback" not in str(refused.value)


def test_the_command_exits_with_2_and_one_sentence(redis_url: str, namespace: str, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(MODULES["broken"])
    done = subprocess.run(
        ironforge("worker", "broken:forge"), cwd=tmp_path, env=environment(redis_url, namespace),
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "nowhere_at_all" in done.stderr and "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1 and not done.stdout


GOOD = """
import asyncio
from ironforge import Forge
forge = Forge()

@forge.task("nap")
async def nap(s: float) -> None:
    await asyncio.sleep(s)
"""


async def test_a_module_broken_while_workers_run_ends_none_of_them(
    queue: RedisQueue, redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """A deploy went wrong and then one process crashed: the others go on, and it comes back when the module does."""
    module, log = tmp_path / "shop.py", tmp_path / "w1.log"
    module.write_text(GOOD)
    log.touch()
    env = {**environment(redis_url, namespace), "PYTHONDONTWRITEBYTECODE": "1"}
    with running(ironforge("worker", "shop:forge", "--processes", "2"), env, log, cwd=tmp_path) as supervisor:
        wait_until(lambda: log.read_text().count("worker ready") == 2, 20, "both are ready")
        module.write_text("import nowhere_at_all")
        os.kill(children_of(supervisor.pid)[0], signal.SIGKILL)
        await_text(log, "a worker cannot be replaced")
        job = await queue.enqueue(NewJob("nap", b'{"s":0}'))
        assert (await ended(queue, [job]))[0].status is JobStatus.COMPLETED
        module.write_text(GOOD)
        wait_until(lambda: log.read_text().count("worker ready") == 3, 20, "it is back")
    assert supervisor.returncode == 0


async def test_log_records_are_json_lines_whatever_handlers_say(queue: RedisQueue, bench: Bench) -> None:
    bench.worker()
    jobs = await queue.enqueue_many([NewJob("hostile", b'{"how":"str"}', max_retries=0), NewJob("flaky")])
    await ended(queue, jobs[:1])
    await_text(bench.folder / "w1.log", "retry 1/3")
    records = [json.loads(line) for line in bench.log().splitlines()]
    assert {"at", "level", "logger", "message"} <= set.intersection(*(set(record) for record in records))
    assert {record.get("job_id") for record in records} >= {job.id for job in jobs}
