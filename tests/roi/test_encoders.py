"""What each encoder takes and refuses, in its own terms; an encoder of any route is one value."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.errors import InputError
from harness.media.ffmpeg import find_ffmpeg
from harness.roi.encoders import ENCODERS, Settings, find_encoder
from harness.roi.encoders.base import Encoder, OffsetsFile, Program
from harness.roi.export import write_json_offsets
from harness.roi.proof import probe
from tests.helpers import ROOT
from tests.helpers.addroi import addroi
from tests.helpers.clips import write_clip
from tests.helpers.roi import run


@pytest.mark.parametrize("name", ["libsvtav1", "libaom-av1", "libvvenc", "librav1e", "hevc_nvenc", "h264_vaapi"])
def test_encoders_that_ignore_maps_are_refused_with_the_reason(name: str) -> None:
    with pytest.raises(InputError, match=f"{name} cannot be steered: .*allowed: libx264"):
        find_encoder(name)


def test_an_unknown_encoder_is_refused() -> None:
    with pytest.raises(InputError, match="allowed: libx264"):
        find_encoder("x264")


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("libx264", ("aq-mode", "0")),
        ("libx264", ("qp", "30")),
        ("libx264", ("x264-params", "no-mbtree=1:aq_mode=0")),
        ("libx264", ("x264-params", "qp=20")),
        ("libx264", ("x264opts", "qp=20")),
        ("libx265", ("x265-params", "aq-mode=0")),
        ("libx265", ("qp", "30")),
        ("libvpx-vp9", ("deadline", "good")),
        ("libvpx-vp9", ("cpu-used", "2")),
        ("libvpx-vp9", ("aq-mode", "3")),
    ],
)
def test_options_that_switch_the_map_off_are_refused(name: str, option: tuple[str, str]) -> None:
    with pytest.raises(InputError, match=r"allowed|only with"):
        find_encoder(name).options(Settings(options=(option,)))


@pytest.mark.parametrize("bad", [{"crf": 20, "bitrate": 100}, {"bitrate": 0}, {"two_pass": True}])
def test_settings_that_make_no_sense_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="allowed"):
        Settings(**bad)


@pytest.mark.parametrize(
    ("name", "bad", "allowed"),
    [
        ("libx264", {"crf": 999}, "crf 999 with libx264 .allowed: 0 to 51"),
        ("libvpx-vp9", {"crf": 64}, "crf 64 with libvpx-vp9 .allowed: 0 to 63"),
        ("libx265", {"preset": "foo"}, "preset 'foo' with libx265 .allowed: ultrafast, .*placebo"),
        ("libkvazaar", {"preset": "foo"}, "preset 'foo' with libkvazaar .allowed: ultrafast"),
        ("SvtAv1EncApp", {"bitrate": 99}, "SvtAv1EncApp follows no map under a bitrate .*allowed: --crf"),
        ("SvtAv1EncApp", {"options": (("qp", "30"),)}, "option qp=30 with a map: it goes by the CRF"),
        ("libvpx", {"bitrate": 99, "two_pass": True}, "two passes with libvpx .allowed for: libx264"),
        ("libx264", {"options": (("tune", "foo"),)}, "libx264 refuses option tune=foo"),
        ("libx264", {"options": (("foo", "1"),)}, "libx264 knows no option 'foo'"),
        ("libx264", {"options": (("x264-params", "foo=1"),)}, "libx264 would ignore a part of .*option 'foo = 1'"),
        (
            "libkvazaar",
            {"options": (("kvazaar-params", "foo=1"),)},
            "libkvazaar would ignore a .*: Invalid option: foo=1",
        ),
        ("libkvazaar", {"options": (("foo", "1"),)}, "libkvazaar refuses option foo=1: .*Unrecognized option 'foo'"),
        ("libx265", {"options": (("x265-params", "foo=1"),)}, "libx265 would ignore a part of .*Unknown option: foo"),
    ],
)
def test_settings_are_refused_in_the_encoders_own_terms(
    name: str, bad: dict[str, Any], allowed: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=allowed):
        run(write_clip(tmp_path / "clip.y4m", frames=1), tmp_path / "out.mkv", name, settings=Settings(**bad))
    assert [path.name for path in tmp_path.iterdir()] == ["clip.y4m"]


PROGRAM = """#!{python}
import subprocess
import sys
from pathlib import Path
if "--help" in sys.argv:
    print("knows --scratch-offsets")
    sys.exit()
sys.path.insert(0, {root!r})
from tests.helpers.addroi import addroi
words = dict(zip(sys.argv[1::2], sys.argv[2::2]))
assert words["--range"] in ("unspecified", "tv")
steered = addroi({{}}, Path(words["--scratch-offsets"])) if "--scratch-offsets" in words else {{}}
filters = [word for name, value in steered.items() for word in ("-" + name, value)]
ends = ["-c:v", "libx264", "-crf", words["--crf"], words["-b"]]
subprocess.run([{ffmpeg!r}, "-v", "error", "-y", "-i", words["-i"], *filters, *ends], check=True)
"""

SCRATCH = {
    "side-data": Encoder("libx264", "side-data", block=32, translate=lambda settings: {"crf": "30"}),
    "roi-file": Encoder(
        "libx264",
        "roi-file",
        block=32,
        offsets_file=OffsetsFile(write_json_offsets, addroi),
        translate=lambda settings: {"crf": "30"},
    ),
    "program": Encoder(
        "scratch-encoder",
        "program",
        block=32,
        offsets_file=OffsetsFile(write_json_offsets, lambda options, path: {**options, "scratch-offsets": str(path)}),
        program=Program(
            lambda raw, stream: ("-i", raw, "-b", stream),
            suffix=".mkv",
            reads="--scratch-offsets",
            tags=lambda info: {"range": info.range},
        ),
        translate=lambda settings: {"crf": "30"},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("route", SCRATCH)
def test_an_encoder_of_any_route_is_one_value_and_one_line(
    route: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The route's second encoder: nothing in the harness knows its name or its options."""
    monkeypatch.setitem(ENCODERS, "scratch", SCRATCH[route])
    program = tmp_path / "bin" / "scratch-encoder"
    program.parent.mkdir()
    program.write_text(PROGRAM.format(python=sys.executable, root=str(ROOT), ffmpeg=str(find_ffmpeg().path)))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    found = probe(find_encoder("scratch"), Settings())
    assert found.favoured > 1.2 * found.plain > 1.2 * found.disfavoured
    result = run(write_clip(tmp_path / "clip.mkv", size=(320, 192)), tmp_path / "out.mkv", "scratch")
    assert result.proof.finer_psnr_change > 0.5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "clip.mkv", "out.mkv"]


def test_a_route_without_what_it_needs_is_a_mistake_of_the_author() -> None:
    for bad in (
        {"route": "roi-file"},
        {"route": "program", "offsets_file": SCRATCH["roi-file"].offsets_file},
        {"route": "side-data", "offsets_file": SCRATCH["roi-file"].offsets_file},
    ):
        with pytest.raises(ValueError, match="scratch: route"):
            Encoder("scratch", **bad)  # type: ignore[arg-type]
