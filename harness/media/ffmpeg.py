"""The FFmpeg program: find it, ask it what it can do, run it so that it never outlives or hangs its caller."""

from __future__ import annotations

import functools
import logging
import os
import queue
import re
import shutil
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import ffmpeg
import imageio_ffmpeg

from harness.errors import HarnessError, InputError
from harness.media.programs import ask, kill, running

Stream = Any  # of ffmpeg-python, which has no types
STALL_SECONDS = 300.0
RETRY_SECONDS = 60.0  # until a program that failed is asked again: it may have been the moment
BITEXACT = {"fflags": "+bitexact"}  # a container without random ids: equal content is an equal file
_EMPTY_WORDS = re.compile(
    r"Conversion failed!|Exiting .*|Error while filtering.*|.*Terminating thread.*|"
    r"(\[AVFilterGraph\] )?Error initializing filters|Error : .*|Error opening (input|output) files?: .*"
)

log = logging.getLogger(__name__)
_passed_over: dict[str, float] = {}  # programs that failed, and the time from which on to ask them again


@dataclass(frozen=True)
class FFmpeg:
    """One FFmpeg program: `version` is its own word, `found` says where it was found."""

    path: Path
    version: str
    found: str

    @functools.cached_property
    def encoders(self) -> frozenset[str]:
        """Names of its video encoders."""
        return frozenset(
            re.findall(r"^ V[.A-Z]{5} (\S+)", ask([self.path, "-hide_banner", "-encoders"]), re.MULTILINE)
        ) - {"="}

    @functools.cached_property
    def filters(self) -> frozenset[str]:
        """Names of its filters."""
        return frozenset(
            re.findall(r"^ [.A-Z|]{2,3} (\S+) +\S*->", ask([self.path, "-hide_banner", "-filters"]), re.MULTILINE)
        )

    def knows(self, option: str) -> bool:
        """Whether this FFmpeg has an option, such as `-content_light`."""
        return re.search(rf"^{option}\b", ask([self.path, "-hide_banner", "-h", "long"]), re.MULTILINE) is not None

    def require(self, *, encoder: str | None = None, filter: str | None = None) -> None:
        """`InputError` when this FFmpeg lacks a named encoder or filter."""
        for kind, name, known in (("encoder", encoder, self.encoders), ("filter", filter, self.filters)):
            if name and name not in known:
                raise InputError(
                    f"{self.path} ({self.version}) has no {kind} {name!r} (set HARNESS_FFMPEG to one that has)"
                )

    def run(
        self,
        args: Sequence[str | Path],
        *,
        progress: Callable[[int], None] | None = None,
        total: int | None = None,
        timeout: float | None = STALL_SECONDS,
        env: dict[str, str] | None = None,
        stop: threading.Event | None = None,
    ) -> str:
        """Run with `args` to the end and return what it wrote on stderr (warnings and errors).

        `progress` is called with the number of frames written so far, at most `total`. `timeout` is how many
        seconds it may go without writing anything more; `stop`, set by another thread, ends it early.
        Raises `HarnessError` with FFmpeg's own last words when it fails, is killed or hangs; on any way out,
        Ctrl-C included, the whole process group is gone.
        """
        command = [str(self.path), "-hide_banner", "-nostdin", "-loglevel", "level+warning", "-y"]
        command += ["-progress", "pipe:1", "-nostats", *map(str, args)]
        with running(command, env, subprocess.PIPE) as child:
            words = _watch(child, progress, total, timeout, stop)
        if child.returncode:
            raise HarnessError(f"FFmpeg {_fate(child.returncode)}: {last_words(words)}")
        return "\n".join(words)


def find_ffmpeg() -> FFmpeg:
    """`HARNESS_FFMPEG`, else the one on PATH if it works and has libvmaf, else the one inside imageio-ffmpeg.

    A warning names the one on PATH when it does not work. Raises `InputError` when `HARNESS_FFMPEG` names something
    that is not FFmpeg.
    """
    named, on_path = os.environ.get("HARNESS_FFMPEG"), shutil.which("ffmpeg")
    if named:
        path = shutil.which(named)
        if not path:
            raise InputError(f"HARNESS_FFMPEG={named}: no such program")
        return _introduce(Path(path), "HARNESS_FFMPEG")
    if on_path and time.monotonic() >= _passed_over.get(on_path, 0):
        try:
            candidate = _introduce(Path(on_path), "PATH")
            if "libvmaf" in candidate.filters:
                return candidate
        except InputError as error:
            if on_path not in _passed_over:
                log.warning("harness: %s: using the FFmpeg of imageio-ffmpeg (HARNESS_FFMPEG names another)", error)
            _passed_over[on_path] = time.monotonic() + RETRY_SECONDS
    return _introduce(Path(imageio_ffmpeg.get_ffmpeg_exe()), "imageio-ffmpeg")


