"""A stand-in for the fork's `vmaf` tool."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

ANSWERS = """
assert args[args.index("--feature") + 1] == "mobilesal" and os.environ["VMAF_MOBILESAL_MODEL_PATH"]
given = {name: args[args.index(name) + 1] for name in ("-d", "-w", "-h", "-p", "-b", "--precision")}
assert given["-b"] == "8" and given["--precision"] == "max"
samples = {"420": 1.5, "422": 2, "444": 3}[given["-p"]] * int(given["-w"]) * int(given["-h"])
count = int(os.path.getsize(given["-d"]) // samples)
frames = [{"frameNum": n, "metrics": {"saliency_mean": n / 8}} for n in range(count)]
json.dump({"version": "fork", "frames": frames}, open(args[args.index("-o") + 1], "w"))
"""


def documented_vmaf(folder: Path, body: str) -> Path:
    """A script that keeps the documented command line of the fork's tool; it stands in for the protocol only."""
    path = folder / "vmaf"
    path.write_text(f"#!{sys.executable}\nimport json, os, sys\nargs = sys.argv[1:]\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path
