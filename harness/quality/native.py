"""Programs whose own libvmaf knows `mobilesal`: found by asking them to run it, never by their version."""

from __future__ import annotations

import os
import re
import select
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from threading import Event
from typing import BinaryIO, Protocol

import ffmpeg
import numpy as np

from harness.errors import HarnessError, InputError
from harness.files import scratch_folder
from harness.media.ffmpeg import FFmpeg, Stream, arguments, last_words, url
from harness.media.frames import Frame, pix_fmt_name
from harness.media.pairing import Input
from harness.media.programs import running
from harness.media.y4m import write_y4m
from harness.quality.libvmaf import Log, PairedInput, read_log

COLUMN = "saliency_mean"
MODEL_VARIABLE = "VMAF_MOBILESAL_MODEL_PATH"  # a path in a feature option must not hold a colon; this may
_KEPT = 1 << 16  # bytes of what a program said
NAMES = ("vmaf-cli", "ffmpeg-native", "embedded")


class NativeExtractor(Protocol):
    """A program that can compute `saliency_mean` by itself."""

    @property
    def name(self) -> str:
        """Its name among `NAMES`."""

    @property
    def precise(self) -> bool:
        """Whether its log has every digit; else six decimals."""

    def probe(self, model: Path, frames: Sequence[Frame]) -> Log:
        """`saliency_mean` of frames of one size, 8-bit 4:2:0."""

    def means(self, paired: PairedInput, model: Path, timeout: float | None, stop: Event | None = None) -> Log:
        """`saliency_mean` of the distorted side, by frame number, and the version of the libvmaf that gave it.

        `timeout` is how many seconds the program may go without progress; `stop`, set by another thread, ends it.
        """


@dataclass(frozen=True)
class VmafProgram:
    """The fork's `vmaf` tool, at `path`; `precise` unless it does not know `--precision`."""

    path: Path
    ffmpeg: FFmpeg
    name: str = "vmaf-cli"
    precise: bool = True

    def probe(self, model: Path, frames: Sequence[Frame]) -> Log:
        """See `NativeExtractor`."""
        with scratch_folder() as scratch:
            raw = scratch / "probe.yuv"
            raw.write_bytes(
                b"".join(plane.tobytes() for one in frames for plane in (one.y, one.u, one.v) if plane is not None)
            )
            shape = (frames[0].width, frames[0].height, frames[0].chroma)
            return self._score(raw, shape, model, scratch / "log.json", range(len(frames)), 1, 60)

    def means(self, paired: PairedInput, model: Path, timeout: float | None, stop: Event | None = None) -> Log:
        """See `NativeExtractor`; FFmpeg writes raw planes first: of a y4m, the tool resamples chroma."""
        with scratch_folder() as scratch:
            raw = scratch / "distorted.yuv"
            first, count = paired.first_distorted, paired.count
            cut = paired.distorted.video().filter("trim", start_frame=first, end_frame=first + count)
            # one range on both sides of the format filter: else FFmpeg converts full samples to limited ones
            as_they_are = cut.filter("setparams", range="pc").filter("format", pix_fmts=pix_fmt_name(8, paired.chroma))
            written = as_they_are.output(url(raw), f="rawvideo", fps_mode="passthrough")
            self.ffmpeg.run(arguments(written), timeout=timeout, stop=stop)
            shape = (paired.width, paired.height, paired.chroma)
            return self._score(raw, shape, model, scratch / "log.json", paired.scored, paired.every, timeout, stop)

    def _score(
        self,
        raw: Path,
        shape: tuple[int, int, str],
        model: Path,
        log: Path,
        frames: Sequence[int],
        every: int,
        timeout: float | None,
        stop: Event | None = None,
    ) -> Log:
        width, height, chroma = shape
        # only the distorted side is read, and -n skips the VMAF model
        command: list[str | Path] = [self.path, "-r", raw, "-d", raw, "-w", str(width), "-h", str(height)]
        command += ["-p", chroma, "-b", "8", "-n", "--feature", "mobilesal", "--json", "-o", log]
        command += ["--precision", "max"] if self.precise else []
        command += ["--subsample", str(every)] if every > 1 else []
        said = _run(command, {MODEL_VARIABLE: str(model)}, timeout, stop)
        words = f"; {self.path.name} ended well and said: {last_words(said)}"
        if not log.exists():
            raise HarnessError(f"{self.path.name} wrote no log{words}")
        try:
            return read_log(log, frames, [COLUMN])
        except HarnessError as error:
            raise HarnessError(f"{error}{words}") from error


