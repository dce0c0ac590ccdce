"""A scheduler and workers of their own, over TLS, one worker lost and one joining in the middle: the bytes of one machine."""

import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack

import pytest
from distributed import Client

from deployments.certs import make_certificates
from flows._cluster import _security
from storage.publish import verify
from tests.faults.test_workers import ROOT
from tests.faults.waiting import wait_for


class Hosts:
    """Processes of a Dask cluster, each of which could be a machine; every one speaks TLS with its own certificate."""

    def __init__(self, home, stack):
        self.home, self.stack, self.file = home, stack, home / "scheduler.json"
        make_certificates(home / "certs")

    def start(self, role, *arguments):
        certs = self.home / "certs"
        tls = {"ca-file": certs / "ca.pem", "cert": certs / f"{role}.pem", "key": certs / f"{role}.key"}
        command = [
            sys.executable,
            "-m",
            f"distributed.cli.dask_{role}",
            *arguments,
            "--protocol",
            "tls",
            "--no-dashboard",
        ]
        command += [text for name, path in tls.items() for text in (f"--tls-{name}", str(path))]
        quiet = {"DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "true", "DASK_LOGGING__DISTRIBUTED": "critical"}
        # The sources of this checkout, as a worker's machine would have them installed.
        process = subprocess.Popen(command, cwd=ROOT, env=os.environ | quiet, stderr=subprocess.DEVNULL)
        self.stack.callback(process.wait, 30)
        self.stack.callback(process.kill)
        return process

    def scheduler(self):
        self.start("scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(self.file))

    def worker(self, name):
        options = ("--nthreads", "1", "--no-nanny", "--resources", "GPU=1", "--host", "127.0.0.1", "--name", name)
        return self.start("worker", "--scheduler-file", str(self.file), *options, "--local-directory", str(self.home))

    @property
    def address(self):
        return json.loads(self.file.read_text())["address"]


@pytest.fixture
def hosts(home):
    with ExitStack() as stack:
        yield Hosts(home, stack)


def test_a_night_on_several_hosts_over_tls(local_night, undisturbed, hosts):
    hosts.scheduler()
    first, second = hosts.worker("first"), hosts.worker("second")
    wait_for(lambda: hosts.file.exists() and hosts.file.stat().st_size, 60)
    assert hosts.address.startswith("tls://127.0.0.1")
    flow = local_night.start(cluster=hosts.address, step="wait_for_another", delay=0.1)
    wait_for(lambda: {first.pid, second.pid} <= pids(local_night), 60)
    first.send_signal(signal.SIGKILL)
    first.wait(10)
    third = hosts.worker("third")
    with Client(hosts.address, security=_security(hosts.address), set_as_default=False) as client:
        wait_for(lambda: "third" in {w["name"] for w in client.scheduler_info()["workers"].values()}, 60)
    (local_night.home / "joined").touch()
    flow.join(120)
    assert flow.exitcode == 0
    assert local_night.content() == undisturbed(5)[0]
    assert verify(local_night.uri) == []
    assert pids(local_night) == {first.pid, second.pid, third.pid}


def pids(night):
    """The processes that computed tiles so far."""
    log = night.home / "computed.log"
    return {json.loads(line)["pid"] for line in log.read_text().splitlines()} if log.exists() else set()
