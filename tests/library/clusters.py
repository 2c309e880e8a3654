"""Real Dask clusters on loopback for tests: a scheduler here, every worker a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import dask
from distributed import Client, LocalCluster

#: Nothing of Dask's own may show in the tests' output, and a lost worker is noticed at once.
QUIET = {
    "distributed.admin.tick.interval": "1h",
    "distributed.worker.memory.terminate": False,
    "distributed.scheduler.allowed-failures": 2,
}


@contextmanager
def local_cluster(workers: int = 2, threads: int = 1) -> Iterator[SimpleNamespace]:
    """Start a cluster; `client` and the scheduler's `address`."""
    with (
        dask.config.set(QUIET),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=threads,
            processes=True,
            dashboard_address="127.0.0.1:0",
            host="127.0.0.1",
            silence_logs=50,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield SimpleNamespace(client=client, cluster=cluster, address=cluster.scheduler_address)
