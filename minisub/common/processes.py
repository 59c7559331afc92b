"""Run jobs over several processes, with progress, and leave no process behind.

For models this small, one process per core with one thread each is faster than threads.
"""

import contextlib
import io
import multiprocessing as mp
import os
import pickle
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import Any

import torch

from minisub.common.files import MinisubError

N_CORES = os.cpu_count() or 1
MAX_THREADS = 2  # of one job alone: more gain nothing at this size
OnProgress = Callable[[], None]  # called at each piece of work that is done

_progress_queue: Any = None  # in a worker: where it reports progress


def no_progress() -> None:
    """Do nothing: no reports of progress are wanted."""


def run_jobs(
    job: Callable[..., Any], items: Sequence[int], workers: int | None, on_progress: OnProgress
) -> list[Any]:
    """Return [job(item, on_progress=...) for item in items], computed in several processes.

    A job that cannot be sent to another process, such as one with a lambda or with a function of a
    notebook, runs in threads here. The first error ends the other processes at once.

    Args:
        job: A function of an item, with a keyword argument `on_progress`.
        items: Its arguments.
        workers: How many processes, of one thread each; None for one per core. A single item then
            runs here, with two threads of torch.
        on_progress: Called here whenever a job calls its own.

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
    context = mp.get_context("spawn")  # fork is not safe with torch's threads
    reports, (stop, alive) = context.SimpleQueue(), context.Pipe(duplex=False)
    listener = threading.Thread(target=_listen, args=(reports, on_progress), daemon=True)
    listener.start()
    with ProcessPoolExecutor(workers, context, _start_worker, (reports, stop)) as executor:
        try:
            futures = [executor.submit(_work, job, item) for item in items]
            for future in as_completed(futures):
                future.result()
            return [future.result() for future in futures]
        except BrokenProcessPool:
            alive.close()
            raise MinisubError(
                "a process died: for lack of memory (what is done is kept, the same command goes "
                "on), or in a script without `if __name__ == '__main__':`"
            ) from None
        except BaseException:
            alive.close()  # which every worker sees
            executor.shutdown(wait=False, cancel_futures=True)
            raise
        finally:
            reports.put(False)
            listener.join()


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


class _StrictPickler(pickle.Pickler):
    """Refuse what lives in `__main__`: another process need not have it (notebooks do not)."""

    def reducer_override(self, thing: Any) -> Any:
        if getattr(thing, "__module__", None) == "__main__":
            raise pickle.PicklingError(f"{thing} is of this process's own script")
        return NotImplemented


def can_be_sent(job: Any) -> bool:
    """Return whether another process can be sent this."""
    try:
        _StrictPickler(io.BytesIO()).dump(job)
    except (pickle.PicklingError, AttributeError, TypeError):
        return False
    return True


def process_pool(workers: int) -> tuple[ProcessPoolExecutor, Callable[[], None]]:
    """Return processes of one thread each, which end with this one, and a function to end them."""
    context = mp.get_context("spawn")
    stop, alive = context.Pipe(duplex=False)
    return ProcessPoolExecutor(workers, context, _start_worker, (None, stop)), alive.close


def _listen(reports: Any, on_progress: OnProgress) -> None:
    while reports.get():
        on_progress()


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


def _work(job: Callable[..., Any], item: int) -> Any:
    return job(item, on_progress=lambda: _progress_queue.put(True))
