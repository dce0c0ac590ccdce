"""Processes that live and die together: started, awaited at their health addresses, ended with all they started."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from urllib.error import URLError
from urllib.request import urlopen

from flows._settings import prefect_environment
from storage.errors import BadInputError, NightloomError
from storage.settings import settings

LOOPBACK = "127.0.0.1"
START_SECONDS = 180.0
GRACE_SECONDS = 15.0
"""What running flows get to write down how far they came before they are ended by force."""


@dataclass(frozen=True)
class Service:
    """One process: the command, the address that answers 200 when it is ready, and the page a person opens, if any."""

    name: str
    command: tuple[str, ...]
    health: str
    page: str | None = None
    environment: dict[str, str] = field(default_factory=dict)


@contextmanager
def supervisor() -> "Iterator[Supervisor]":
    """A supervisor whose processes have all ended when the block is left; Ctrl-C leaves it quietly."""
    watched = Supervisor()
    try:
        yield watched
    except KeyboardInterrupt:
        pass
    finally:
        watched.stop()


class Supervisor:
    """Starts processes, each in a group of its own, and ends them with everything they started."""

    def __init__(self) -> None:
        self._running: list[tuple[Service, subprocess.Popen[bytes]]] = []

    @property
    def services(self) -> list[Service]:
        """What was started, in order."""
        return [service for service, _ in self._running]

    def start(self, service: Service, *, port: int | None = None) -> None:
        """Start one process; its output goes to a log file."""
        if port is not None:
            refuse_taken_port(port)
        with _log(service.name) as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *service.command],
                env=environment(service),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,
            )
        self._running.append((service, process))

    def wait_until_ready(self, service: Service, seconds: float = START_SECONDS) -> None:
        """Return when the service answers at its health address."""
        deadline = time.monotonic() + seconds
        while not answers(service.health):
            self.check()
            if time.monotonic() > deadline:
                raise NightloomError(
                    f"{service.name} did not answer at {service.health} within {seconds:.0f} s; its log is {log_path(service.name)}"
                )
            time.sleep(0.2)

    def watch(self) -> None:
        """Stay until a process ends by itself."""
        while True:
            self.check()
            time.sleep(0.5)

    def check(self) -> None:
        """Raise when a process has ended."""
        for service, process in self._running:
            if process.poll() is not None:
                raise NightloomError(
                    f"{service.name} ended by itself ({_ending(process.returncode)}), so everything was ended; "
                    f"its log {log_path(service.name)} closes with: {_last_line(service.name)}"
                )

    def stop(self) -> None:
        """End all processes, the last started first: a worker must still be able to tell the server how its runs ended."""
        for _, process in reversed(self._running):
            end_group(process)
        self._running.clear()


def environment(service: Service) -> dict[str, str]:
    """Environment of a service: this one, Prefect's settings, its own."""
    home = settings().home
    home.mkdir(parents=True, exist_ok=True)
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    return {**os.environ, **prefect_environment(), "NIGHTLOOM_HOME": str(home), "PATH": path, **service.environment}


def answers(address: str) -> bool:
    """Whether this address says 200."""
    try:
        with urlopen(address, timeout=5) as response:
            return response.status == 200
    except (URLError, OSError, ValueError):
        return False


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return probe.getsockname()[1]


def logs_folder() -> Path:
    """Where the processes write what they say."""
    return settings().home / "logs"


def log_path(name: str) -> Path:
    """The log of one service."""
    return logs_folder() / f"{name}.log"


def _log(name: str) -> IO[bytes]:
    path = log_path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        path.replace(path.with_suffix(".log.1"))
    return path.open("wb")


def _last_line(name: str) -> str:
    lines = [line.strip() for line in log_path(name).read_text(errors="replace").splitlines()]
    return next((line for line in reversed(lines) if line), "(nothing)")


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"


def refuse_taken_port(port: int) -> None:
    """Say so before anything is started."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise BadInputError(
                f"port {port} is in use; another `nightloom up` may be running, or choose one: nightloom up --port 4300"
            ) from error


def _end_with_parent() -> None:
    """In the child: have the kernel end it when the supervisor is killed and can no longer do so."""
    set_parent_death_signal = 1
    ctypes.CDLL(None, use_errno=True).prctl(set_parent_death_signal, signal.SIGTERM)


def end_group(process: "subprocess.Popen[bytes]") -> None:
    """Ask a process and everything it started to end; after a while, make them."""
    # A draining worker waits for its runs without limit (seen: over a minute), so the runs are asked as well.
    for number, patience in ((signal.SIGTERM, GRACE_SECONDS), (signal.SIGKILL, 5.0)):
        _signal_group(process, number)
        deadline = time.monotonic() + patience
        while _group_lives(process) and time.monotonic() < deadline:
            time.sleep(0.1)
    process.wait()


def _group_lives(process: "subprocess.Popen[bytes]") -> bool:
    process.poll()  # collect it, or its zombie counts as a member
    return _signal_group(process, 0)


def _signal_group(process: "subprocess.Popen[bytes]", number: int) -> bool:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return False
    return True
