"""`./forge` with a Python, a uv and installers that only pretend: when it sets up, and how it survives. CI does the real thing."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]

# Plays `python3`, the .venv's python, and `uv`. What it does goes to the file `calls`; while there is a file `hang`
# an installation goes on, with a file `fail` it fails.
FAKE = r"""#!/bin/sh
state=$FAKE_STATE
case "$*" in
    *"-m venv"*)
        for dir; do :; done
        mkdir -p "$dir/bin"
        [ -z "$FAKE_NO_VENV" ] || exit 1
        cp "$FAKE_BIN/python3" "$dir/bin/python"
        echo "venv" >>"$state/calls" ;;
    *"venv --quiet"*)
        for dir; do :; done
        mkdir -p "$dir/bin"
        cp "$FAKE_BIN/python3" "$dir/bin/python"
        echo "uv venv" >>"$state/calls" ;;
    *"-m pip --version"* | "--version") ;;
    *install*)
        if [ -e "$state/hang" ]; then echo $$ >"$state/hangs"; fi
        while [ -e "$state/hang" ]; do sleep 0.02; done
        for last; do :; done
        if [ -e "$state/fail" ]; then echo "no route to the index"; exit 1; fi
        case "$*" in
            *--require-hashes*constraints-test.txt*) echo "pins test" ;;
            *--require-hashes*constraints.txt*) echo "pins run" ;;
            *--no-deps*-e*) echo "project $last" ;;
        esac >>"$state/calls" ;;
    -c*) [ -z "$FAKE_OLD" ] || exit 1; echo "$FAKE_BIN/python3" ;;
    -V) echo "Python 3.9.2" ;;
esac
"""


class Checkout:
    """A copy of what `./forge` looks at, and fake tools in front of PATH."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "a clone"
        self.root.mkdir()
        for name in ("forge", "pyproject.toml", "constraints.txt", "constraints-test.txt"):
            shutil.copy(ROOT / name, self.root)
        self.bin = folder / "bin"
        self.bin.mkdir()
        for name in ("python3", "python3.11", "python3.12", "python3.13", "python3.14"):
            (self.bin / name).write_text(FAKE)
            (self.bin / name).chmod(0o755)
        self.state = folder / "state"
        self.state.mkdir()
        self.environment = {
            "PATH": f"{self.bin}:/usr/bin:/bin",
            "HOME": str(folder),
            "FAKE_STATE": str(self.state),
            "FAKE_BIN": str(self.bin),
        }

    @property
    def all_steps(self) -> list[str]:
        return ["venv", "pins run", f"project {self.root}"]

    def command(self, *words: str) -> list[str]:
        return [str(self.root / "forge"), *words]

    def forge(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words), env={**self.environment, **more}, capture_output=True, text=True, timeout=20
        )

    def begin(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*words),
            env=self.environment,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def calls(self) -> list[str]:
        """What was installed since the last look."""
        path = self.state / "calls"
        found = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return found

    def set(self, flag: str) -> None:
        (self.state / flag).touch()

    def clear(self, flag: str) -> None:
        (self.state / flag).unlink()

    def await_hang(self) -> int:
        text = wait_until(lambda: self._read("hangs"), 10, "the installer hangs")
        (self.state / "hangs").unlink()
        return int(text)

    def _read(self, name: str) -> str:
        path = self.state / name
        return path.read_text() if path.exists() else ""


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_help_names_the_commands_and_a_wrong_one_is_refused(checkout: Checkout) -> None:
    shown = checkout.forge("--help")
    assert shown.returncode == 0
    assert checkout.forge().stdout == shown.stdout
    for command in ("demo", "test", "screenshots", "bench", "run CMD"):
        assert f"\n  {command} " in shown.stdout
    wrong = checkout.forge("smelt")
    assert wrong.returncode == 2
    assert wrong.stderr == shown.stdout
    assert checkout.calls() == []


def test_the_first_use_installs_pins_then_the_project_and_later_ones_nothing(checkout: Checkout) -> None:
    first = checkout.forge("run", "echo", "two  words")
    assert first.stdout == "two  words\n"
    assert "setting up .venv with pip" in first.stderr
    assert checkout.calls() == checkout.all_steps
    later = checkout.forge("run", "echo", "again")
    assert (later.stdout, later.stderr) == ("again\n", "")
    assert checkout.calls() == []
    assert not (checkout.root / ".venv-setup.log").exists()


def test_uv_is_used_where_it_is_installed(checkout: Checkout) -> None:
    uv = Path(checkout.environment["HOME"]) / ".local" / "bin" / "uv"
    uv.parent.mkdir(parents=True)
    shutil.copy(checkout.bin / "python3", uv)
    assert "with uv" in checkout.forge("run", "true").stderr
    assert checkout.calls() == ["uv venv", *checkout.all_steps[1:]]
    checkout.root.joinpath("pyproject.toml").write_text("# changed")
    assert "with pip" in checkout.forge("run", "true", FORGE_NO_UV="1").stderr


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt", "constraints-test.txt"])
def test_a_change_of_what_it_was_made_from_is_followed(checkout: Checkout, name: str) -> None:
    checkout.forge("run", "true")
    checkout.calls()
    with (checkout.root / name).open("a") as file:
        file.write("# changed\n")
    checkout.forge("run", "true")
    assert checkout.calls() == checkout.all_steps[1:]