@functools.cache
def _introduce(path: Path, found: str) -> FFmpeg:
    match = re.match(r"ffmpeg version (\S+)", ask([path, "-version"]))
    if not match:
        raise InputError(f"{path} ({found}) does not answer -version as FFmpeg does")
    return FFmpeg(path, match[1], found)


def url(path: Path | str) -> str:
    """A file's name as FFmpeg takes it for one, whatever colons, dashes or percent signs it holds."""
    return f"file:{path}"


def arguments(*outputs: Stream) -> list[str]:
    """The words of one FFmpeg command line for ffmpeg-python's `outputs`, every value escaped as its place wants.

    >>> grey = ffmpeg.input("color=gray", f="lavfi").filter("libvmaf", log_path="a:b.json")
    >>> arguments(grey.output("-", f="null"))[5]
    '[0]libvmaf=log_path=a\\\\\\\\:b.json[s0]'
    """
    words: list[str] = ffmpeg.get_args(ffmpeg.merge_outputs(*outputs))
    return words


def filters_of(frames: Stream) -> str:
    """The filters of a stream that comes from one input, as one chain without the names of the links between them.

    >>> filters_of(ffmpeg.input("a.y4m").filter("hflip").filter("trim", end_frame=2))
    'hflip,trim=end_frame=2'
    """
    words = arguments(frames.output("-", f="null"))
    graph = next(word for option, word in pairwise(words) if option.endswith("_complex"))
    return re.sub(r"\[[^\]]*\]", "", graph).replace(";", ",")


def last_words(lines: Iterable[str]) -> str:
    """The first and the last error of FFmpeg's stderr that say something: the cause and the end, without addresses."""
    said = [re.sub(r" @ 0x[0-9a-f]+", "", line).strip() for line in lines]
    errors = [line for line in said if re.search(r"\[error]|\[fatal]|^libvmaf ERROR", line)] or said
    bare = [re.sub(r"\[(error|fatal|warning)\] ?", "", line) for line in errors]
    telling = [line for line in bare if line and not _EMPTY_WORDS.fullmatch(line)]
    return " | ".join(dict.fromkeys([*telling[:1], *telling[-1:]])) or "it said nothing"


def _watch(
    child: subprocess.Popen[bytes],
    progress: Callable[[int], None] | None,
    total: int | None,
    timeout: float | None,
    stop: threading.Event | None,
) -> deque[str]:
    """Follow stdout (progress) and stderr until the child ends; raise when nothing advances for `timeout` seconds."""
    assert child.stdout and child.stderr
    words: deque[str] = deque(maxlen=200)
    reports: queue.Queue[str | None] = queue.Queue()
    readers = [
        threading.Thread(target=_drain, args=(child.stderr, words.append), daemon=True),
        threading.Thread(target=_drain, args=(child.stdout, reports.put, True), daemon=True),
    ]
    for reader in readers:
        reader.start()
    seen: dict[str, str] = {}
    deadline = time.monotonic() + timeout if timeout else None
    while True:
        wait = max(0.0, deadline - time.monotonic()) if deadline else None
        try:
            line = reports.get(timeout=wait)
        except queue.Empty:
            kill(child)
            frame = seen.get("frame", "0")
            said = f"; it said: {last_words(words)}" if words else ""
            raise HarnessError(
                f"FFmpeg hung: nothing new for {timeout:g} s after frame {frame}, killed{said}"
            ) from None
        if line is None:
            break
        if stop and stop.is_set():
            raise HarnessError("FFmpeg was stopped")
        name, _, value = line.partition("=")
        if name in ("frame", "out_time_us", "total_size") and seen.get(name) != value:
            seen[name] = value
            deadline = time.monotonic() + timeout if timeout else None
            if progress and name == "frame" and value.isdecimal():
                progress(min(int(value), total) if total else int(value))
    try:
        child.wait(timeout)
    except subprocess.TimeoutExpired:
        raise HarnessError(f"FFmpeg hung: closed its output and did not end within {timeout:g} s, killed") from None
    readers[0].join(5)
    return words


def _drain(stream: Iterable[bytes], take: Callable[..., None], mark_end: bool = False) -> None:
    for line in stream:
        take(line.decode("utf-8", "replace").rstrip())
    if mark_end:
        take(None)


def _fate(code: int) -> str:
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"failed (exit code {code})"
