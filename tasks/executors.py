"""Where attempts at tiles are made: in this process, or on the workers of a Dask cluster."""

import logging
import math
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

import psutil

from tasks.attempts import Attempt, TileLostError

log = logging.getLogger("nightloom")

CAPACITY_SECONDS = 10.0
"""How often to look at the cluster's workers and at its scheduler."""

RECORD_SECONDS = 60.0
"""How long the record of a finished tile may take to come, a few bytes; a scheduler started anew never sends it."""

PATIENCE_SECONDS = 150.0
"""How long a client may be without its scheduler; Dask itself gives up before that, unless its attempt broke off."""

USABLE = 0.8
"""The part of a worker's free memory that its tiles are planned for."""

POOL = 0.7
"""The part of a GPU's memory that its pool takes (`flows._cluster`)."""

FULL = 0.5
"""A worker whose memory was filled to this part by the tiles it holds gets one at a time."""

Result = tuple[Attempt, Any]
"""An attempt, and what came of it: what the function returned, or the exception it raised."""


class Here:
    """One attempt at a time, in this process: ``function(attempt, *args)``."""

    devices = 1

    def __init__(self, function: Callable[..., Any], *args: Any) -> None:
        self.function, self.args = function, args
        self.waiting: list[Attempt] = []

    @property
    def busy(self) -> bool:
        """Whether an attempt was submitted whose result was not taken yet."""
        return bool(self.waiting)

    @property
    def has_room(self) -> bool:
        """Whether one more may be submitted now."""
        return not self.waiting

    @property
    def tile_memory(self) -> float:
        """Bytes that a tile may need."""
        return USABLE * psutil.virtual_memory().available

    @property
    def ready(self) -> bool:
        """Whether a result waits to be taken: never, since an attempt is made when its result is asked for."""
        return False

    def submit(self, attempt: Attempt) -> None:
        """Take one attempt."""
        self.waiting.append(attempt)

    def next(self) -> Result:
        """The next result, in the order in which they come."""
        attempt = self.waiting.pop()
        try:
            return attempt, self.function(attempt, *self.args)
        except Exception as error:  # noqa: BLE001 - a tile's failure is data: it is retried or reported with its index
            return attempt, error

    def weigh(self, peak_bytes: int) -> None:
        """Nothing follows from how much memory a tile took: there is one at a time."""

    def close(self) -> None:
        """Leave nothing running."""
        self.waiting.clear()


def _free(worker: dict[str, Any]) -> float:
    """Bytes that a worker can still use where it computes: of its GPU's pool, or of its limit."""
    if total := (worker.get("gpu") or {}).get("memory-total"):
        return POOL * total
    limit = worker["memory_limit"] or float("inf")
    return max(limit - worker.get("metrics", {}).get("memory", 0), limit / 4)


