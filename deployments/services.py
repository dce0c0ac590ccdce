"""The processes that make the service: what each is started with, when it is ready, and how all of them end together.

`docker-compose.yml` runs the same commands in containers; a test holds the two against each other.
"""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.error import URLError
from urllib.request import urlopen

from flows._settings import prefect_environment
from storage.errors import BadInputError, NightloomError
from storage.settings import settings

LOOPBACK = "127.0.0.1"
START_SECONDS = 180.0
GRACE_SECONDS = 15.0
"""What running flows get to write down how far they came before they are ended by force."""

WORKER_POLL_SECONDS = "2"
"""Prefect's default of 10 s is most of the wait between a click and the first line of a run."""


@dataclass(frozen=True)
class Service:
    """One process: the command, the address that answers 200 when it is ready, and the page a person opens, if any."""

    name: str
    command: tuple[str, ...]
    health: str
    page: str | None = None
    environment: dict[str, str] = field(default_factory=dict)


def server(host: str, port: int) -> Service:
    """Prefect's server with its UI."""
    page = f"http://{_reachable(host)}:{port}"
    return Service(
        "server",
        ("prefect", "server", "start", "--host", host, "--port", str(port)),
        health=f"{page}/api/health",
        page=page,
        environment={
            # Without it the page of a server on another port asks 4200 and stays empty.
            "PREFECT_SERVER_UI_API_URL": os.environ.get("PREFECT_SERVER_UI_API_URL", f"{page}/api"),
            "PREFECT_API_URL": f"{page}/api",
            "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "false" if is_loopback(host) else "true",
        },
    )


def worker(api_url: str, health_port: int) -> Service:
    """The process that takes runs from the pool and starts each as a process of its own."""
    return Service(
        "worker",
        ("prefect", "worker", "start", "--pool", "nightloom", "--type", "process", "--with-healthcheck"),
        health=f"http://{LOOPBACK}:{health_port}/health",
        environment={
            "PREFECT_API_URL": api_url,
            "PREFECT_WORKER_QUERY_SECONDS": WORKER_POLL_SECONDS,
            # The rule that ends runs whose process died listens to these (bootstrap.SILENCE).
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
            "PREFECT_WORKER_WEBSERVER_HOST": LOOPBACK,
            "PREFECT_WORKER_WEBSERVER_PORT": str(health_port),
        },
    )


def explorer(host: str, port: int, prefect_page: str) -> Service:
    """The pages on results."""
    page = f"http://{_reachable(host)}:{port}"
    return Service(
        "explorer",
        ("deployments.explorer", "--host", host, "--port", str(port)),
        health=f"{page}/health",
        page=page,
        environment={"NIGHTLOOM_PREFECT_UI": prefect_page},
    )


def up(port: int, *, say: Callable[[str], None] = print) -> None:
    """Start everything on this machine and stay until Ctrl-C or SIGTERM, or until one process dies, which ends the others."""
    from deployments import bootstrap
    from storage.lease import reconcile

    host = os.environ.get("PREFECT_SERVER_API_HOST", LOOPBACK)
    refuse_open_door(host)
    settings().inbox.mkdir(parents=True, exist_ok=True)
    front = server(host, port)
    os.environ["PREFECT_API_URL"] = front.environment["PREFECT_API_URL"]
    with supervisor() as watched, _termination_as_interrupt():
        started = time.monotonic()
        watched.start(front, port=port)
        reconcile()
        watched.start(explorer(host, _near(port + 80), str(front.page)))
        wanted = bootstrap.plans()  # imports every flow, while the server starts
        watched.wait_until_ready(front)
        watched.start(worker(os.environ["PREFECT_API_URL"], free_port()))
        names = bootstrap.register(wanted)
        for service in watched.services:
            watched.wait_until_ready(service)
        say(
            f"Ready after {time.monotonic() - started:.0f} s, with {len(names)} deployments: {', '.join(n.split('/')[0] for n in names)}"
        )
        for service in watched.services:
            if service.page:
                say(f"  {service.name:<10}{service.page}")
        say(f"  {'inbox':<10}{settings().inbox}\n  {'logs':<10}{logs_folder()}\nCtrl-C ends everything.")
        watched.watch()


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
            _refuse_taken_port(port)
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
            _end_group(process)
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


def _near(port: int) -> int:
    """``port`` if it is free, else any other."""
    try:
        _refuse_taken_port(port)
    except (BadInputError, OverflowError):
        return free_port()
    return port


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``."""
    return host in ("localhost", "::1") or host.startswith("127.")


def refuse_open_door(host: str) -> None:
    """Who reaches the server may start any run: beyond this machine it must ask for a password."""
    wanted = ("PREFECT_SERVER_API_AUTH_STRING", "PREFECT_API_AUTH_STRING", "NIGHTLOOM_EXPLORER_TOKEN")
    missing = [name for name in wanted if not os.environ.get(name)]
    if not is_loopback(host) and missing:
        raise BadInputError(
            f"the service would listen on {host} without a password; set {' and '.join(missing)} "
            "(both auth strings to the same user:password), or leave PREFECT_SERVER_API_HOST unset"
        )


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


def _reachable(host: str) -> str:
    return LOOPBACK if host in ("0.0.0.0", "::") else host


def _refuse_taken_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise BadInputError(
                f"port {port} is in use; another `nightloom up` may be running, or choose one: nightloom up --port 4300"
            ) from error


@contextmanager
def _termination_as_interrupt() -> Iterator[None]:
    """SIGTERM (a service manager, `docker stop`) ends things the way Ctrl-C does."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _end_with_parent() -> None:
    """In the child: have the kernel end it when the supervisor is killed and can no longer do so."""
    set_parent_death_signal = 1
    ctypes.CDLL(None, use_errno=True).prctl(set_parent_death_signal, signal.SIGTERM)


def _end_group(process: "subprocess.Popen[bytes]") -> None:
    """Ask a process and everything it started to end; after a while, make them."""
    # A draining worker waits for its runs without limit (seen: over a minute), so the runs are asked as well.
    _signal_group(process, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    while _group_lives(process) and time.monotonic() < deadline:
        time.sleep(0.1)
    _signal_group(process, signal.SIGKILL)
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
