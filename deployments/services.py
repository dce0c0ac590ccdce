"""The processes that make the service: what each is started with, when it is ready, and how all of them end together.

`docker-compose.yml` runs the same commands in containers; a test holds the two against each other.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from deployments.supervisor import LOOPBACK, Service, free_port, logs_folder, refuse_taken_port, supervisor
from storage.errors import BadInputError
from storage.settings import settings

WORKER_POLL_SECONDS = "2"
"""Prefect's default of 10 s is most of the wait between a click and the first line of a run."""


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
            # With SQLite, a request on a busy machine may wait for its turn longer than the default 10 s.
            "PREFECT_SERVER_DATABASE_TIMEOUT": "60",
            "PREFECT_SERVER_DATABASE_CONNECTION_TIMEOUT": "60",
            "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "false" if is_loopback(host) else "true",
            # Who holds a slot (one night at a time) is kept in memory otherwise: after a server's death the slot of the
            # run it watched stays taken for ever, and no night starts again.
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
            # Prefect's own history grows by 100 MB per 5000 tasks; results are kept in the run database.
            "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
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


def _near(port: int) -> int:
    """``port`` if it is free, else any other."""
    try:
        refuse_taken_port(port)
    except (BadInputError, OverflowError):
        return free_port()
    return port


def refuse_open_door(host: str) -> None:
    """Who reaches the server may start any run: beyond this machine it must ask for a password."""
    wanted = ("PREFECT_SERVER_API_AUTH_STRING", "PREFECT_API_AUTH_STRING", "NIGHTLOOM_EXPLORER_TOKEN")
    missing = [name for name in wanted if not os.environ.get(name)]
    if not is_loopback(host) and missing:
        raise BadInputError(
            f"the service would listen on {host} without a password; set {' and '.join(missing)} "
            "(both auth strings to the same user:password), or leave PREFECT_SERVER_API_HOST unset"
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``."""
    return host in ("localhost", "::1") or host.startswith("127.")


def _reachable(host: str) -> str:
    return LOOPBACK if host in ("0.0.0.0", "::") else host


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
