"""Input that comes through a pipe, kept in a file for as long as it is read: it is read more than once."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import HarnessError, InputError
from harness.files import scratch_folder

STDIN = Path("-")
Y4M = b"YUV4MPEG2 "


@contextmanager
def on_disk(path: Path, raw: bool = False, announce: Callable[[str], None] = lambda line: None) -> Iterator[Path]:
    """Yield `path`, or where it is `-` or a FIFO, a temporary file of all that comes out of it.

    `raw` says that it is raw video; `announce` hears where it is kept. Raises `InputError` when nothing comes or it
    cannot be read, `HarnessError` when the disk does not hold it.
    """
    if path != STDIN and not path.is_fifo():
        yield path
        return
    what = "standard input" if path == STDIN else str(path)
    with scratch_folder() as folder:
        kept = Path(folder, "pipe")
        announce(f"{what} is kept in {folder} while it is encoded")
        try:
            with sys.stdin.buffer if path == STDIN else path.open("rb") as source, kept.open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
        except OSError as error:
            raise HarnessError(f"keeping {what} in {folder} failed: {error.strerror or error}") from error
        if not kept.stat().st_size:
            raise InputError(f"nothing came through {what} (allowed: a video file, y4m or raw YUV)")
        with kept.open("rb") as stream:
            y4m = stream.read(len(Y4M)) == Y4M
        yield kept.rename(kept.with_suffix(".y4m" if y4m else ".yuv" if raw else path.suffix or ".mkv"))
