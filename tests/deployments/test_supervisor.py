"""The supervisor alone, on processes that start in no time."""

import time

import psutil
import pytest

from deployments.services import refuse_open_door, server
from deployments.supervisor import Service, free_port, supervisor
from storage.errors import BadInputError, NightloomError


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("NIGHTLOOM_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def started():
    """The processes that this test started; other tests' servers may live beside them."""
    before = set(psutil.Process().children(recursive=True))
    return lambda: [p for p in psutil.Process().children(recursive=True) if p not in before]


def web(name: str = "web") -> Service:
    port = free_port()
    return Service(name, ("http.server", str(port), "--bind", "127.0.0.1"), health=f"http://127.0.0.1:{port}/")


def test_ready_means_that_it_answers_and_leaving_ends_it(started):
    with supervisor() as watched:
        service = web()
        watched.start(service)
        watched.wait_until_ready(service, 30)
        [child] = started()
    assert not child.is_running()


def test_one_death_ends_the_others_with_a_sentence(place, started):
    first, second = web("first"), web("second")
    with supervisor() as watched:
        watched.start(first)
        watched.start(second)
        watched.wait_until_ready(first, 30)
        processes = started()
        next(p for p in processes if second.command[1] in p.cmdline()).kill()
        with pytest.raises(NightloomError, match=r"second ended by itself \(signal SIGKILL\).*its log .*second\.log"):
            watched.watch()
    assert not any(p.is_running() for p in processes)


def test_a_process_that_cannot_start_is_told_with_its_last_words():
    with supervisor() as watched:
        watched.start(Service("broken", ("no_such_module",), health="http://127.0.0.1:9/"))
        with pytest.raises(NightloomError, match=r"ended by itself \(exit code 1\).*No module named.*no_such_module"):
            watched.watch()


def test_grandchildren_end_as_well(place, started, monkeypatch):
    (place / "parent.py").write_text(
        "import subprocess, sys, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print('up', flush=True); time.sleep(600)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(place))
    monkeypatch.setattr("deployments.supervisor.GRACE_SECONDS", 0.5)
    with supervisor() as watched:
        watched.start(Service("parent", ("parent",), health="http://127.0.0.1:9/"))
        deadline = time.monotonic() + 30
        while len(family := started()) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
    assert len(family) == 2
    assert not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in family)


def test_a_taken_port_is_said_before_anything_starts():
    with supervisor() as watched:
        first = web()
        port = int(first.command[1])
        watched.start(first)
        watched.wait_until_ready(first, 30)
        with pytest.raises(BadInputError, match=f"port {port} is in use"):
            watched.start(first, port=port)


def test_beyond_this_machine_a_password_is_required(monkeypatch):
    monkeypatch.delenv("PREFECT_SERVER_API_AUTH_STRING", raising=False)
    refuse_open_door("127.0.0.1")
    with pytest.raises(BadInputError, match="without a password"):
        refuse_open_door("0.0.0.0")
    for name in ("PREFECT_SERVER_API_AUTH_STRING", "PREFECT_API_AUTH_STRING", "NIGHTLOOM_EXPLORER_TOKEN"):
        monkeypatch.setenv(name, "night:secret")
    refuse_open_door("0.0.0.0")
    assert server("0.0.0.0", 4200).environment["PREFECT_SERVER_CSRF_PROTECTION_ENABLED"] == "true"
    assert server("127.0.0.1", 4200).environment["PREFECT_SERVER_CSRF_PROTECTION_ENABLED"] == "false"


def test_the_page_of_another_port_asks_its_own_server():
    assert server("127.0.0.1", 4377).environment["PREFECT_SERVER_UI_API_URL"] == "http://127.0.0.1:4377/api"
