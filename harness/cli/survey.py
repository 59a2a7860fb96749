"""What the sets of a long run hold, said on stderr before it starts; `--check` stops there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import typer

from harness.cli.output import say
from harness.cli.progress import Report, remark
from harness.errors import InputError

if TYPE_CHECKING:
    from corpora.loader import Pair


def look_over(
    sets: Mapping[str, Sequence[Pair]], above: int, check: bool, report: Report, going_on: bool = False
) -> None:
    """Print one line about each set, by its name; mask pixels above `above` are foreground.

    Raises `InputError` for sets with pairs that the run would refuse, if it came to them, unless it is `going_on`
    without those. With `check` pictures are decoded too, all sets are looked at first, and the command ends here: exit
    code 0, 1 or 2, as `Survey.code` says.
    """
    from corpora.survey import survey

    found = [survey(name, pairs, above, check, partial(report, f"looking at {name}")) for name, pairs in sets.items()]
    for one in found:
        if check or one.code:
            say(str(one), to_stderr=True)
        else:
            remark(str(one))
    if check:
        raise typer.Exit(max(one.code for one in found))
    for one in found:
        if one.refused and not going_on:
            more = f" (and {len(one.refused) - 1:,} more)" if len(one.refused) > 1 else ""
            raise InputError(f"{one.name}: {one.refused[0]}{more}")
