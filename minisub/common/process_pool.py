"""Processes that jobs are sent to. Not for browsers, which have none."""

import contextlib
import functools
import multiprocessing as mp
import os
import pickle
import sys
import threading
import types
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import Any

import cloudpickle
import torch

__all__ = ["BrokenProcessPool", "ProcessPool", "work"]

_progress_queue: Any = None  # in a worker: where it reports progress
_main_lock = threading.Lock()


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

    def pass_on(self, on_progress: Callable[[], None]) -> None:
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


def _start_worker(reports: Any, stop: Any) -> None:
    global _progress_queue
    _progress_queue = reports
    torch.set_num_threads(1)
    parent = mp.parent_process()
    assert parent is not None

    def follow_parent() -> None:
        wait([parent.sentinel, stop])
        os._exit(1)

    threading.Thread(target=follow_parent, daemon=True).start()


def _call(payload: bytes) -> Any:
    return pickle.loads(payload)()


def work(job: Callable[..., Any], item: int) -> Any:
    """Do a job in a process of the pool, with reports of its progress.

    Args:
        job: A function of an item, with a keyword argument `on_progress`.
        item: Its argument.
    """
    return job(item, on_progress=lambda: _progress_queue.put(True))
