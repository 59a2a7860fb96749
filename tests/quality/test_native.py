"""Native extractors by the protocol of the programs that hold them."""

from __future__ import annotations

import threading
from fractions import Fraction

import psutil
import pytest

from harness.errors import HarnessError, InputError
from harness.media.ffmpeg import find_ffmpeg
from harness.media.pairing import as_input
from harness.quality.libvmaf import PairedInput
from harness.quality.native import NativeFFmpeg, VmafProgram, choose, probe_frames
from tests.helpers import TINY
from tests.helpers.clips import noisy_clip
from tests.helpers.vmaf import ANSWERS, documented_vmaf

pytestmark = pytest.mark.slow


def test_stock_ffmpeg_refuses_the_feature_in_its_own_words():
    with pytest.raises(HarnessError, match="mobilesal"):
        NativeFFmpeg(find_ffmpeg()).probe(TINY, probe_frames(64, 64))
    with pytest.raises(InputError, match="ffmpeg-native does not work here"):
        choose("ffmpeg-native", find_ffmpeg(), TINY)


# colour codes as the tool writes them to a terminal, and exit code 0 without a frame
LOUD = """
print("\\033[31mlibvmaf\\033[0m \\033[1mERROR\\033[0m Concat: mismatched dimensions", file=sys.stderr)
json.dump({"frames": []}, open(args[args.index("-o") + 1], "w"))
"""


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            "print('problem loading feature extractor: mobilesal', file=sys.stderr); sys.exit(1)",
            "exit code 1.*mobilesal",
        ),
        ("pass", "wrote no log"),
        (LOUD, r"libvmaf scored 0 of 2 frames.*said: libvmaf ERROR Concat: mismatched dimensions$"),
        ("json.dump({'frames': []}, open(args[args.index('-o') + 1], 'w'))", "frame 0 is missing"),
    ],
)
def test_probe_protocol_of_vmaf_cli_with_a_script_that_lacks_the_feature(tmp_path, monkeypatch, body, words):
    monkeypatch.setenv("HARNESS_VMAF", str(documented_vmaf(tmp_path, body)))
    extractor, reason = choose("auto", find_ffmpeg(), TINY)
    assert extractor is None and "vmaf-cli: " in reason
    with pytest.raises(InputError, match=words):
        choose("vmaf-cli", find_ffmpeg(), TINY)


def vmaf_program(folder, body):
    return VmafProgram(documented_vmaf(folder, body), find_ffmpeg())


def compared(pair_of_clips, tmp_path):
    reference, distorted = (as_input(clip, tmp_path) for clip in pair_of_clips)
    return PairedInput(reference, distorted, 0, 0, 6, Fraction(25), 1, 64, 64, "420")


def test_vmaf_cli_may_take_long_as_long_as_it_counts_frames(pair_of_clips, tmp_path):
    counting = """
import time
assert sys.stderr.isatty(), "the fork's tool counts on a terminal only"
for n in range(6):
    time.sleep(0.3)
    print(f"\\r{n + 1} frames . 3.33 FPS\\033[K", end="", file=sys.stderr, flush=True)
"""
    means = vmaf_program(tmp_path, counting + ANSWERS).means(compared(pair_of_clips, tmp_path), TINY, 1.0)
    assert list(means.frames) == list(range(6))
    failing = vmaf_program(tmp_path, counting + "sys.exit('problem reading pictures')")
    with pytest.raises(HarnessError, match=r"failed \(exit code 1\): problem reading pictures$"):
        failing.means(compared(pair_of_clips, tmp_path), TINY, 1.0)


def test_vmaf_cli_that_hangs_or_is_stopped_is_killed_with_all_that_it_started(pair_of_clips, tmp_path):
    hanging = vmaf_program(tmp_path, "import subprocess; subprocess.run(['sleep', '61.25'])")
    with pytest.raises(HarnessError, match="vmaf hung: nothing new for 1 s, killed"):
        hanging.means(compared(pair_of_clips, tmp_path), TINY, 1.0)
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()
    with pytest.raises(HarnessError, match="vmaf was stopped"):
        hanging.means(compared(pair_of_clips, tmp_path), TINY, 60.0, stop)
    assert not [child for child in psutil.process_iter(["cmdline"]) if "61.25" in (child.info["cmdline"] or [])]


@pytest.mark.parametrize("chroma", ["420", "422", "444"])
def test_vmaf_cli_is_given_the_planes_that_we_read(tmp_path, chroma):
    """Raw, and not as y4m, of which the tool resamples the chroma."""
    one = noisy_clip(tmp_path / "r.y4m", 2, chroma=chroma)
    keeping = f"import shutil; shutil.copy(args[args.index('-d') + 1], {str(tmp_path / 'given.yuv')!r})\n"
    side = as_input(one, tmp_path)
    found = vmaf_program(tmp_path, keeping + ANSWERS).means(
        PairedInput(side, side, 0, 0, 2, Fraction(25), 1, 64, 64, chroma), TINY, 10.0
    )
    planes = b"".join(plane.tobytes() for frame in one for plane in (frame.y, frame.u, frame.v))
    assert (tmp_path / "given.yuv").read_bytes() == planes
    assert found.version == "fork"
