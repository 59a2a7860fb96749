"""Programs whose own libvmaf knows `mobilesal`: found by asking them to run it, never by their version."""

from __future__ import annotations

import os
import re
import select
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from threading import Event
from typing import BinaryIO, Protocol

import ffmpeg
import numpy as np

from harness.errors import HarnessError, InputError
from harness.files import scratch_folder
from harness.media.ffmpeg import FFmpeg, Stream, arguments, last_words, url
from harness.media.frames import Frame
from harness.media.pairing import Input
from harness.media.programs import running
from harness.media.y4m import write_y4m
from harness.quality.libvmaf import PairedInput, read_log

COLUMN = "saliency_mean"
MODEL_VARIABLE = "VMAF_MOBILESAL_MODEL_PATH"  # a path in a feature option must not hold a colon; this may
_KEPT = 1 << 16  # bytes of what a program said
NAMES = ("vmaf-cli", "ffmpeg-native", "embedded")


class NativeExtractor(Protocol):
    """A program that can compute `saliency_mean` by itself."""

    @property
    def name(self) -> str:
        """Its name among `NAMES`."""

    def refusal(self, model: Path) -> str | None:
        """Run `model` on two small frames; why that fails, or None when it works."""

    def means(
        self, paired: PairedInput, model: Path, timeout: float | None, stop: Event | None = None
    ) -> dict[int, float]:
        """`saliency_mean` of the distorted side, by frame number.

        `timeout` is how many seconds the program may go without progress; `stop`, set by another thread, ends it.
        """


@dataclass(frozen=True)
class VmafProgram:
    """The fork's `vmaf` tool, at `path`."""

    path: Path
    ffmpeg: FFmpeg
    name: str = "vmaf-cli"

    def refusal(self, model: Path) -> str | None:
        """See `NativeExtractor`."""
        with scratch_folder() as scratch:
            clip = _probe_clip(Path(scratch))
            try:
                self._score(clip, model, Path(scratch, "log.json"), range(2), 1, 60)
            except HarnessError as error:
                return str(error)
        return None

    def means(
        self, paired: PairedInput, model: Path, timeout: float | None, stop: Event | None = None
    ) -> dict[int, float]:
        """See `NativeExtractor`; the tool reads y4m only, so FFmpeg writes one first."""
        with scratch_folder() as scratch:
            clip = Path(scratch, "distorted.y4m")
            first, count = paired.first_distorted, paired.count
            cut = paired.distorted.video().filter("trim", start_frame=first, end_frame=first + count)
            written = cut.output(url(clip), f="yuv4mpegpipe", strict=-1, fps_mode="passthrough")
            self.ffmpeg.run(arguments(written), timeout=timeout, stop=stop)
            log = Path(scratch, "log.json")
            return self._score(clip, model, log, paired.scored, paired.every, timeout, stop)

    def _score(
        self,
        clip: Path,
        model: Path,
        log: Path,
        frames: Sequence[int],
        every: int,
        timeout: float | None,
        stop: Event | None = None,
    ) -> dict[int, float]:
        # only the distorted side is read, and -n skips the VMAF model
        command: list[str | Path] = [
            self.path,
            "-r",
            clip,
            "-d",
            clip,
            "-n",
            "--feature",
            "mobilesal",
            "--json",
            "-o",
            log,
        ]
        command += ["--subsample", str(every)] if every > 1 else []
        _run(command, {MODEL_VARIABLE: str(model)}, timeout, stop)
        if not log.exists():
            raise HarnessError(f"{self.path.name} ended well and wrote no log")
        return _column(log, frames)


@dataclass(frozen=True)
class NativeFFmpeg:
    """An FFmpeg linked against the fork's libvmaf."""

    ffmpeg: FFmpeg
    name: str = "ffmpeg-native"

    def refusal(self, model: Path) -> str | None:
        """See `NativeExtractor`."""
        with scratch_folder() as scratch:
            clip = _probe_clip(Path(scratch))
            try:
                self._score(Input(clip).video(), model, Path(scratch), range(2), 1, 60)
            except HarnessError as error:
                return str(error)
        return None

    def means(
        self, paired: PairedInput, model: Path, timeout: float | None, stop: Event | None = None
    ) -> dict[int, float]:
        """See `NativeExtractor`; the distorted side serves as both inputs."""
        first, count = paired.first_distorted, paired.count
        cut = paired.distorted.video().filter("trim", start_frame=first, end_frame=first + count)
        with scratch_folder() as scratch:
            return self._score(cut, model, Path(scratch), paired.scored, paired.every, timeout, stop)

    def _score(
        self,
        frames: Stream,
        model: Path,
        scratch: Path,
        numbers: Sequence[int],
        every: int,
        timeout: float | None,
        stop: Event | None = None,
    ) -> dict[int, float]:
        self.ffmpeg.require(filter="libvmaf")
        log = scratch / "log.json"
        options = {"feature": "name=mobilesal", "log_fmt": "json", "log_path": log, "n_subsample": every}
        sides = frames.split()
        scored = ffmpeg.filter([sides[0], sides[1]], "libvmaf", **options)
        env = {MODEL_VARIABLE: str(model)}
        self.ffmpeg.run(arguments(scored.output("-", f="null")), timeout=timeout, env=env, stop=stop)
        return _column(log, numbers)


