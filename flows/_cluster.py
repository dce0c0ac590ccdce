"""The one cluster of a flow: GPUs where there are any, else this machine's cores; or one that exists elsewhere.

Every worker declares ``GPU`` resources, also where they stand for a core, so that the same annotations hold everywhere: two,
one for the tile that computes and one for the tile that is read or written meanwhile (`storage.turns`).
"""

import logging
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from storage.errors import BadInputError
from storage.settings import settings

log = logging.getLogger("nightloom")

DEPTH = 2
"""Tiles a worker holds: while one computes, the next is read and decoded, or the last encoded and written."""

KINDS = ("auto", "cpu", "cuda", "slurm", "kubernetes", "tcp://host:port", "tls://host:port")

DASK = {
    # A tile that kills its worker is given a second worker and then reported, instead of killing them all.
    "distributed.scheduler.allowed-failures": 1,
    "distributed.comm.timeouts.connect": "60s",
    "distributed.worker.daemon": True,
}


@contextmanager
def cluster(kind: str | None = None) -> Iterator[Any]:
    """Open the cluster that `NIGHTLOOM_CLUSTER` names and make it the default; an open one is used again."""
    import dask.config
    from distributed.client import Client

    if (client := _open_client()) is not None:
        yield client
        return
    kind = kind or settings().cluster
    # Dask tells of every worker that comes and goes; a person wants to hear only of what is wrong.
    logging.getLogger("distributed").setLevel(logging.ERROR)
    with dask.config.set(DASK | {"distributed.nanny.pre-spawn-environ": _worker_environment()}):
        if kind.startswith(("tcp://", "tls://")):
            with Client(kind, security=_security(kind)) as client:
                yield client
            return
        with _device_slots(kind), _closed_at_last(make(kind)) as made, Client(made) as client:
            log.info("cluster: %d workers", len(client.nthreads()))  # pyright: ignore[reportArgumentType] - a dict
            yield client


def _open_client() -> Any:
    from distributed.client import default_client

    try:
        return default_client()
    except ValueError:
        return None


@contextmanager
def _closed_at_last(made: Any) -> Iterator[Any]:
    """Close the cluster; a worker that is slow to end on a busy machine must not fail the run whose work is done."""
    try:
        yield made
    finally:
        try:
            made.close()
        except (TimeoutError, OSError) as error:
            log.warning("the cluster was slow to close (%s); its processes end with this one", type(error).__name__)


def _device_slots(kind: str) -> AbstractContextManager[Any]:
    """This machine's GPUs for one flow run at a time: two pools would not fit into one device's memory."""
    if kind not in ("auto", "cuda") or not gpu_count() or "PREFECT__FLOW_RUN_ID" not in os.environ:
        return nullcontext()
    from prefect.concurrency.sync import concurrency

    return concurrency("gpu", occupy=gpu_count())


def make(kind: str) -> Any:
    """Start a cluster of this kind."""
    if kind == "auto":
        kind = "cuda" if gpu_count() else "cpu"
    makers = {"cpu": _cpu, "cuda": _cuda, "slurm": _slurm, "kubernetes": _kubernetes}
    if kind not in makers:
        raise BadInputError(f"NIGHTLOOM_CLUSTER is {kind!r}; choose one of {', '.join(KINDS)}")
    return makers[kind]()


def gpu_count() -> int:
    """How many GPUs answer here; asked without starting CUDA in this process."""
    from distributed.diagnostics import nvml

    try:
        return nvml.device_get_count()
    except (OSError, RuntimeError):
        return 0


def expected_workers() -> int:
    """How many workers the cluster of these settings will have: GPUs or cores of this machine, where it is elsewhere too."""
    return gpu_count() or cores() if settings().cluster != "cpu" else cores()


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cpu() -> Any:
    from distributed import LocalCluster

    return LocalCluster(
        n_workers=cores(),
        threads_per_worker=DEPTH,
        resources={"GPU": DEPTH},
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        local_directory=str(settings().home / "dask"),
        silence_logs=logging.ERROR,
    )


def _cuda() -> Any:
    from dask_cuda import LocalCUDACluster

    return LocalCUDACluster(
        threads_per_worker=DEPTH,
        resources={"GPU": DEPTH},
        rmm_pool_size=0.7,
        pre_import="cupy",
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        local_directory=str(settings().home / "dask"),
        # CuPy takes its memory from the same RMM pool as everything else on the worker.
        preload=["flows._gpu_worker"],
    )


def _slurm() -> Any:
    from dask_jobqueue import SLURMCluster  # pyright: ignore[reportPrivateImportUsage] - its documented home

    exports = [f"export {name}={value}" for name, value in _worker_environment().items()]
    defaults = {"worker_extra_args": ["--resources", f"GPU={DEPTH}"], "job_script_prologue": exports}
    return _scaled(partial(SLURMCluster, **defaults), "slurm")


def _kubernetes() -> Any:
    from dask_kubernetes.operator import KubeCluster

    # Without the declaration every tile would wait for ever for a worker that may take it.
    command = ["dask-worker", "--resources", f"GPU={DEPTH}", "--nthreads", str(DEPTH)]
    return _scaled(partial(KubeCluster, worker_command=command, env=_worker_environment()), "kubernetes")


def _scaled(start: Any, name: str) -> Any:
    """A cluster with the options of ``<home>/<name>.yaml``: constructor arguments, and ``workers`` or ``adapt``."""
    import yaml

    path = Path(settings().home) / f"{name}.yaml"
    if not path.exists():
        raise BadInputError(
            f"a {name} cluster needs its options in {path}; copy deployments/examples/{name}.yaml there and edit it"
        )
    options = yaml.safe_load(path.read_text()) or {}
    workers, adapt = options.pop("workers", 1), options.pop("adapt", None)
    made = start(**options)
    if adapt:
        made.adapt(**adapt)
    else:
        made.scale(workers)
    return made


def _worker_environment() -> dict[str, str]:
    """Environment of every worker that is started here; LocalCUDACluster has no argument for it, Dask's settings have."""
    # One tile per worker: libraries that start threads of their own would fight over the same cores.
    threads = str(max(1, cores() // gpu_count()) if gpu_count() else 1)
    names = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return dict.fromkeys(names, threads) | {
        "NUMBA_THREADING_LAYER": "omp",
        "PREFECT_LOGGING_TO_API_ENABLED": "false",
        # A tile's error is reported once, by the stage, with the tile's index.
        "DASK_LOGGING__DISTRIBUTED": "critical",
        # Whole tiles go back to the system when they are freed, so that a worker's size tells what it uses. Strips and chunks
        # are kept for the next ones, in one place for all threads and in pages of 2 MB: pages given back and asked for again
        # were a third of the time of denoising.
        "MALLOC_ARENA_MAX": "1",
        "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
        "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
        "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
    }


def _security(address: str) -> Any:
    """Certificates for a ``tls://`` scheduler, made by `nightloom certs`."""
    if address.startswith("tcp://"):
        return None
    from distributed.security import Security

    folder = settings().home / "certs"
    return Security(
        tls_ca_file=str(folder / "ca.pem"),
        tls_client_cert=str(folder / "client.pem"),
        tls_client_key=str(folder / "client.key"),
        require_encryption=True,
    )
