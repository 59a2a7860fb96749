"""How much memory a model needs: a process of its own runs one frame, so that nothing else is in the figure."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np

from harness.errors import HarnessError
from harness.models.session import load_model

THREADS = 1
ROOT = Path(__file__).parents[2]


def peak_memory(path: Path, height: int, width: int) -> int:
    """Bytes that a process of its own holds at most while it runs one frame of `height` x `width` pixels.

    Raises:
        HarnessError: When that process fails; the message has its last words.
    """
    command = [sys.executable, "-m", "harness.models.peak", str(Path(path).absolute()), str(height), str(width)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode:
        raise HarnessError(f"measuring the memory of {path} failed: {done.stderr.strip()[-200:]}")
    return int(done.stdout)


def _own_peak() -> int:
    """Peak resident bytes of this process. `VmHWM` first: `ru_maxrss` survives exec and would report the parent's."""
    status = Path("/proc/self/status")
    if status.exists() and (match := re.search(r"VmHWM:\s+(\d+) kB", status.read_text())):
        return int(match[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    graph, rows, columns = sys.argv[1:]
    load_model(Path(graph), THREADS).maps(np.zeros((1, int(rows), int(columns), 3), np.uint8))
    print(_own_peak())
