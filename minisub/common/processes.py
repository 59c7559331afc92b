"""Run jobs over several processes, with progress, and leave no process behind.

For models this small, one process per core with one thread each is faster than threads.
"""

import contextlib
import functools
import multiprocessing as mp
import os
import pickle
import sys
import threading
import types
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from concurrent.futures import wait as futures_wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import Any

import cloudpickle
import torch

from minisub.common.files import MinisubError

N_CORES = os.cpu_count() or 1
MAX_THREADS = 2  # of one job alone: more gain nothing at this size
POLL_SECONDS = 0.1  # between two looks at what the processes report
OnProgress = Callable[[], None]  # called at each piece of work that is done

_progress_queue: Any = None  # in a worker: where it reports progress
_main_lock = threading.Lock()


def no_progress() -> None:
    """Do nothing: no reports of progress are wanted."""


def run_jobs(
    job: Callable[..., Any], items: Sequence[int], workers: int | None, on_progress: OnProgress
) -> list[Any]:
    """Return [job(item, on_progress=...) for item in items], computed in several processes.

    Functions of a script or a notebook go with the job. A job that cannot be sent to another
    process, as it holds an open file or the like, runs in threads here. The first error ends the
    other processes at once.

    Args:
        job: A function of an item, with a keyword argument `on_progress`.
        items: Its arguments.
        workers: How many processes, of one thread each; None for one per core. A single item then
            runs here, with two threads of torch.
        on_progress: Called in this thread whenever a job calls its own.

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
    with ProcessPool(workers) as pool:
        try:
            futures = [pool.submit(_work, job, item) for item in items]
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


class ProcessPool(ProcessPoolExecutor):
    """Processes of one thread each, which end with this one.

    Jobs travel by cloudpickle, so they may be functions of a script or a notebook; the script is
    not run again for them, so it needs no `if __name__ == "__main__":`.

    Args:
        workers: How many processes.
    """

    def __init__(self, workers: int) -> None:
        context = mp.get_context("spawn")  # fork is not safe with torch's threads
        stop, self._alive = context.Pipe(duplex=False)
        self._reports = context.SimpleQueue()
        super().__init__(workers, context, _start_worker, (self._reports, stop))

    def submit(self, job: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Start a job in one of the processes, as `concurrent.futures.Executor.submit` does.

        Args:
            job: A function.
            *args: Its arguments.
            **kwargs: Its arguments by name.
        """
        payload = cloudpickle.dumps(functools.partial(job, *args, **kwargs))
        with _without_main():
            return super().submit(_call, payload)

    def pass_on(self, on_progress: OnProgress) -> None:
        """Call `on_progress` once for each report that has come from the processes."""
        while not self._reports.empty():
            self._reports.get()
            on_progress()

    def end_now(self) -> None:
        """End all processes, whatever they are doing."""
        self._alive.close()  # which every worker sees
        self.shutdown(wait=False, cancel_futures=True)


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Hide this process's script: a new process would run it once more to import its functions."""
    with _main_lock:
        before = sys.modules["__main__"]
        sys.modules["__main__"] = types.ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = before


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
    # torch remembers the last number that any thread has set, and this one wants its own back.
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


def _start_worker(reports: Any = None, *stops: Any) -> None:
    global _progress_queue
    _progress_queue = reports
    torch.set_num_threads(1)
    parent = mp.parent_process()
    assert parent is not None

    def follow_parent() -> None:
        wait([parent.sentinel, *stops])
        os._exit(1)

    threading.Thread(target=follow_parent, daemon=True).start()


def _call(payload: bytes) -> Any:
    return pickle.loads(payload)()


def _work(job: Callable[..., Any], item: int) -> Any:
    return job(item, on_progress=lambda: _progress_queue.put(True))
