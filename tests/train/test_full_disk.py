"""A disk that is full while a run is written is one line, and what was whole before is whole still."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import ROOT

SCRIPT = """
import resource, signal, sys
from pathlib import Path
import torch
from harness.errors import HarnessError
from harness.files import whole_file
from train.data import mapped_anew
from train.history import save
folder = Path(sys.argv[1])
save(folder / "best.pt", {"a": torch.zeros(8)})
before = (folder / "best.pt").read_bytes()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
def maps():
    with whole_file(folder / "maps") as part:
        mapped_anew(part, (1 << 21,))
for write in (lambda: save(folder / "best.pt", {"a": torch.zeros(1 << 20)}), maps):
    try:
        write()
    except HarnessError as error:
        print(error)
assert (folder / "best.pt").read_bytes() == before
"""


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_loses_nothing(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the extra `train` is not installed")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, tmp_path], cwd=ROOT, capture_output=True, text=True, env=os.environ
    )
    says = [f"writing {tmp_path}/{name} failed: File too large" for name in ("best.pt", "maps")]
    assert done.stdout.splitlines() == says, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["best.pt"]
