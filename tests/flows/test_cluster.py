"""The factory starts what it is asked for; what needs missing hardware is asserted by what would be started."""

import sys
from types import ModuleType, SimpleNamespace

import pytest

from flows import _cluster
from flows._cluster import DEPTH, cluster, make
from storage.errors import BadInputError


class Started:
    """Stands for a cluster class: remembers how it was started and scaled."""

    def __init__(self, **options):
        self.options, self.scaled, self.adapted = options, None, None

    def scale(self, n):
        self.scaled = n

    def adapt(self, **limits):
        self.adapted = limits


@pytest.fixture
def library(monkeypatch):
    """Put a module with one cluster class in place of a library that is not here."""

    def put(name, cls):
        module = ModuleType(name)
        setattr(module, cls, Started)
        monkeypatch.setitem(sys.modules, name, module)

    return put


def test_auto_means_gpus_where_there_are_any(home, monkeypatch):
    monkeypatch.setattr(_cluster, "_cuda", lambda: "gpus")
    monkeypatch.setattr(_cluster, "_cpu", lambda: "cores")
    monkeypatch.setattr(_cluster, "gpu_count", lambda: 2)
    assert make("auto") == "gpus"
    monkeypatch.setattr(_cluster, "gpu_count", lambda: 0)
    assert make("auto") == "cores"


def test_an_unknown_kind_is_one_sentence(home):
    with pytest.raises(BadInputError, match="NIGHTLOOM_CLUSTER is 'spark'; choose one of auto, cpu, cuda"):
        make("spark")


def test_counting_gpus_needs_none():
    assert _cluster.gpu_count() >= 0


def test_cuda_shares_one_memory_pool_and_declares_its_gpu(home, library):
    library("dask_cuda", "LocalCUDACluster")
    options = make("cuda").options
    assert options["resources"] == {"GPU": DEPTH}
    assert options["threads_per_worker"] == DEPTH
    assert 0.5 <= options["rmm_pool_size"] <= 0.8
    assert options["pre_import"] == "cupy"
    assert options["preload"] == ["flows._gpu_worker"]
    assert options["host"] == "127.0.0.1"


def test_a_cuda_worker_gives_cupy_the_pool(monkeypatch):
    used = []
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(cuda=SimpleNamespace(set_allocator=used.append)))
    monkeypatch.setitem(sys.modules, "rmm.allocators.cupy", SimpleNamespace(rmm_cupy_allocator="the pool"))
    monkeypatch.setitem(sys.modules, "rmm", ModuleType("rmm"))
    monkeypatch.setitem(sys.modules, "rmm.allocators", ModuleType("rmm.allocators"))
    from flows._gpu_worker import dask_setup

    dask_setup(None)
    assert used == ["the pool"]


def test_slurm_takes_its_options_from_a_file(home, library):
    library("dask_jobqueue", "SLURMCluster")
    (home / "slurm.yaml").write_text("queue: gpu\ncores: 8\nmemory: 64GB\nworkers: 12\n")
    made = make("slurm")
    assert made.scaled == 12
    assert (made.options["queue"], made.options["cores"], made.options["memory"]) == ("gpu", 8, "64GB")
    assert made.options["worker_extra_args"] == ["--resources", f"GPU={DEPTH}"]
    assert any("OMP_NUM_THREADS" in line for line in made.options["job_script_prologue"])


def test_kubernetes_workers_declare_what_tiles_ask_for(home, library):
    library("dask_kubernetes", "Other")
    library("dask_kubernetes.operator", "KubeCluster")
    (home / "kubernetes.yaml").write_text("image: lab/nightloom\nadapt: {minimum: 1, maximum: 5}\n")
    made = make("kubernetes")
    assert made.adapted == {"minimum": 1, "maximum": 5}
    assert made.options["image"] == "lab/nightloom"
    assert made.options["worker_command"][1:3] == ["--resources", f"GPU={DEPTH}"]
    assert made.options["env"]["OMP_NUM_THREADS"]


@pytest.mark.parametrize(
    ("kind", "module", "cls"),
    [("slurm", "dask_jobqueue", "SLURMCluster"), ("kubernetes", "dask_kubernetes.operator", "KubeCluster")],
)
def test_a_file_may_override_every_default_but_must_exist(home, library, kind, module, cls):
    library(module.split(".")[0], "Other")
    library(module, cls)
    with pytest.raises(BadInputError, match=f"a {kind} cluster needs its options in .*{kind}.yaml"):
        make(kind)
    (home / f"{kind}.yaml").write_text("worker_command: mine\n")
    assert make(kind).options["worker_command"] == "mine"
    assert make(kind).scaled == 1


def test_a_tls_scheduler_gets_our_certificates(home, monkeypatch):
    seen = {}
    monkeypatch.setattr("distributed.security.Security", lambda **options: seen.update(options))
    _cluster._security("tls://scheduler:8786")
    assert seen["require_encryption"] is True
    assert seen["tls_ca_file"] == str(home / "certs" / "ca.pem")
    assert _cluster._security("tcp://scheduler:8786") is None


def test_cores_of_this_machine_work_and_the_scheduler_can_be_joined(home, monkeypatch):
    """One real cluster: local, a thread and a GPU resource for each tile a worker holds, used again when open, joined by its address."""
    from distributed import Client
    from distributed.client import default_client

    monkeypatch.setattr(_cluster, "cores", lambda: 1)
    with cluster("cpu") as client:
        assert default_client() is client
        with cluster("cuda") as same:  # an open one is used again
            assert same is client
        with pytest.raises(ValueError, match="the flow's own"), cluster():
            raise ValueError("the flow's own")
        (worker,) = client.scheduler_info(n_workers=-1)["workers"].values()
        assert worker["nthreads"] == DEPTH
        assert worker["resources"] == {"GPU": DEPTH}
        assert "127.0.0.1" in client.scheduler.address
        assert client.submit(environment, "OMP_NUM_THREADS").result() == "1"
        with Client(client.scheduler.address, set_as_default=False) as other:
            assert other.submit(sum, [1, 2]).result() == 3
    with pytest.raises(ValueError, match="No client"):
        default_client()


def environment(name):
    import os

    return os.environ.get(name)
