"""One server per data folder, however many use it, and whoever dies."""

from __future__ import annotations

import os
import signal
import subprocess

from ironforge.embedded import EmbeddedRedis, find_server
from ironforge.embedded.folder import open_lock, ping, try_lock
from ironforge.embedded.guard import server_arguments
from tests.embedded.conftest import LINGER_S, Site, said
from tests.waiting import wait_until


def test_four_processes_at_once_share_one_server(site: Site) -> None:
    users = [site.begin_user() for _ in range(4)]
    assert sorted(said(user) for user in users) == ["1", "2", "3", "4"]
    about = site.about()
    wait_until(lambda: set(site.processes()) == {about["pid"], about["guard"]}, 5, "one guard, one server")


def test_a_killed_server_comes_back_with_what_was_written(site: Site) -> None:
    site.add_user()
    site.put("kept", "yes")
    killed = site.about()["pid"]
    os.kill(killed, signal.SIGKILL)
    site.await_another_server(than=killed)
    assert site.value("kept") == "yes"


def test_a_server_killed_again_and_again_comes_back_each_time(site: Site) -> None:
    site.add_user()
    site.put("kept", "yes")
    guard = site.about()["guard"]
    for _ in range(4):  # each within the time that counts as a short life
        killed = site.about()["pid"]
        os.kill(killed, signal.SIGKILL)
        site.await_another_server(than=killed)
    assert site.value("kept") == "yes"
    assert site.about()["guard"] == guard


def test_users_replace_a_killed_guard_and_its_server(site: Site) -> None:
    for _ in range(3):
        site.add_user()
    site.put("kept", "yes")
    before = site.about()
    os.kill(before["guard"], signal.SIGKILL)
    site.await_another_server(than=before["pid"])
    assert site.value("kept") == "yes"
    after = site.about()
    assert after["guard"] != before["guard"]
    wait_until(lambda: set(site.processes()) == {after["pid"], after["guard"]}, 5, "one guard, one server")


def test_a_server_never_outlives_a_killed_guard(site: Site) -> None:
    user = site.add_user()
    site.put("kept", "yes")
    about = site.about()
    user.kill()
    os.kill(about["guard"], signal.SIGKILL)
    site.await_nothing()
    site.add_user()
    assert site.value("kept") == "yes"


def test_a_newcomer_ends_a_server_that_lost_its_guard_and_starts_a_guarded_one(site: Site) -> None:
    """As on macOS, where nothing ends a server with its guard. The lock it inherited keeps a second one out."""
    folder = site.folder
    folder.make()
    lock = open_lock(folder.data_lock)
    assert try_lock(lock, exclusive=True)
    binary, _ = find_server()
    orphan = subprocess.Popen([binary, *server_arguments(folder)], cwd=folder.path, pass_fds=(lock,))
    os.close(lock)
    try:
        wait_until(lambda: ping(folder.socket) == "ok", 10, "the orphan answers")
        site.put("kept", "yes")
        site.add_user()
        assert orphan.wait(5) == 0
        assert site.value("kept") == "yes"
        assert site.about()["pid"] != orphan.pid
    finally:
        orphan.kill()
        orphan.wait()


def test_no_second_server_starts_while_the_first_can_still_write(site: Site) -> None:
    site.add_user()
    site.put("kept", "yes")
    about = site.about()
    os.kill(about["pid"], signal.SIGSTOP)  # it cannot obey the kernel's SIGTERM yet
    os.kill(about["guard"], signal.SIGKILL)
    newcomer = site.begin_user()
    wait_until(lambda: "without a guard" in site.folder.guard_log.read_text(), 10, "the new guard waits")
    assert site.about()["pid"] == about["pid"]
    os.kill(about["pid"], signal.SIGCONT)
    assert said(newcomer) == "2"
    assert site.value("kept") == "yes"


def test_nothing_is_left_when_the_last_user_is_killed(site: Site) -> None:
    first, last = site.add_user(), site.add_user()
    first.kill()
    first.wait()
    about = site.about()
    last.kill()
    site.await_nothing()
    assert about["pid"] not in site.processes()
    assert not site.folder.about.exists()
    assert not site.folder.socket.exists()


def test_the_server_stays_while_one_user_is_left(site: Site) -> None:
    first, last = site.add_user(), site.add_user()
    server = site.about()["pid"]
    first.kill()
    first.wait()
    last_seen = site.folder.guard_log.stat().st_mtime_ns
    with EmbeddedRedis(site.data_dir, linger_s=LINGER_S):
        assert site.about()["pid"] == server
    assert last.poll() is None
    assert site.folder.guard_log.stat().st_mtime_ns == last_seen


def test_data_survive_a_restart(site: Site) -> None:
    with EmbeddedRedis(site.data_dir, linger_s=0):
        site.put("kept", "yes")
    site.await_nothing()
    with EmbeddedRedis(site.data_dir, linger_s=0):
        assert site.value("kept") == "yes"


def test_a_newcomer_at_the_moment_of_stopping_gets_a_server(site: Site) -> None:
    for number in range(1, 8):
        with EmbeddedRedis(site.data_dir, linger_s=0), site.client() as client:
            assert client.incr("rounds") == number


def test_a_share_can_be_given_back_and_taken_again(site: Site) -> None:
    embedded = EmbeddedRedis(site.data_dir, linger_s=0)
    url = embedded.start()
    assert embedded.start() == url
    site.put("kept", "yes")
    embedded.stop()
    embedded.stop()
    site.await_nothing()
    assert embedded.start() == url
    assert site.value("kept") == "yes"
    embedded.stop()


def test_ctrl_c_in_a_terminal_does_not_reach_the_server(site: Site) -> None:
    site.add_user()
    about = site.about()
    assert os.getsid(about["guard"]) != os.getsid(0)
    assert os.getpgid(about["pid"]) == about["guard"]
