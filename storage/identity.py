"""Who computed a run: the code, the software around it, the machine and the process."""

import os
import platform
import socket
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from storage.digest import digest_files, digest_json

ROOT = Path(__file__).parents[1]
PACKAGES = ("deployments", "flows", "tasks", "storage")


@dataclass(frozen=True)
class Code:
    """The commit, whether the working tree differs from it, and the digest of the sources that actually run."""

    commit: str | None
    dirty: bool
    version: str


@cache
def code() -> Code:
    """The code of this process. ``version`` covers uncommitted changes: it is computed from the sources themselves."""
    sources = [p for name in PACKAGES for p in (ROOT / name).rglob("*.py")]
    return Code(
        _git("rev-parse", "HEAD") or None, bool(_git("status", "--porcelain", *PACKAGES)), digest_files(sources)[0]
    )


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


@cache
def environment() -> dict:
    """Row of the software environment: Python, platform, lock file, installed packages; ``id`` is its digest."""
    lock = ROOT / "requirements.lock"
    found = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "lock_digest": digest_files([lock])[0] if lock.exists() else None,
        "packages": _packages(),
    }
    return {"id": digest_json(found), **found}


def _packages() -> dict[str, str]:
    """Installed packages by the names of their folders: reading each one's metadata takes half a second."""
    folders = [folder for entry in sys.path for folder in Path(entry or ".").glob("*.dist-info")]
    return dict(folder.stem.rsplit("-", 1) for folder in reversed(folders) if "-" in folder.stem)


@cache
def devices() -> list[str]:
    """What this machine computes on: its processor and cores, and its GPUs by name."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return [f"{cores} cores {platform.processor() or platform.machine()}", *_gpus()]


def _gpus() -> list[str]:
    try:
        import pynvml
    except ImportError:
        return []
    try:
        pynvml.nvmlInit()
        return [
            str(pynvml.nvmlDeviceGetName(pynvml.nvmlDeviceGetHandleByIndex(i)))
            for i in range(pynvml.nvmlDeviceGetCount())
        ]
    except pynvml.NVMLError:  # no driver here
        return []


@dataclass(frozen=True)
class Process:
    """A process that can be told from every other, also after a reboot or when its number is used again."""

    host: str
    boot_id: str
    pid: int
    started: float


@cache
def this_process() -> Process:
    """The identity of this process."""
    return Process(socket.gethostname(), boot_id(), os.getpid(), _started(os.getpid()) or 0.0)


@cache
def boot_id() -> str:
    """A name for the time since this machine's last start, and for the process numbers that are ours to see."""
    if given := os.environ.get("NIGHTLOOM_BOOT_ID"):  # lets a test be two machines
        return given
    path = Path("/proc/sys/kernel/random/boot_id")
    if path.exists():
        # Two containers may share a host name and a kernel; what is process 7 in one is another one in the other.
        return f"{path.read_text().strip()}-{Path('/proc/self/ns/pid').stat().st_ino}"
    import psutil

    return str(int(psutil.boot_time()))


def is_alive(process: Process) -> bool | None:
    """Whether ``process`` still runs; None when it belongs to another machine or start, where nobody here can tell."""
    if (process.host, process.boot_id) != (socket.gethostname(), boot_id()):
        return None
    started = _started(process.pid)
    return started is not None and abs(started - process.started) < 1.0


def _started(pid: int) -> float | None:
    """When the process began; None when it is gone, or dead and only waits for its parent to notice.

    Linux counts in ticks since its start, so that a clock set back makes no live process look like another one.
    """
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return None if fields[0] in "ZX" else float(fields[19])
    import psutil

    try:
        found = psutil.Process(pid)
        return None if found.status() == psutil.STATUS_ZOMBIE else found.create_time()
    except psutil.NoSuchProcess:
        return None


def flow_run_id() -> str | None:
    """Prefect's id of the flow run around us, if there is one."""
    if sys.modules.get("prefect") is None:
        return os.environ.get("PREFECT__FLOW_RUN_ID")
    from prefect.runtime import flow_run

    return flow_run.id


def through_server() -> bool:
    """Whether this process was started by a Prefect worker, on behalf of someone at the UI, the API or a schedule."""
    return "PREFECT__FLOW_RUN_ID" in os.environ