def test_an_environment_for_tests_serves_for_running(checkout: Checkout) -> None:
    checkout.forge("run", "true")
    assert checkout.calls() == checkout.all_steps
    checkout.forge("test")
    assert checkout.calls() == ["pins test", f"project {checkout.root}"]
    checkout.forge("run", "true")
    assert checkout.calls() == []


def test_a_failed_set_up_says_why_and_is_made_again_from_nothing(checkout: Checkout) -> None:
    checkout.set("fail")
    failed = checkout.forge("run", "true")
    assert failed.returncode == 1
    assert "no route to the index" in failed.stderr
    assert "is the package index reachable?" in failed.stderr
    checkout.clear("fail")
    checkout.calls()
    assert checkout.forge("run", "true").returncode == 0
    assert checkout.calls() == checkout.all_steps


def test_one_that_was_interrupted_is_made_again_from_nothing(checkout: Checkout) -> None:
    checkout.set("hang")
    interrupted = checkout.begin("run", "true")
    checkout.await_hang()
    os.killpg(interrupted.pid, signal.SIGINT)
    interrupted.communicate()
    checkout.clear("hang")
    checkout.calls()
    assert checkout.forge("run", "true").returncode == 0
    assert checkout.calls() == checkout.all_steps


def test_two_at_once_set_up_once(checkout: Checkout) -> None:
    checkout.set("hang")
    first = checkout.begin("run", "true")
    checkout.await_hang()
    second = checkout.begin("run", "true")
    assert second.stderr and "waiting for it" in second.stderr.readline()
    checkout.clear("hang")
    first.communicate()
    second.communicate()
    assert (first.returncode, second.returncode) == (0, 0)
    assert checkout.calls() == checkout.all_steps


def test_the_second_takes_over_where_the_first_failed(checkout: Checkout) -> None:
    checkout.set("hang")
    first = checkout.begin("run", "true")
    installer = checkout.await_hang()
    second = checkout.begin("run", "true")
    assert second.stderr and "waiting for it" in second.stderr.readline()
    assert checkout.calls() == ["venv"]
    os.kill(installer, signal.SIGTERM)
    assert "could not install" in first.communicate()[1]
    checkout.clear("hang")
    second.communicate()
    assert (first.returncode, second.returncode) == (1, 0)
    assert checkout.calls() == checkout.all_steps


def test_pins_that_are_changed_back_do_not_hide_a_failed_update(checkout: Checkout) -> None:
    checkout.forge("run", "true")
    pins = checkout.root / "constraints.txt"
    before = pins.read_text()
    pins.write_text(before + "# changed\n")
    checkout.set("fail")
    assert checkout.forge("run", "true").returncode == 1
    checkout.clear("fail")
    checkout.calls()
    pins.write_text(before)
    assert checkout.forge("run", "true").returncode == 0
    assert checkout.calls() == checkout.all_steps


def test_the_installer_of_a_killed_forge_is_waited_for(checkout: Checkout) -> None:
    checkout.set("hang")
    first = checkout.begin("run", "true")
    installer = checkout.await_hang()
    first.kill()
    first.communicate()
    second = checkout.begin("run", "true")
    assert second.stderr and "waiting for it" in second.stderr.readline()
    os.kill(installer, signal.SIGKILL)
    checkout.clear("hang")
    second.communicate()
    assert second.returncode == 0


def test_without_flock_a_lock_folder_does_and_a_dead_owner_loses_it(checkout: Checkout) -> None:
    flock = shutil.which("flock")
    for tool in ("sh", "cat", "cksum", "cp", "dirname", "grep", "mkdir", "rm", "sleep", "tail", "true"):
        found = shutil.which(tool)
        assert found
        (checkout.bin / tool).symlink_to(found)
    checkout.environment["PATH"] = str(checkout.bin)
    lock = checkout.root / ".venv.lock"
    lock.mkdir()
    gone = subprocess.Popen(["true"])
    gone.wait()
    (lock / "pid").write_text(str(gone.pid))
    assert flock is not None
    assert checkout.forge("run", "true").returncode == 0
    assert checkout.calls() == checkout.all_steps
    assert not lock.exists()


def test_a_moved_clone_is_set_up_again(checkout: Checkout) -> None:
    checkout.forge("run", "true")
    checkout.calls()
    checkout.root = checkout.root.rename(checkout.root.with_name("moved"))
    assert checkout.forge("run", "true").returncode == 0
    assert checkout.calls() == checkout.all_steps


def test_an_old_python_gets_a_sentence_and_leaves_nothing(checkout: Checkout) -> None:
    before = sorted(checkout.root.iterdir())
    refused = checkout.forge("run", "true", FAKE_OLD="1")
    assert refused.returncode == 1
    assert "Python 3.11 or newer is needed (found: Python 3.9.2)" in refused.stderr
    assert "install uv" in refused.stderr
    assert sorted(checkout.root.iterdir()) == before


def test_a_python_without_venv_gets_the_package_to_install_and_leaves_nothing(checkout: Checkout) -> None:
    before = sorted(checkout.root.iterdir())
    refused = checkout.forge("run", "true", FAKE_NO_VENV="1")
    assert refused.returncode == 1
    assert "sudo apt-get install -y python3-venv" in refused.stderr
    assert sorted(checkout.root.iterdir()) == before


def test_no_command_to_run_is_said(checkout: Checkout) -> None:
    refused = checkout.forge("run")
    assert refused.returncode == 1
    assert "name a command" in refused.stderr
