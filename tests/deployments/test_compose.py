"""docker-compose.yml: the file itself, and that each service's command, run as a plain process, starts and answers."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
import yaml

from deployments.services import explorer, server, worker
from deployments.supervisor import free_port
from storage.identity import ROOT

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
OURS = {name: s for name, s in SERVICES.items() if s["image"].startswith("nightloom")}
LASTING = sorted(set(SERVICES) - {"deploy"})
EXAMPLES = ROOT / "deployments" / "examples"


@pytest.mark.parametrize("name", LASTING)
def test_each_lasting_service_is_watched_bounded_and_restarted(name):
    service = SERVICES[name]
    assert {"test", "interval", "timeout", "retries"} <= set(service["healthcheck"])
    assert "memory" in service["deploy"]["resources"]["limits"]
    assert service["restart"] == "unless-stopped"


def test_images_are_pinned_and_every_reference_exists():
    for name, service in SERVICES.items():
        assert re.search(r":\d+\.\d+", service["image"]), f"{name} floats"
        assert set(service.get("depends_on", {})) <= set(SERVICES)
        assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])
        assert set(service["networks"]) <= set(COMPOSE["networks"])
        named = {v.split(":")[0] for v in service.get("volumes", []) if not v.startswith(".")}
        assert named <= set(COMPOSE["volumes"])


def test_ports_are_published_on_loopback_only_and_by_services_that_ask_who_is_there():
    published = {name: s["ports"] for name, s in SERVICES.items() if "ports" in s}
    assert set(published) == {"server", "explorer"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)
    assert "PREFECT_SERVER_API_AUTH_STRING_FILE" in SERVICES["server"]["environment"]
    assert SERVICES["server"]["environment"]["PREFECT_SERVER_CSRF_PROTECTION_ENABLED"] == "true"
    assert "NIGHTLOOM_EXPLORER_TOKEN_FILE" in SERVICES["explorer"]["environment"]


def test_no_secret_stands_in_the_file_and_dask_speaks_tls():
    for service in SERVICES.values():
        for key, value in (service.get("environment") or {}).items():
            assert not re.search("PASSWORD|TOKEN|AUTH_STRING", key) or str(value).startswith("/run/secrets/"), key
            assert not re.search(r"://[^/@]*:[^/@]*@", str(value)), key
    assert "--protocol=tls" in SERVICES["scheduler"]["command"]
    assert SERVICES["worker"]["environment"]["NIGHTLOOM_CLUSTER"].startswith("tls://")


def test_containers_run_as_nobody_in_particular():
    dockerfile = (ROOT / "deployments" / "Dockerfile").read_text()
    assert dockerfile.rindex("USER nightloom") > dockerfile.rindex("FROM ")
    for service in OURS.values():
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


def test_every_path_that_compose_and_dockerfile_name_exists():
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "deployments" / "Dockerfile").read_text(), re.M)
    mounted = [
        v.split(":")[0] for s in SERVICES.values() for v in s.get("volumes", []) if v.startswith("./deployments")
    ]
    for path in [*" ".join(copied).split(), *mounted]:
        assert (ROOT / path).exists(), path


def test_compose_runs_the_same_commands_as_up():
    assert SERVICES["server"]["command"] == list(server("0.0.0.0", 4200).command)
    plain = worker("http://server:4200/api", 8080)
    assert SERVICES["worker"]["command"] == list(plain.command)
    ours = {k: v for k, v in SERVICES["worker"]["environment"].items() if k in plain.environment}
    assert ours == plain.environment
    assert SERVICES["explorer"]["command"] == ["python", "-m", *explorer("0.0.0.0", 4280, "").command]


def test_the_slurm_example_makes_a_job_script(tmp_path, monkeypatch):
    jobqueue = pytest.importorskip("dask_jobqueue", reason="the extra `slurm` is not installed")
    options = yaml.safe_load((EXAMPLES / "slurm.yaml").read_text())
    options |= {"interface": None, "log_directory": str(tmp_path)}
    adapt = options.pop("adapt")
    with jobqueue.SLURMCluster(**options, scheduler_options={"dashboard_address": None}) as cluster:
        script = cluster.job_script()
        cluster.adapt(**adapt, interval="10 minutes")
    assert "#SBATCH --gres=gpu:1" in script
    assert "dask_cuda.cli worker" in script


def test_the_kubernetes_example_names_arguments_that_exist():
    operator = pytest.importorskip("dask_kubernetes.operator", reason="the extra `kubernetes` is not installed")
    import inspect

    options = yaml.safe_load((EXAMPLES / "kubernetes.yaml").read_text())
    known = set(inspect.signature(operator.KubeCluster.__init__).parameters) | {"workers", "adapt"}
    assert set(options) <= known


class Stack:
    """The services of docker-compose.yml as plain processes: same command, same environment, other places."""

    def __init__(self, folder: Path, databases: dict[str, str]) -> None:
        self.folder = folder
        self.secrets = folder / "secrets"
        self.secrets.mkdir()
        self.ports = {port: str(free_port()) for port in ("4200", "4280", "8080", "8786", "8787", "8788")}
        self.databases = databases
        self.processes: dict[str, subprocess.Popen] = {}
        for name in COMPOSE["secrets"]:
            (self.secrets / name).write_text("night:moth\n" if name == "prefect_auth" else "secret\n")

    def here(self, text: object) -> str:
        """An argument or a setting, with the containers' names and places replaced by this test's."""
        text = re.sub(
            r"^/data\b", str(self.folder / "data"), re.sub(r"(?<==)/data\b", str(self.folder / "data"), str(text))
        )
        text = text.replace("/run/secrets", str(self.secrets)).replace("0.0.0.0", "127.0.0.1")
        text = re.sub(r"\w+@postgres:5432/(\w+)", lambda m: self.databases[m[1]], text)
        text = re.sub(r"(?<=//)(server|scheduler)\b", "127.0.0.1", text)
        return re.sub(r"\b(4200|4280|8080|8786|8787|8788)\b", lambda m: self.ports[m[1]], text)

    def environment(self, name: str) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "NIGHTLOOM_", "PG"))}
        wanted = {k: self.here(v) for k, v in SERVICES[name].get("environment", {}).items()}
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
        home = str(self.folder / "data")
        return (
            kept
            | {"NIGHTLOOM_HOME": home, "PREFECT_HOME": f"{home}/prefect"}
            | wanted
            | {"PATH": path, "SECRETS": str(self.secrets)}
        )

    def start(self, name: str) -> subprocess.Popen:
        """Start the service's command through the image's entry point."""
        command = ["deployments/with-secrets.sh", *map(self.here, SERVICES[name]["command"])]
        with (self.folder / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                command,
                cwd=ROOT,
                env=self.environment(name),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self.processes[name]

    def wait_healthy(self, name: str, seconds: float = 150.0) -> None:
        """Wait until the service's own health check succeeds."""
        address = self.here(re.search(r"http://[^']+", " ".join(SERVICES[name]["healthcheck"]["test"]))[0])
        deadline = time.monotonic() + seconds
        while True:
            assert self.processes[name].poll() is None, self.log(name)
            assert time.monotonic() < deadline, self.log(name)
            try:
                if httpx.get(address, timeout=5).status_code == 200:
                    return
            except httpx.HTTPError:
                time.sleep(0.3)

    def log(self, name: str) -> str:
        return f"{name}:\n{(self.folder / f'{name}.log').read_text(errors='replace')[-3000:]}"

    def end(self) -> None:
        from deployments.supervisor import end_group

        for process in reversed(self.processes.values()):
            end_group(process)


