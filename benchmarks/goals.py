"""Every speed and memory goal in one table, each ratio measured side by side in this run.

python -m benchmarks.goals --oracle ORACLE-PYTHON --root CORPORA --vmaf VMAF --beside TREE --out results/speed

What is not given is not measured, and its row says so. ORACLE-PYTHON is the interpreter of an environment with
`pysodmetrics` (tests/oracle/measures_pysodmetrics.py), CORPORA holds `ecssd` and `duts-te`, VMAF is the fork's own tool
with `mobilesal`, TREE another checkout, such as one of an earlier commit, whose extractor takes turns with this one's.
`--limit` evaluates fewer images, and the row scales their time to the whole set; `--only` picks groups.
Run it on an idle machine: turns cancel a steady load, not a changing one.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.extractor import picture
from benchmarks.measures_speed import compare
from corpora.loader import load_pairs
from harness.cells import markdown
from harness.jobs.provenance import code_of, processor_name, this_command
from harness.media.ffmpeg import find_ffmpeg
from harness.media.y4m import write_y4m
from harness.metrics.loops import compiled
from harness.models.registry import find_model
from harness.saliency import loops
from harness.tables import Table, write_table

HERE = Path(__file__).parents[1]
FULL_HD, SMALL = (1920, 1080), (640, 360)
OURS, NEWEST = "saliency_student_v3", "saliency_student_v5"
DRAWN_FOR = "saliency_student_v4"  # which finds a region in the clip that is drawn here; v5 finds none
LIMIT_MIB = 310

# A process of its own, of this tree or another: milliseconds of wall and of processor time a frame.
EXTRACT = """
import json, sys, time
from harness.media.open import open_clip
from harness.models.session import load_model
from harness.saliency.feature import extract
clip, model = open_clip(sys.argv[1]), load_model(sys.argv[2])
for _ in range(int(sys.argv[3])):
    for _ in zip(range(3), extract(clip, [model])): pass
wall, cpu = time.perf_counter(), time.process_time()
frames = sum(1 for _ in extract(clip, [model]))
print(json.dumps([(time.perf_counter() - wall) / frames * 1e3, (time.process_time() - cpu) / frames * 1e3]))
"""

COMPILES = 20  # times three frames of 1080p, after which the extractor's conversion is compiled where numba is

# As small as can be: a process's peak counts what it was forked from.
PEAK = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)
sys.exit(code)
"""


@dataclass(frozen=True)
class Asked:
    """What to measure against what."""

    oracle: Path | None
    root: Path | None
    vmaf: Path | None
    beside: Path | None
    limit: int | None
    turns: int
    frames: int


Row = dict[str, object]


def row(what: str, goal: str, ours: str = "", other: str = "", ratio: float | None = None) -> Row:
    """A line of the table."""
    return {"what": what, "ours": ours, "against": other, "ratio": ratio, "goal": goal}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--oracle", type=Path)
    parser.add_argument("--root", type=Path)
    parser.add_argument("--vmaf", type=Path)
    parser.add_argument("--beside", type=Path)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--only", nargs="+", choices=GROUPS, default=list(GROUPS))
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    asked = Asked(*(getattr(given, name) for name in ("oracle", "root", "vmaf", "beside", "limit", "turns", "frames")))
    rows = [found for name in given.only for found in GROUPS[name](asked)]
    table = Table(
        "speed.goals",
        "goals",
        "Goals of speed and memory",
        pd.DataFrame(rows),
        this_command(),
        {file.name: file.sha256 for file in map(find_model, (OURS, "saliency_student_v2", NEWEST, DRAWN_FOR))},
        code=code_of("benchmarks.goals"),
        notes=(f"{asked.turns} turns, {asked.frames} frames; {processor_name()}.",),
    )
    print(markdown(table.rows))
    if given.out:
        write_table(table, given.out)