class OnCluster:
    """The same on Dask workers; a few more than there are threads are in flight, so that none waits for the driver.

    A worker that declares two ``GPU`` slots holds two tiles, one that computes and one that is read or written, as long as
    its memory is large enough.
    """

    def __init__(self, client: Any, function: Callable[..., Any], *args: Any, patience: float = math.inf) -> None:
        self.client, self.function, self.args = client, function, args
        self.patience = patience  # how long tiles may wait for a worker where there is none [s]
        self.flying: dict[Any, Attempt] = {}
        self.landed: SimpleQueue[Any] = SimpleQueue()
        self.connected = self.staffed = time.monotonic()
        self.one_at_a_time = False
        self._measure()

    def _measure(self) -> None:
        """How many tiles may be in flight, and what they ask of a worker; workers of a queued cluster come and go."""
        known = self.client.scheduler_info(n_workers=-1)
        self._refuse_lost("workers" in known)
        if self.client.status == "running":
            self.connected = time.monotonic()
        self._refuse_lost(time.monotonic() - self.connected < PATIENCE_SECONDS)
        workers = known["workers"].values()
        self.threads = sum(worker["nthreads"] for worker in workers)
        self.room = max(1, self.threads) + max(2, self.threads // 2)
        # A cluster that someone else started may not declare it; its tiles would wait for ever.
        slots = [worker["resources"].get("GPU", 0) for worker in workers] or [1]
        self.demand = {"GPU": max(slots) if self.one_at_a_time else 1} if any(slots) else None
        self.devices = len(workers) or 1
        self.memory = min((worker["memory_limit"] or float("inf") for worker in workers), default=float("inf"))
        self.tile_memory = USABLE * min((_free(w) / self._held(w) for w in workers), default=float("inf"))
        self.measured = time.monotonic()
        if workers or not self.flying:
            self.staffed = self.measured
        self._refuse_deserted(self.measured - self.staffed)

    def _held(self, worker: dict[str, Any]) -> float:
        """Tiles that a worker holds at a time."""
        return 1 if self.one_at_a_time else worker["resources"].get("GPU", 0) or worker["nthreads"]

    @property
    def busy(self) -> bool:
        """Whether anything is in flight."""
        return bool(self.flying)

    @property
    def has_room(self) -> bool:
        """Whether one more may be submitted now."""
        if time.monotonic() - self.measured > CAPACITY_SECONDS:
            self._measure()
        return len(self.flying) < self.room

    @property
    def ready(self) -> bool:
        """Whether a result waits to be taken."""
        return not self.landed.empty()

    def submit(self, attempt: Attempt) -> None:
        """Send one attempt to a worker."""
        self._refuse_lost(self.client.status not in ("closing", "closed"))
        future = self.client.submit(self.function, attempt, *self.args, pure=False, resources=self.demand)
        self.flying[future] = attempt
        future.add_done_callback(self.landed.put)

    @staticmethod
    def _refuse_lost(there: bool) -> None:
        """Dask's client waits for a scheduler that is restarted; once it has given up, no tile will ever come back."""
        if not there:
            raise ConnectionError(
                "the Dask scheduler was lost and did not come back; start it and then the same command again, "
                "which does only the tiles that are missing"
            )

    def _refuse_deserted(self, seconds: float) -> None:
        """Dask's workers end with their scheduler: one started in its place has none, and would keep the tiles for ever."""
        if seconds > self.patience:
            raise ConnectionError(
                f"the Dask cluster has had no worker for {seconds:.0f} s; start one (dask worker "
                f"{self.client.scheduler.address} --resources GPU=1) and then the same command again, which does only "
                "the tiles that are missing"
            )

    def weigh(self, peak_bytes: int) -> None:
        """Let workers hold one tile at a time from now on, if two have filled half of the smallest one's memory."""
        if not self.one_at_a_time and peak_bytes > FULL * self.memory:
            self.one_at_a_time = True
            self._measure()

    def next(self) -> Result:
        """The next result, in the order in which they come."""
        future = self._arrival()
        attempt = self.flying.pop(future)
        if future.status in ("cancelled", "pending"):
            return attempt, TileLostError("the Dask scheduler lost this tile")
        try:
            return attempt, future.result(timeout=RECORD_SECONDS)
        except Exception as error:  # noqa: BLE001 - as above; a finished tile's record may also be lost with its worker
            return attempt, error

    def _arrival(self) -> Any:
        """A future that is done, or one that the client has forgotten: nothing would ever come of it."""
        while True:
            try:
                future = self.landed.get(timeout=CAPACITY_SECONDS)
            except Empty:
                self._measure()
                if not self.threads:
                    log.warning("no worker is connected to %s; the tiles wait for one", self.client.scheduler.address)
                if forgotten := next((f for f in self.flying if f.key not in self.client.futures), None):
                    return forgotten
            else:
                if future in self.flying:  # else it was thought forgotten, and its tile sent again
                    return future

    def close(self) -> None:
        """Leave nothing running."""
        with suppress(Exception):  # the cluster may be gone already; there is then nothing to cancel
            self.client.cancel(list(self.flying), force=True)
        self.flying.clear()
