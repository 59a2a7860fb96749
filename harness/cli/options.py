"""Every option that several commands have, declared once: one name, one spelling, one way to read it.

What may be given several times is repeated (`--crf 22 --crf 27`); nothing is a list with commas.
"""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import typer

from harness.cli import complete
from harness.errors import InputError
from harness.files import is_url


class PathOrUrl(str):
    """A folder, or a place that fsspec opens; relative ones of a project file are relative to that."""


def readable(text: str) -> Path:
    """A path; of a URL, that of its copy, which is made where it is not here yet."""
    if not is_url(text):
        return Path(text)
    from corpora.loader import cache_folder
    from harness.jobs.copies import local_copy

    return local_copy(text, cache_folder().parent / "copies", lambda line: typer.echo(f"harness: {line}", err=True))


STORE = PathOrUrl(".harness-jobs")

_MODEL = "Registry id, production, or a path to an .onnx"
EXECUTORS = "local, local:WORKERS, dask://HOST:PORT or slurm[:NAME=VALUE,…]"
_SIZES = "native, N, short:N or WxH: what the model sees"

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
Check = Annotated[
    bool, typer.Option("--check", help="Only look at the sets: exit 0 if whole and sound, 1 if odd, 2 if refused.")
]
Clips = Annotated[list[str] | None, typer.Option("--clip", help="Only this clip of the corpus; repeatable.")]
ClipCorpus = Annotated[
    str, typer.Option("--corpus", help="Clip set with human masks.", autocompletion=complete.corpora)
]
Corpora = Annotated[
    list[str] | None,
    typer.Option("--corpus", help="Image set, such as ecssd or duts-te; repeatable.", autocompletion=complete.corpora),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done: frames, filters, commands.")]
Encoder = Annotated[
    str,
    typer.Option(
        "--encoder",
        help="libx264, libx265 …; `harness doctor` says which work here.",
        autocompletion=complete.encoders,
    ),
]
Every = Annotated[int, typer.Option("--every", min=1, help="Score every N-th frame.")]
Executor = Annotated[str, typer.Option("--executor", help=f"{EXECUTORS}.")]
Fps = Annotated[str | None, typer.Option("--fps", help="Frame rate of raw YUV and folders of pictures.")]
KeepGoing = Annotated[
    bool,
    typer.Option("--keep-going", help="Leave out what fails, name it in the tables too, finish the rest; exit 1."),
]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Only the first N of each set.")]
Metrics = Annotated[
    list[str] | None,
    typer.Option("--metric", help="psnr, ssim, ms_ssim, xpsnr or none; repeatable [default: psnr, ssim, xpsnr]."),
]
ModelFolder = Annotated[Path | None, typer.Option("--models", help="Model folder [default: the project's model/].")]
Models = Annotated[
    list[str] | None,
    typer.Option("--model", help=f"{_MODEL}; repeatable [default: production].", autocompletion=complete.models),
]
MapModels = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        help=f"{_MODEL}, or centre-prior; repeatable [default: production].",
        autocompletion=complete.map_sources,
    ),
]
MapModel = Annotated[
    str | None,
    typer.Option(
        "--model", help=f"{_MODEL}, or centre-prior [default: production].", autocompletion=complete.map_sources
    ),
]
OptionalOut = Annotated[Path | None, typer.Option("--out", help="Folder for the table.")]
Out = Annotated[Path, typer.Option("--out", help="Folder for tables and figures.")]
PixFmt = Annotated[str | None, typer.Option("--pix-fmt", help="Pixel format of raw YUV.")]
Policy = Annotated[Path | None, typer.Option("--policy", help="TOML with what to change in the shipped policy.")]
Preset = Annotated[str | None, typer.Option("--preset", help="The encoder's preset; '' for none.")]
Progress = Annotated[
    str,
    typer.Option("--progress", help="bars, lines, json (events); auto: bars, in a log lines."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress: only results, warnings and errors.")]
Root = Annotated[
    Path | None,
    typer.Option(
        "--root",
        help="The set's folder or one that holds it [default: HARNESS_CORPORA, then the cache].",
        parser=readable,
        metavar="PATH|URL",
    ),
]
Size = Annotated[str | None, typer.Option("--size", help="WxH of raw YUV.")]
_STORE = "Finished jobs, in a folder or at s3://BUCKET/PREFIX: a rerun computes only what is missing"
Store = Annotated[PathOrUrl, typer.Option("--store", help=f"{_STORE}.", parser=PathOrUrl, metavar="PATH|URL")]
OptionalStore = Annotated[
    PathOrUrl | None,
    typer.Option(
        "--store",
        help=f"{_STORE} [default: in --out, until all is done].",
        parser=PathOrUrl,
        metavar="PATH|URL",
    ),
]
TrustedKeys = Annotated[
    Path | None, typer.Option("--keys", help="Whom to trust [default: trusted_keys in the model folder].")
]
VmafModels = Annotated[
    list[str] | None,
    typer.Option("--vmaf-model", help="vmaf_v0.6.1, vmaf_v0.6.1neg …; repeatable [default: vmaf_v0.6.1]."),
]
Workers = Annotated[int | None, typer.Option("--workers", min=1, help="Processes; they change no number.")]
WorkingSize = Annotated[str, typer.Option("--working-size", help=f"{_SIZES}.")]
WorkingSizes = Annotated[
    list[str] | None, typer.Option("--working-size", help=f"{_SIZES}; repeatable [default: native].")
]


def given_options(context: typer.Context) -> dict[str, str]:
    """The options that the command line gives, as they are typed there, by parameter; not those of a project file."""
    return {
        option.name: option.opts[0]
        for option in context.command.params
        if (source := context.get_parameter_source(option.name)) and source.name == "COMMANDLINE"
    }


def parse_rate(text: str) -> Fraction:
    """A frame rate; `InputError` says what is allowed.

    >>> parse_rate("30000/1001")
    Fraction(30000, 1001)
    """
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise InputError(f"frame rate {text!r} (allowed: a number or a fraction such as 30000/1001)") from error
    if rate <= 0:
        raise InputError(f"frame rate {text} (allowed: above 0)")
    return rate


def parse_size(text: str) -> tuple[int, int]:
    """`WxH` to width and height; `InputError` says what is allowed.

    >>> parse_size("640x360")
    (640, 360)
    """
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if not match:
        raise InputError(f"size {text!r} (allowed: WxH, for example 640x360)")
    return int(match[1]), int(match[2])


def parse_metrics(names: list[str] | None, usual: tuple[str, ...]) -> tuple[str, ...]:
    """What `--metric` asks for; `none` stands alone and means no metric but VMAF.

    >>> parse_metrics(["none"], ("psnr",))
    ()
    """
    if names and "none" in names:
        if len(names) > 1:
            raise InputError("--metric none beside others (allowed: alone)")
        return ()
    return tuple(names or usual)