def measures(asked: Asked) -> Iterator[Row]:
    """The full set of measures against PySODMetrics', which computes fewer."""
    names = ("first map of an image", "further maps of an image")
    if asked.oracle is None or asked.root is None:
        yield from (
            row(name, goal, "needs --oracle and --root") for name, goal in zip(names, ("10", "20"), strict=True)
        )
        return
    masks = [pair.mask for pair in load_pairs("ecssd", asked.root)][:100]
    found = compare(str(asked.oracle), masks)
    for way in (way for way in ("arrays", "numba") if way in found.ours):
        for name, seconds, goal in zip(names, found.ours[way], ("10", "20"), strict=True):
            ours, theirs = f"{seconds * 1e3:.2f} ms", f"{found.theirs * 1e3:.2f} ms, PySODMetrics"
            yield row(f"measures, {name}, {way}", goal, ours, theirs, found.theirs / seconds)


def evaluation(asked: Asked) -> Iterator[Row]:
    """`harness eval` of two students on DUTS-TE from the command line, tables and intervals included."""
    what, goal = "DUTS-TE end to end, v3 and v2, two processes", "35 s"
    if asked.root is None:
        yield row(what, goal, "needs --root")
        return
    whole = len(load_pairs("duts-te", asked.root))
    count = min(whole, asked.limit or whole)
    words = ["eval", "--corpus", "duts-te", "--root", asked.root, "--working-size", "256", "--workers", "2"]
    words += ["--model", OURS, "--model", "saliency_student_v2"]

    def measured(images: int) -> tuple[float, int]:
        with tempfile.TemporaryDirectory() as scratch:
            return peak_of([*words, "--limit", images, "--out", scratch])

    (seconds, peak), note = measured(count), ""
    if count < whole:  # the start counts once
        few = count // 4
        seconds += (seconds - measured(few)[0]) / (count - few) * (whole - count)
        note = f", from {few} and {count} images"
    yield row(what, goal, f"{seconds:.0f} s, {peak} MiB{note}", "the goal", 35 / seconds)


def extractor(asked: Asked) -> Iterator[Row]:
    """The whole extractor against the fork's own tool, another checkout, and student against student."""
    for size, model, goal in ((FULL_HD, OURS, "1"), (SMALL, "saliency_student_v2", "1.2")):
        with tempfile.TemporaryDirectory() as scratch:
            clip = clip_of(Path(scratch), size, asked.frames)
            name = f"extractor, {find_model(model).name}, {size[0]}x{size[1]}"
            ours = partial(extracted, HERE, clip, model)
            if asked.vmaf is None:
                yield row(f"{name}, native", goal, "needs --vmaf, a tool with mobilesal")
            else:
                other = partial(native, asked.vmaf, clip, model, asked.frames)
                yield from turns(f"{name}, native", goal, asked.turns, ours, other)
            if asked.beside is not None:
                other = partial(extracted, asked.beside.resolve(), clip, model)
                yield from turns(f"{name}, {asked.beside}", "", asked.turns, ours, other)
    with tempfile.TemporaryDirectory() as scratch:
        clip = clip_of(Path(scratch), FULL_HD, asked.frames)
        for way, warm in (("arrays", 1), ("numba", COMPILES)) if compiled(loops.planes) else (("arrays", 1),):
            ours, other = (partial(extracted, HERE, clip, model, warm) for model in (NEWEST, OURS))
            yield from turns(f"extractor, {NEWEST} against v3, 1920x1080, {way}", "1.2", asked.turns, ours, other)


def turns(
    what: str, goal: str, count: int, ours: Callable[[], Sequence[float]], other: Callable[[], Sequence[float]]
) -> Iterator[Row]:
    """One extractor and another alternately: a row for wall time and one for processor time."""
    found = [(ours(), other()) for _ in range(count)]
    for place, clock in enumerate(("wall", "processor")):
        taken, theirs = (statistics.median(pair[side][place] for pair in found) for side in (0, 1))
        ratio = statistics.median(there[place] / here[place] for here, there in found)
        yield row(f"{what}, {clock}", goal, f"{taken:.1f} ms a frame", f"{theirs:.1f} ms a frame", ratio)


def extracted(tree: Path, clip: Path, model: str, warm: int = 1) -> list[float]:
    """Milliseconds of wall and processor time a frame, by a checkout's code; three frames go before, `warm` times."""
    command = [sys.executable, "-c", EXTRACT, str(clip), model, str(warm)]
    return json.loads(subprocess.run(command, cwd=tree, capture_output=True, text=True, check=True).stdout)


