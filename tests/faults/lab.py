"""The processes of a lab, each to be killed and started again: PostgreSQL, a Dask scheduler and worker, Prefect's server and worker."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from deployments import services
from deployments.supervisor import LOOPBACK, Service, answers, environment, free_port
from storage.database import migrate
from storage.identity import ROOT
from tests.faults.waiting import wait_for


class Database:
    """A PostgreSQL server of this test's own, to be stopped as one likes."""

    def __init__(self, programs: Path, folder: Path):
        self.programs, self.folder, self.port = programs, folder, free_port()
        self.user = {"user": "postgres", "group": "postgres"} if os.getuid() == 0 else {}
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        self._run("initdb", "--no-sync", "--auth=trust", "--username=postgres", "--pgdata", str(folder / "data"))

    def control(self, *arguments: str) -> None:
        options = f"-p {self.port} -h 127.0.0.1 -k {self.folder} -F"
        log = str(self.folder / "log")
        self._run("pg_ctl", *arguments, "-w", "-D", str(self.folder / "data"), "-o", options, "-l", log)

    def start(self) -> None:
        self.control("start")

    def kill(self) -> None:
        """As by kill -9 of the postmaster; its children see that it is gone and end, and only then may another start."""
        postmaster = psutil.Process(int((self.folder / "data" / "postmaster.pid").read_text().split()[0]))
        children = postmaster.children(recursive=True)
        postmaster.kill()
        _gone, alive = psutil.wait_procs(children, 30)
        assert not alive

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self.programs / program), *arguments]
        subprocess.run(command, check=True, cwd=self.folder, stdout=subprocess.DEVNULL, **self.user)


@contextmanager
def database() -> Iterator[Database]:
    """A server that runs until the block is left; skips where PostgreSQL is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    if not (found or on_path):
        pytest.skip("PostgreSQL's initdb is not installed here; a server of the test's own needs it")
    with tempfile.TemporaryDirectory(prefix="nightloom-pg-") as folder:
        if os.getuid() == 0:  # the server refuses to run as root
            try:
                shutil.chown(folder, "postgres", "postgres")
            except LookupError:
                pytest.skip("PostgreSQL does not run as root, and there is no user called postgres")
        made = Database((found[-1] if found else Path(on_path)).parent, Path(folder))
        made.start()
        try:
            yield made
        finally:
            made.control("stop", "-m", "immediate")


@dataclass
class Process:
    """One process of the lab, in a group of its own; what it says goes to a file."""

    command: tuple[str, ...]
    log: Path
    environment: dict[str, str] = field(default_factory=lambda: dict(os.environ))
    _running: subprocess.Popen | None = None

    def start(self) -> None:
        with self.log.open("ab") as sink:
            self._running = subprocess.Popen(
                [sys.executable, *self.command],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
            )

    @property
    def alive(self) -> bool:
        return self._running is not None and self._running.poll() is None

    def kill(self) -> None:
        """kill -9 of this process alone: what it started is left to itself."""
        if self._running is not None:
            self._running.kill()
            self._running.wait()

    def end(self) -> None:
        """At the end of the test: also what it started."""
        if self._running is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._running.pid, signal.SIGKILL)
            self._running.wait()


@contextmanager
def dask_lab(folder: Path) -> Iterator[tuple[str, Process, Process]]:
    """A scheduler and a worker as a lab starts them; yields address, scheduler, worker."""
    folder.mkdir(exist_ok=True)
    address, scheduler, worker = dask_processes(folder)
    try:
        scheduler.start()
        worker.start()
        yield address, scheduler, worker
    finally:
        worker.end()
        scheduler.end()


def dask_processes(folder: Path) -> tuple[str, Process, Process]:
    """The same, not started yet."""
    port = str(free_port())
    address = f"tcp://{LOOPBACK}:{port}"
    scheduler = ("-m", "dask", "scheduler", "--host", LOOPBACK, "--port", port, "--no-dashboard")
    options = ("--no-nanny", "--nthreads", "1", "--resources", "GPU=1", "--no-dashboard", "--death-timeout", "60")
    worker = ("-m", "dask", "worker", address, *options, "--local-directory", str(folder))
    return address, Process(scheduler, folder / "scheduler.log"), Process(worker, folder / "dask-worker.log")


class Lab:
    """Everything a night needs, for the home of the settings; parts are killed and started by name."""

    def __init__(self, home: Path, database_: Database):
        address, scheduler, dask_worker = dask_processes(home)
        os.environ["NIGHTLOOM_CLUSTER"] = address
        front = services.server(LOOPBACK, free_port())
        self.api = front.environment["PREFECT_API_URL"]
        os.environ["PREFECT_API_URL"] = self.api
        back = services.worker(self.api, free_port())
        self.home, self.health = home, {"server": front.health, "worker": back.health}
        self.parts: dict[str, Database | Process] = {
            "PostgreSQL": database_,
            "Dask scheduler": scheduler,
            "Dask worker": dask_worker,
            "server": self._service(front),
            "worker": self._service(back),
        }

    def _service(self, service: Service) -> Process:
        return Process(("-m", *service.command), self.home / f"{service.name}.log", environment(service))

    def open(self) -> None:
        """Start all but the database, which runs already; register the deployments."""
        for name in ("server", "Dask scheduler", "Dask worker"):
            self.start(name)
        subprocess.run([sys.executable, "-m", "deployments.cli", "deploy"], cwd=ROOT, check=True, capture_output=True)
        self.start("worker")

    def start(self, name: str) -> None:
        """Start one part, as the service manager of a real machine would; return when it answers."""
        self.parts[name].start()
        if name in self.health:
            wait_for(lambda: answers(self.health[name]), 180)

    def kill(self, name: str) -> None:
        """kill -9; Dask's workers end with their scheduler by themselves."""
        self.parts[name].kill()

    def close(self) -> None:
        for name in ("worker", "server", "Dask worker", "Dask scheduler"):
            self.parts[name].end()
        for process in self.flows():
            process.kill()

    def flows(self) -> list[psutil.Process]:
        """The processes of flow runs of this home."""
        return [p for p in psutil.process_iter() if _is_flow_of(p, str(self.home))]


def _is_flow_of(process: psutil.Process, home: str) -> bool:
    try:
        if "deployments.engine" not in process.cmdline():
            return False
        return process.environ().get("NIGHTLOOM_HOME") == home
    except psutil.Error:
        return False


@contextmanager
def lab(home: Path) -> Iterator[Lab]:
    """A lab with a database at the newest schema; NIGHTLOOM_HOME is set."""
    with database() as made:
        os.environ["NIGHTLOOM_DATABASE_URL"] = made.url
        migrate(made.url)
        opened = Lab(home, made)
        try:
            opened.open()
            yield opened
        finally:
            opened.close()
