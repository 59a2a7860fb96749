"""Whether an encoder gives the same bytes twice: asked in fresh processes whose new memory holds different rubbish.

A process that begins with pages of zeros hides an encoder that reads memory nobody wrote; `MALLOC_PERTURB_` does not.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from harness.errors import HarnessError, InputError
from harness.files import scratch_folder
from harness.media.programs import running
from harness.roi.encoders import find_encoder
from harness.roi.encoders.base import Settings
from harness.roi.proof import encode_probe, stream_digest
from harness.roi.remux import carrier_of

UNSTEADY = "did not give the same bytes"
FILLS = ("0", "85", "170")  # what glibc writes into memory that it gives out


def repeats(names: Iterable[str], settings: Settings = Settings()) -> dict[str, bool]:
    """By encoder, whether a short input, plain and steered, became the same stream three times.

    Raises `HarnessError` when an encode fails.
    """
    return dict(_repeats(tuple(sorted(set(names))), settings))


@functools.cache
def _repeats(names: tuple[str, ...], settings: Settings) -> dict[str, bool]:
    found = [_digests(names, settings, fill) for fill in FILLS]
    return {name: len({digests[name] for digests in found}) == 1 for name in names}


def unsteady_note(names: Iterable[str], settings: Settings = Settings()) -> tuple[str, ...]:
    """A line for the notes of whoever used encoders that do not repeat; none when all do."""
    found = [name for name, same in repeats(names, settings).items() if not same]
    return (f"{' and '.join(found)} {UNSTEADY} for the same input: a rerun may differ.",) if found else ()


def _digests(names: tuple[str, ...], settings: Settings, fill: str) -> dict[str, str]:
    asked = json.dumps([names, dataclasses.asdict(settings)])
    env = {"MALLOC_PERTURB_": fill, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with running([sys.executable, "-m", __name__, asked], env, stdout=subprocess.PIPE) as child:
        told, said = child.communicate()
    if child.returncode:
        words = said.decode("utf-8", "replace").strip().splitlines() or ["it said nothing"]
        raise HarnessError(f"the probe of {', '.join(names)} failed: {words[-1]}")
    digests: dict[str, str] = json.loads(told)
    return digests


def _answer(asked: str) -> None:
    """Runs in the child: print the digests of what it was asked for."""
    names, given = json.loads(asked)
    settings = Settings(**{**given, "options": tuple(map(tuple, given["options"]))})
    digests = {}
    with scratch_folder() as folder:
        for name in names:
            encoder = find_encoder(name)
            outs = [Path(folder, f"{name}-{side}{carrier_of(encoder.suffixes)}") for side in ("plain", "left")]
            for out in outs:
                encode_probe(encoder, settings, int(out.stem.endswith("left")), out)
            digests[name] = " ".join(map(stream_digest, outs))
    print(json.dumps(digests))


if __name__ == "__main__":
    try:
        _answer(sys.argv[1])
    except InputError as error:
        sys.exit(str(error))