def choose(asked: str, ffmpeg: FFmpeg, model: Path) -> tuple[NativeExtractor | None, str]:
    """The native extractor to use, or None for the embedded one, and the reason in words.

    `asked` is `auto` or one of `NAMES`. `auto` takes the first that runs `model`. Raises `InputError` when the one
    asked for does not.
    """
    if asked not in ("auto", *NAMES):
        raise InputError(f"unknown back end {asked!r} (allowed: auto, {', '.join(NAMES)})")
    if asked == "embedded":
        return None, "asked for"
    reasons = []
    for name, extractor, absent in _candidates(ffmpeg):
        if asked not in ("auto", name):
            continue
        refusal = absent if extractor is None else extractor.refusal(model)
        if refusal is None:
            return extractor, "asked for" if asked == name else f"{name} runs mobilesal"
        if asked == name:
            raise InputError(f"back end {name} does not work here: {refusal}")
        reasons.append(f"{name}: {refusal}")
    return None, "; ".join(reasons)


def _candidates(ffmpeg: FFmpeg) -> list[tuple[str, NativeExtractor | None, str]]:
    named = os.environ.get("HARNESS_VMAF", "vmaf")
    found = shutil.which(named)
    program = VmafProgram(Path(found), ffmpeg) if found else None
    return [
        ("vmaf-cli", program, f"no program {named!r} (PATH or HARNESS_VMAF)"),
        ("ffmpeg-native", NativeFFmpeg(ffmpeg), ""),
    ]


def _probe_clip(folder: Path) -> Path:
    grey = np.full((64, 64), 126, np.uint8)
    half = np.full((32, 32), 128, np.uint8)
    path = folder / "probe.y4m"
    write_y4m(path, [Frame(n, n / 25, grey, half, half, "yuv420p", 8, "420") for n in range(2)], Fraction(25))
    return path


def _column(log: Path, frames: Sequence[int]) -> dict[int, float]:
    scores = read_log(log, frames, [COLUMN]).frames
    return {number: values[COLUMN] for number, values in scores.items()}


def _run(command: Sequence[str | Path], env: dict[str, str], timeout: float | None, stop: Event | None) -> None:
    """Run the vmaf tool in a process group of its own, gone on any way out; it may be silent for `timeout` seconds."""
    name = Path(command[0]).name
    screen, terminal = os.openpty()  # the tool counts its frames on a terminal only
    with os.fdopen(screen, "rb", 0) as output, os.fdopen(terminal, "wb", 0) as its_end:
        try:
            with running(command, env, stderr=its_end.fileno()) as child:
                its_end.close()
                said = _watch(child, output, name, timeout, stop)
        except OSError as error:
            raise HarnessError(f"{name} does not run: {error.strerror}") from error
    if child.returncode:
        raise HarnessError(f"{name} failed (exit code {child.returncode}): {last_words(said)}")


def _watch(
    child: subprocess.Popen[bytes], output: BinaryIO, name: str, timeout: float | None, stop: Event | None
) -> list[str]:
    """Follow what the child writes until it ends; its lines, without its counting of frames."""
    said, since = b"", time.monotonic()
    while child.poll() is None:
        new = _written(output, 0.1)
        if new:
            said, since = (said + new)[-_KEPT:], time.monotonic()
        if stop and stop.is_set():
            raise HarnessError(f"{name} was stopped")
        if timeout and time.monotonic() - since > timeout:
            raise HarnessError(f"{name} hung: nothing new for {timeout:g} s, killed")
    while new := _written(output, 0):
        said = (said + new)[-_KEPT:]
    lines = re.split(r"[\r\n]+|\x1b\[K", said.decode("utf-8", "replace"))
    return [line for line in lines if not re.fullmatch(r"\d+ frames? .*FPS", line)]


def _written(output: BinaryIO, seconds: float) -> bytes:
    """What a terminal received, waiting at most so long; nothing once its other end is closed."""
    try:
        return os.read(output.fileno(), _KEPT) if select.select([output], [], [], seconds)[0] else b""
    except OSError:  # how Linux says that the other end is closed
        time.sleep(seconds)
        return b""