@dataclass(frozen=True)
class NativeFFmpeg:
    """An FFmpeg linked against the fork's libvmaf."""

    ffmpeg: FFmpeg
    name: str = "ffmpeg-native"
    precise: bool = False  # the filter has no such option

    def probe(self, model: Path, frames: Sequence[Frame]) -> Log:
        """See `NativeExtractor`."""
        with scratch_folder() as scratch:
            clip = scratch / "probe.y4m"
            write_y4m(clip, frames, Fraction(25))
            return self._score(Input(clip).video(), model, scratch, range(len(frames)), 1, 60)

    def means(self, paired: PairedInput, model: Path, timeout: float | None, stop: Event | None = None) -> Log:
        """See `NativeExtractor`; the distorted side serves as both inputs."""
        first, count = paired.first_distorted, paired.count
        cut = paired.distorted.video().filter("trim", start_frame=first, end_frame=first + count)
        with scratch_folder() as scratch:
            return self._score(cut, model, scratch, paired.scored, paired.every, timeout, stop)

    def _score(
        self,
        frames: Stream,
        model: Path,
        scratch: Path,
        numbers: Sequence[int],
        every: int,
        timeout: float | None,
        stop: Event | None = None,
    ) -> Log:
        self.ffmpeg.require(filter="libvmaf")
        log = scratch / "log.json"
        options = {"feature": "name=mobilesal", "log_fmt": "json", "log_path": log, "n_subsample": every}
        sides = frames.split()
        scored = ffmpeg.filter([sides[0], sides[1]], "libvmaf", **options)
        env = {MODEL_VARIABLE: str(model)}
        self.ffmpeg.run(arguments(scored.output("-", f="null")), timeout=timeout, env=env, stop=stop)
        return read_log(log, numbers, [COLUMN])


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
        usable, why = (None, absent) if extractor is None else _usable(extractor, model)
        if usable is not None:
            return usable, ("asked for" if asked == name else f"{name} runs mobilesal") + why
        if asked == name:
            raise InputError(f"back end {name} does not work here: {why}")
        reasons.append(f"{name}: {why}")
    return None, "; ".join(reasons)


def _candidates(ffmpeg: FFmpeg) -> list[tuple[str, NativeExtractor | None, str]]:
    named = os.environ.get("HARNESS_VMAF", "vmaf")
    found = shutil.which(named)
    program = VmafProgram(Path(found), ffmpeg) if found else None
    return [
        ("vmaf-cli", program, f"no program {named!r} (PATH or HARNESS_VMAF)"),
        ("ffmpeg-native", NativeFFmpeg(ffmpeg), ""),
    ]


def _usable(extractor: NativeExtractor, model: Path) -> tuple[NativeExtractor | None, str]:
    """What scores two small frames, and with what it has to do without; None and why where nothing does."""
    refusal = _refusal(extractor, model)
    if refusal is None:
        return extractor, ""
    if isinstance(extractor, VmafProgram):
        without = replace(extractor, precise=False)
        if _refusal(without, model) is None:
            return without, f", to six decimals, as it does not take --precision max ({refusal})"
    return None, refusal


def _refusal(extractor: NativeExtractor, model: Path) -> str | None:
    """Why two small frames are not scored, or None when they are."""
    try:
        extractor.probe(model, probe_frames(64, 64))
    except HarnessError as error:
        return str(error)
    return None


def probe_frames(width: int, height: int) -> list[Frame]:
    """Two 8-bit 4:2:0 frames with something to see."""
    down, across = np.mgrid[:height, :width]
    chroma = np.full((-(-height // 2), -(-width // 2)), 128, np.uint8)
    lumas = [(16 + (across * 5 + down * 3 + 40 * number) % 200).astype(np.uint8) for number in range(2)]
    return [Frame(n, n / 25, luma, chroma, chroma, "yuv420p", 8, "420") for n, luma in enumerate(lumas)]


def _run(command: Sequence[str | Path], env: dict[str, str], timeout: float | None, stop: Event | None) -> list[str]:
    """Run the vmaf tool in a process group of its own, gone on any way out, silent for `timeout` seconds at most.

    Returns what it said.
    """
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
    return said


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
    uncoloured = re.sub(r"\x1b\[[0-9;]*m", "", said.decode("utf-8", "replace"))
    lines = re.split(r"[\r\n]+|\x1b\[K", uncoloured)
    return [line for line in lines if not re.fullmatch(r"\d+ frames? .*FPS", line)]


def _written(output: BinaryIO, seconds: float) -> bytes:
    """What a terminal received, waiting at most so long; nothing once its other end is closed."""
    try:
        return os.read(output.fileno(), _KEPT) if select.select([output], [], [], seconds)[0] else b""
    except OSError:  # how Linux says that the other end is closed
        time.sleep(seconds)
        return b""
