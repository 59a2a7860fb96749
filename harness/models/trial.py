"""A script that reads a model from stdin, runs it once under bounds, and says on stderr why that fails.

It imports nothing of harness, so that it starts fast.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import numpy as np
import onnxruntime


def run(content: bytes, side: int, seconds: int, more: int) -> None:
    """One grey picture of `side` x `side`, in `seconds` of a processor and `more` bytes than the imports took."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    session.run(None, {session.get_inputs()[0].name: np.zeros((1, 3, side, side), np.float32)})


if __name__ == "__main__":
    try:
        run(sys.stdin.buffer.read(), *map(int, sys.argv[1:]))
    except Exception as error:  # onnxruntime's exceptions share no public base
        sys.exit(" ".join(str(error).split()) or type(error).__name__)
