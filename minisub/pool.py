"""Jobs over several processes, with progress, and without orphans when the parent is killed."""

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

from minisub.store import MinisubError

CORES = os.cpu_count() or 1
THREADS = 2  # for one job alone: more gain nothing at this size
Tick = Callable[[], None]  # called at each piece of work that is done

_ticks: Any = None  # in a worker: where it reports progress


def run(
    job: Callable[..., Any], items: Sequence[int], workers: int | None, tick: Tick
) -> list[Any]:
    """[job(item, tick=...) for item in items], in order, in processes of one thread each.

    A job that cannot be sent to another process, such as one with a lambda or with a function of a
    notebook, runs in threads here. A single item, if no number of workers is given, gets two
    threads of torch. The first error ends the other processes at once.
    """
    alone = workers is None and len(items) == 1
    workers = min(workers or CORES, len(items))
    if workers <= 1:
        with threads(min(CORES, THREADS) if alone else 1):  # torch gives other threads no second
            return [job(item, tick=tick) for item in items]
    if not can_travel(job):
        return _in_threads(lambda item: job(item, tick=tick), items, workers)
    context = mp.get_context("spawn")  # fork is not safe with torch's threads
    ticks, (stop, alive) = context.SimpleQueue(), context.Pipe(duplex=False)
    listener = threading.Thread(target=_listen, args=(ticks, tick), daemon=True)
    listener.start()
    with ProcessPoolExecutor(workers, context, _start, (ticks, stop)) as executor:
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
            ticks.put(False)
            listener.join()


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    """So many of torch's meanwhile, and as many as before afterwards, for this thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def spread(job: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
    """[job(item) for item in items], by as many threads as torch has here, with one each.

    For jobs of few and large operations, which leave the interpreter to the others; they give the
    same numbers by however many threads.
    """
    workers = min(torch.get_num_threads(), len(items))
    return [job(i) for i in items] if workers <= 1 else _in_threads(job, items, workers)


def _in_threads(job: Callable[[Any], Any], items: Sequence[Any], workers: int) -> list[Any]:
    """torch remembers the last number that any thread has set, and this one wants its own back."""
    with (
        threads(torch.get_num_threads()),
        ThreadPoolExecutor(workers, "", torch.set_num_threads, (1,)) as executor,
    ):
        return list(executor.map(job, items))


class _Traveller(pickle.Pickler):
    """Refuses what lives in `__main__`: another process need not have it (notebooks do not)."""

    def reducer_override(self, thing: Any) -> Any:
        if getattr(thing, "__module__", None) == "__main__":
            raise pickle.PicklingError(f"{thing} is of this process's own script")
        return NotImplemented


def can_travel(job: Any) -> bool:
    """Whether another process can be sent this."""
    try:
        _Traveller(io.BytesIO()).dump(job)
    except (pickle.PicklingError, AttributeError, TypeError):
        return False
    return True


def executor(workers: int) -> tuple[ProcessPoolExecutor, Callable[[], None]]:
    """Processes of one thread each, which end with this one; and what ends them at once."""
    context = mp.get_context("spawn")
    stop, alive = context.Pipe(duplex=False)
    return ProcessPoolExecutor(workers, context, _start, (None, stop)), alive.close


def _listen(ticks: Any, tick: Tick) -> None:
    while ticks.get():
        tick()


def _start(ticks: Any = None, *stops: Any) -> None:
    global _ticks
    _ticks = ticks
    torch.set_num_threads(1)  # for models this small a process a core beats threads
    parent = mp.parent_process()
    assert parent is not None

    def follow() -> None:
        wait([parent.sentinel, *stops])
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _work(job: Callable[..., Any], item: int) -> Any:
    return job(item, tick=lambda: _ticks.put(True))