@pytest.fixture(scope="module")
def stack(tmp_path_factory, postgres_server):
    import psycopg

    names = {name: f"compose_{name}_{uuid4().hex[:8]}" for name in ("prefect", "nightloom")}
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        for name in names.values():
            connection.execute(f'create database "{name}"')
        address = f"{connection.info.user}@{connection.info.host}:{connection.info.port}"
    made = Stack(tmp_path_factory.mktemp("compose"), {name: f"{address}/{own}" for name, own in names.items()})
    try:
        yield made
    finally:
        made.end()
        with psycopg.connect(postgres_server, autocommit=True) as connection:
            for name in names.values():
                connection.execute(f'drop database if exists "{name}" with (force)')


@pytest.mark.timeout(600)
def test_every_command_starts_as_a_plain_process_and_a_run_goes_through_all_of_them(stack):
    stack.start("server")
    stack.wait_healthy("server")
    assert stack.start("deploy").wait(120) == 0, stack.log("deploy")
    stack.processes.pop("deploy")
    rest = ("scheduler", "cpu", "worker", "explorer")
    for name in rest:
        stack.start(name)
    for name in rest:
        stack.wait_healthy(name)
    _refuses_strangers(stack)
    state = _run_nightly(stack)
    assert state["type"] == "COMPLETED", stack.log("worker")


def _refuses_strangers(stack: Stack) -> None:
    server, explorer = (f"http://127.0.0.1:{stack.ports[port]}" for port in ("4200", "4280"))
    assert httpx.post(f"{server}/api/flows/filter", json={}).status_code in (401, 403)
    assert httpx.get(f"{explorer}/runs").status_code == 401
    assert httpx.get(f"{explorer}/runs", params={"token": "secret"}, follow_redirects=True).status_code == 200


def _run_nightly(stack: Stack) -> dict:
    """Trigger a night through the API with user, password and CSRF token, as the UI does."""
    base = f"http://127.0.0.1:{stack.ports['4200']}/api"
    (stack.folder / "data" / "inbox").mkdir(exist_ok=True)
    with httpx.Client(base_url=base, auth=("night", "moth"), timeout=30) as api:
        me = uuid4().hex
        token = api.get("/csrf-token", params={"client": me}).json()["token"]
        api.headers.update({"Prefect-Csrf-Token": token, "Prefect-Csrf-Client": me})
        deployment = api.get("/deployments/name/nightly/nightly").raise_for_status().json()
        run = (
            api.post(f"/deployments/{deployment['id']}/create_flow_run", json={"parameters": {"params": {}}})
            .raise_for_status()
            .json()
        )
        deadline = time.monotonic() + 150
        while time.monotonic() < deadline:
            state = api.get(f"/flow_runs/{run['id']}").json()["state"]
            if state["type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"):
                return state
            time.sleep(0.5)
    raise AssertionError(f"the night is {state['name']} after 150 s\n{stack.log('worker')}")
