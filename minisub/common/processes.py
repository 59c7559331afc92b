"""Run jobs over several processes, with progress, and leave no process behind.

For models this small, one process per core with one thread each is faster than threads.
"""

import contextlib
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor
from concurrent.futures import wait as futures_wait
from typing import Any

import cloudpickle
import torch

from minisub.common.files import MinisubError

# The cores that this process may use, which a container or a cluster can make fewer.
N_CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
MAX_THREADS = 2  # of one job alone: more gain nothing at this size
POLL_SECONDS = 0.1  # between two looks at what the processes report
OnProgress = Callable[[], None]  # called at each piece of work that is done


def no_progress() -> None:
    """Do nothing: no reports of progress are wanted."""


def run_jobs(
    job: Callable[..., Any], items: Sequence[int], workers: int | None, on_progress: OnProgress
) -> list[Any]:
    """Return [job(item, on_progress=...) for item in items], computed in several processes.

    Functions of a script or a notebook go with the job. A job that cannot be sent to another
    process, as it holds an open file or the like, runs in threads here. The first error ends other
    processes at once; threads that have begun run to the end of their job.

    Args:
        job: A function of an item, with a keyword argument `on_progress`.
        items: Its arguments.
        workers: How many processes, of one thread each; None for one per core. A single item then
            runs here, with two threads of torch.
        on_progress: Called whenever a job calls its own: in this thread, or in the job's thread
            where jobs run in threads.

    Raises:
        MinisubError: A process died.
    """
    alone = workers is None and len(items) == 1
    workers = min(workers or N_CORES, len(items))
    if workers <= 1:
        with torch_threads(min(N_CORES, MAX_THREADS) if alone else 1):
            return [job(item, on_progress=on_progress) for item in items]
    if not can_be_sent(job):
        return _in_threads(lambda item: job(item, on_progress=on_progress), items, workers)
    # Browsers have no processes, and not the modules that start them.
    from minisub.common.process_pool import BrokenProcessPool, ProcessPool, work

    with ProcessPool(workers) as pool:
        try:
            futures = [pool.submit(work, job, item) for item in items]
            pending = set(futures)
            while pending:
                done, pending = futures_wait(pending, POLL_SECONDS, FIRST_COMPLETED)
                pool.pass_on(on_progress)
                for future in done:
                    future.result()
            pool.pass_on(on_progress)
            return [future.result() for future in futures]
        except BrokenProcessPool:
            pool.end_now()
            raise MinisubError(
                "a process died, for lack of memory perhaps; what is done is kept, the same "
                "command goes on"
            ) from None
        except BaseException:
            pool.end_now()
            raise


@contextlib.contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Give torch `count` threads in this thread, and as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def map_threads(job: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
    """Return [job(item) for item in items], by as many threads as torch has, with one each.

    For jobs of few and large operations, which leave the interpreter to the others. They give the
    same numbers by any number of threads.

    Args:
        job: A function of an item.
        items: Its arguments.
    """
    workers = min(torch.get_num_threads(), len(items))
    return [job(i) for i in items] if workers <= 1 else _in_threads(job, items, workers)


def _in_threads(job: Callable[[Any], Any], items: Sequence[Any], workers: int) -> list[Any]:
    # What a thread sets becomes torch's number for all: put the old one back afterwards.
    with (
        torch_threads(torch.get_num_threads()),
        ThreadPoolExecutor(workers, "", torch.set_num_threads, (1,)) as executor,
    ):
        return list(executor.map(job, items))


def can_be_sent(job: Any) -> bool:
    """Return whether another process can be sent this."""
    try:
        cloudpickle.dumps(job)
    except (pickle.PicklingError, AttributeError, TypeError, RuntimeError):
        return False
    return True
