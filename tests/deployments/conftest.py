"""A service of its own for these tests: `nightloom up` on a free port, with a home that is thrown away."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from deployments.supervisor import free_port
from storage.identity import ROOT

START_SECONDS = 240.0
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


class AskAgain(httpx.HTTPTransport):
    """Asks a busy server again (503: its SQLite is locked), as Prefect's own client does."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        for _ in range(20):
            answer = super().handle_request(request)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                return answer
            answer.close()
            time.sleep(0.5)
        return super().handle_request(request)


@dataclass
class Running:
    """A running `nightloom up`, and what a person does to it through the browser."""

    process: subprocess.Popen
    port: int
    home: Path
    output: Path
    api: httpx.Client

    def deployment(self, name: str) -> dict:
        return self.api.get(f"/deployments/name/{name}/{name}").raise_for_status().json()

    def trigger(self, name: str, **params: object) -> str:
        """Press "run" in the form."""
        body = {"parameters": {"params": params}, "state": {"type": "SCHEDULED"}}
        made = self.api.post(f"/deployments/{self.deployment(name)['id']}/create_flow_run", json=body)
        return made.raise_for_status().json()["id"]

    def wait(self, flow_run: str, seconds: float = 150.0) -> dict:
        """The final state."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            state = self.api.get(f"/flow_runs/{flow_run}").raise_for_status().json()["state"]
            if state["type"] in ENDED:
                return state
            time.sleep(0.3)
        raise AssertionError(f"the run is {state['name']} after {seconds} s\n{self.logs()}")

    def command(self, *arguments: str) -> str:
        """What `nightloom ARGUMENTS`, called beside the service, prints."""
        environment = clean_environment(self.home) | {"PREFECT_API_URL": f"http://127.0.0.1:{self.port}/api"}
        done = subprocess.run(
            [sys.executable, "-m", "deployments.cli", *arguments],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def logs(self) -> str:
        return "\n".join(
            p.read_text(errors="replace")[-3000:] for p in [self.output, *(self.home / "logs").glob("*.log")]
        )


def clean_environment(home: Path) -> dict[str, str]:
    """The environment without what other tests or the person at the keyboard set for Prefect and Nightloom."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "NIGHTLOOM_"))}
    return kept | {"NIGHTLOOM_HOME": str(home), "NIGHTLOOM_CLUSTER": "cpu", "PYTHONUNBUFFERED": "1"}


@pytest.fixture(scope="session")
def service(tmp_path_factory):
    """`nightloom up`, started once for all tests of this folder."""
    home, port = tmp_path_factory.mktemp("service"), free_port()
    output = home / "up.log"
    with output.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "deployments.cli", "up", "--port", str(port)],
            cwd=ROOT,
            env=clean_environment(home),
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
    try:
        address = f"http://127.0.0.1:{port}/api"
        with httpx.Client(base_url=address, timeout=30, transport=AskAgain()) as api:
            running = Running(process, port, home, output, api)
            deadline = time.monotonic() + START_SECONDS
            while "Ready" not in output.read_text():
                assert process.poll() is None, running.logs()
                assert time.monotonic() < deadline, running.logs()
                time.sleep(0.3)
            yield running
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        finally:
            process.kill()
