"""Three commands on one clip with human masks: plain FFmpeg, `roi-encode`, `roi-encode --strength auto`, side by side.

Run with: `python -m benchmarks.three_commands CLIP MASKS --model saliency_student_v4 [--crf 28] [--out FOLDER]`

CLIP and MASKS are folders of pictures, as DAVIS-2016 has them. Each command line is run as it stands. Beside its bytes
stand what they buy: VMAF of the whole frame, PSNR-Y in the mask, and how many more bytes plain FFmpeg takes for that
(finer CRFs in steps of a half, until the mask is as good).
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from corpora.loader import ClipPair, clip_digest
from harness.cells import markdown
from harness.errors import HarnessError
from harness.jobs.provenance import code_of
from harness.media.ffmpeg import find_ffmpeg
from harness.media.open import open_clip
from harness.media.pairing import Input
from harness.models.sources import find_source
from harness.quality.libvmaf import PairedInput, measure
from harness.quality.weighted import WeightedSums, weighted_errors
from harness.studies.roi.arm import FirstFrames, Masks
from harness.tables import Table, write_table

STEP = 0.5  # CRF


def measured(clip: FirstFrames, truth: Masks, encoded: Path) -> dict[str, float]:
    """Bytes of the file, VMAF of the whole frame and PSNR-Y in the mask."""
    sums = WeightedSums()
    for frame, decoded, mask in zip(clip, open_clip(encoded), truth, strict=True):
        sums = sums + weighted_errors(frame, decoded, [mask.astype(np.float32)])[0]
    paired = PairedInput(Input(clip.raw), Input(encoded), 0, 0, clip.count, clip.info.frame_rate)
    log = measure(find_ffmpeg(), paired, metrics=(), threads=os.cpu_count() or 1)
    return {
        "bytes": encoded.stat().st_size,
        "vmaf": float(log.column("vmaf").mean()),
        "psnr_y@mask": float(sums.psnr or "nan"),
    }


def run(words: Sequence[object], programs: dict[str, list[str]]) -> str:
    """Run a command line, its first word by what it stands for here; the line as a user types it."""
    line = [str(word) for word in words]
    done = subprocess.run([*programs[line[0]], *line[1:]], capture_output=True, text=True)
    if done.returncode:
        raise HarnessError(f"{shlex.join(line)} failed: {done.stderr.strip()[-300:]}")
    return shlex.join(Path(word).name if Path(word).is_absolute() else word for word in line)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("masks", type=Path)
    parser.add_argument("--model", default="production")
    parser.add_argument("--crf", type=float, default=28)
    parser.add_argument("--out", type=Path, help="Folder for the table.")
    asked = parser.parse_args()
    source = find_source(asked.model)
    rows: list[dict[str, Any]] = []
    programs = {"ffmpeg": [str(find_ffmpeg().path)], "harness": [sys.executable, "-m", "harness"]}
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        clip = FirstFrames(asked.clip, None, here / "clip.y4m")
        truth = Masks.of(asked.masks, clip.info, None)

        def plain(crf: float) -> tuple[str, dict[str, float]]:
            out = here / f"plain{crf:g}.mkv"
            line = run(
                ["ffmpeg", "-y", "-v", "error", "-i", clip.raw, "-c:v", "libx264", "-crf", f"{crf:g}", out], programs
            )
            return line, measured(clip, truth, out)

        line, first = plain(asked.crf)
        rows.append({"command": line, **first})
        for more in ([], ["--strength", "auto"]):
            out = here / f"roi{len(rows)}.mkv"
            words = ["harness", "roi-encode", clip.raw, "--model", asked.model, "--crf", f"{asked.crf:g}", *more]
            rows.append({"command": run([*words, "-o", out], programs), **measured(clip, truth, out)})
        finer, crf = [first], asked.crf
        while finer[-1]["psnr_y@mask"] < max(row["psnr_y@mask"] for row in rows):
            crf -= STEP
            finer.append(plain(crf)[1])
    quality, logs = [each["psnr_y@mask"] for each in finer], np.log([each["bytes"] for each in finer])
    found: list[dict[str, Any]] = [
        row | {"plain bytes for that mask": round(float(np.exp(np.interp(row["psnr_y@mask"], quality, logs))))}
        for row in rows
    ]
    for row in found:
        row["saved_%"] = 100 * (1 - row["bytes"] / row["plain bytes for that mask"])
    table = Table(
        "roi.commands",
        "three_commands",
        "Three commands on one clip",
        pd.DataFrame(found),
        f"python -m benchmarks.three_commands {asked.clip.name} MASKS --model {source.name} --crf {asked.crf:g}",
        {source.name: source.digest},
        {f"clip {asked.clip.name}": clip_digest(ClipPair(asked.clip.name, asked.clip, asked.masks))},
        code_of("benchmarks.three_commands"),
        notes=(
            f"{asked.clip.name}: {clip.count} frames of {clip.info.width}x{clip.info.height}, human masks.",
            "plain bytes for that mask: what FFmpeg takes for the same PSNR-Y inside the mask, on the straight line "
            f"between encodes {STEP:g} CRF apart; saved_%: how many fewer the command's file has.",
        ),
    )
    print(markdown(table.rows))
    if asked.out:
        write_table(table, asked.out)


if __name__ == "__main__":
    main()
