"""The one family of errors; only the command line turns it into a stderr line and an exit code."""

from __future__ import annotations

import threading


class HarnessError(Exception):
    """Something ran and failed. The message says what was found and what is allowed, in one line."""

    exit_code = 1


class InputError(HarnessError):
    """Bad usage or bad input: a missing, truncated, mismatched or unsupported file, name or option."""

    exit_code = 2


class InconclusiveError(HarnessError):
    """The work ran, but its evidence decides nothing either way."""

    exit_code = 3


class LostError(HarnessError):
    """The place where work was done is gone; what was done stands."""


def threads_stay_silent() -> None:
    """From now on no error of a thread is told: whoever stops takes away what its threads read from."""
    threading.excepthook = lambda told: None
