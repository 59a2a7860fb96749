"""Jobs on a running dask cluster."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from functools import partial
from typing import Any

from harness.errors import HarnessError, InputError, LostError

ANSWER_SECONDS = 10
_LOUD = ("distributed", "distributed.client")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Call:
    """Pickled, what runs when it is loaded: a worker without this project then fails at the task, not at its mail."""

    call: Callable[[], Any]

    def __reduce__(self) -> tuple[Callable[[], Any], tuple[()]]:
        return self.call, ()


class DaskExecutor(Executor):
    """A `concurrent.futures` face on a dask scheduler; a call whose scheduler is lost fails by `LostError`.

    Raises `HarnessError` when no scheduler answers.
    """

    elsewhere = True

    def __init__(self, address: str) -> None:
        try:
            from distributed import Client
        except ImportError as error:
            raise InputError("executor dask needs distributed (pip install 'mobilesal-harness[dask]')") from error
        self._address = address
        self._levels = {name: logging.getLogger(name).level for name in _LOUD}
        for name in _LOUD:  # a lost scheduler is told once, by us
            logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            self._client = Client(f"tcp://{address}", timeout=ANSWER_SECONDS, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise HarnessError(f"no dask scheduler answers at {address} within {ANSWER_SECONDS} s") from error
        if not self._client.scheduler_info(n_workers=-1)["workers"]:
            log.warning("harness: the dask scheduler at %s has no worker yet: waiting for one", address)
        self._inner = self._client.get_executor(pure=False)

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        inner = self._inner.submit(pickle.loads, pickle.dumps(_Call(partial(function, *args, **kwargs))))
        outer = Future[Any]()

        def tell(done: Future[Any]) -> None:
            if not outer.set_running_or_notify_cancel():
                return
            if done.cancelled():  # not by us
                outer.set_exception(LostError(f"the dask scheduler at {self._address} is lost"))
            elif isinstance(error := done.exception(), ModuleNotFoundError):
                outer.set_exception(HarnessError(f"a dask worker lacks code: {error} (install there what is here)"))
            elif error:
                outer.set_exception(error)
            else:
                outer.set_result(done.result())

        outer.add_done_callback(lambda done: inner.cancel() if done.cancelled() else None)
        inner.add_done_callback(tell)
        return outer

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._inner.shutdown(wait=wait)
        self._client.close()  # the executor leaves it open, and it would go on looking for a scheduler that has ended
        for name, level in self._levels.items():
            logging.getLogger(name).setLevel(level)