def native(vmaf: Path, clip: Path, model: str, frames: int) -> list[float]:
    """The same of the fork's tool: what a frame adds between a short run and the whole."""

    def run(count: int) -> tuple[float, float]:
        words = [vmaf, "-r", clip, "-d", clip, "-n", "--frame_cnt", count, "--json", "-o", clip.with_suffix(".json")]
        words += ["--feature", f"mobilesal=model_path={find_model(model).path}"]
        timed = "import resource,subprocess,sys,time;t=time.perf_counter();subprocess.run(sys.argv[1:],check=True);"
        timed += "r=resource.getrusage(resource.RUSAGE_CHILDREN);print(time.perf_counter()-t,r.ru_utime+r.ru_stime)"
        command = [sys.executable, "-c", timed, *map(str, words)]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        return float(said[-2]), float(said[-1])

    short, whole = run(frames // 4), run(frames)
    return [(b - a) / (frames - frames // 4) * 1e3 for a, b in zip(short, whole, strict=True)]


def demo(asked: Asked) -> Iterator[Row]:
    """`harness demo` in an empty folder, as `make demo` runs it after installation."""
    with tempfile.TemporaryDirectory() as scratch:
        seconds, peak = peak_of(["demo", "--out", Path(scratch, "demo")])
    yield row("harness demo", "25 s", f"{seconds:.1f} s, {peak} MiB", "the goal", 25 / seconds)


def memory(asked: Asked) -> Iterator[Row]:
    """The largest process of each command at 1080p, FFmpeg's own included; x264 alone beside what encodes."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        clip, encoded = clip_of(folder, FULL_HD, asked.frames), folder / "plain.mkv"
        plain = [find_ffmpeg().path, "-v", "error", "-i", clip, "-c:v", "libx264", "-crf", "30", encoded]
        alone = peak_of([], plain)[1]
        paired = [find_ffmpeg().path, "-v", "error", "-i", encoded, "-i", clip, "-lavfi", "libvmaf=n_threads=2"]
        measured = peak_of([], [*paired, "-f", "null", "-"])[1]
        steer = ["--crf", "30", "--model", OURS, "-o", folder / "out.mkv"]
        rates = [word for crf in (24, 28, 32, 36) for word in ("--crf", crf)]
        sweep = ["--video", encoded, "--reference", DRAWN_FOR, "--model", OURS, *rates, "--frames", "6"]
        commands: dict[str, list[object]] = {
            "score": ["score", clip, encoded, "--model", OURS],
            "roi-encode": ["roi-encode", encoded, *steer],
            "roi-sweep": ["roi-sweep", *sweep, "--store", folder / "jobs", "--out", folder / "tables"],
        }
        for name, words in commands.items():
            peak = peak_of(words)[1]
            other = f"{measured} MiB, VMAF in FFmpeg alone"
            other = f"{alone} MiB, x264 alone" if name == "roi-encode" else other
            yield row(f"memory of {name}, 1920x1080", f"{LIMIT_MIB} MiB", f"{peak} MiB", other, LIMIT_MIB / peak)


def peak_of(words: Sequence[object], command: Sequence[object] = ()) -> tuple[float, int]:
    """Seconds of a `harness` command, or another, and MiB of the largest process that it started."""
    command = command or [sys.executable, "-m", "harness", *words]
    started = time.perf_counter()
    run = [sys.executable, "-S", "-c", PEAK, *map(str, command)]
    done = subprocess.run(run, cwd=HERE, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 3):  # 3: what a demonstration's few clips leave open
        raise SystemExit(f"exit {done.returncode}: {' '.join(map(str, command))}")
    return time.perf_counter() - started, int(done.stdout)


def clip_of(folder: Path, size: tuple[int, int], frames: int) -> Path:
    """A moving y4m of noise over a gradient."""
    still, path = picture(*size), folder / f"{size[0]}x{size[1]}.y4m"
    write_y4m(path, (replace(still, y=np.roll(still.y, 3 * number, 1)) for number in range(frames)), Fraction(25))
    return path


GROUPS: dict[str, Callable[[Asked], Iterator[Row]]] = {
    "measures": measures,
    "extractor": extractor,
    "evaluation": evaluation,
    "demo": demo,
    "memory": memory,
}

if __name__ == "__main__":
    main()
