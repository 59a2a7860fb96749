"""`harness corpora`: list, fetch, verify and generate corpora."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from harness.cli import complete
from harness.cli.events import Shape, long, shape
from harness.cli.options import AsJson, Root, parse_size
from harness.cli.output import print_json, say
from harness.cli.progress import progress, remark, stages
from harness.cli.terminal import terminal
from harness.errors import HarnessError, InputError

FAULTS = ("unpaired", "unreadable", "mismatched")
ODD = {"empty": "empty masks", "full": "full masks", "tiny": "tiny masks", "grey": "grey masks", "turned": "turned"}

SetName = Annotated[
    str,
    typer.Argument(help="A corpus of `harness corpora list`, or a manifest *.toml.", autocompletion=complete.corpora),
]

commands = typer.Typer(no_args_is_help=True, help="List, fetch, verify and generate image and clip sets.")


def register(app: typer.Typer) -> None:
    """Add this module's commands to the command line."""
    app.add_typer(commands, name="corpora")


@commands.command("list")
def list_(root: Root = None, as_json: AsJson = False) -> None:
    """Every corpus that the harness knows, its role, and where it was found; --json adds licence, terms and source.

    Example: `harness corpora list --root ../shared/corpora`
    """
    from corpora.loader import corpus_at_hand, load_manifest, manifest_names

    rows = []
    for name in manifest_names():
        manifest = load_manifest(name)
        corpus = corpus_at_hand(manifest, root)
        folder = str(corpus.folder) if corpus else ""
        fields = ("name", "title", "role", "count", "unit", "licence", "terms", "citation", "homepage", "notes")
        rows.append({field: getattr(manifest, field) for field in fields} | {"folder": folder})
    if root is not None and not root.is_dir():
        raise InputError(f"{root}: no such folder")
    if as_json:
        print_json({"corpora": rows})
        return
    table = Table("corpus", "role", "holds", box=None, pad_edge=False, header_style="bold")
    table.add_column("found in", overflow="fold")
    for row in rows:
        found = row["folder"] or Text("not found", "dim")
        table.add_row(row["name"], row["role"], f"{row['count']:,} {row['unit']}", found)
    terminal().print(table)


@commands.command()
@long
def fetch(
    name: SetName,
    into: Annotated[
        Path | None, typer.Option("--into", help="Folder to put the set in; the user's cache by default.")
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Unpack whatever size an archive has; take an edition that is not known.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Download a corpus, check its bytes, unpack it. Run it again after an interruption.

    Example: `harness corpora fetch ecssd`
    """
    from corpora.fetch import fetch as fetch_corpus
    from corpora.loader import load_manifest

    manifest = load_manifest(name)
    if not manifest.generated:
        say(f"{manifest.title}: {manifest.licence} {manifest.terms}", to_stderr=True)
    corpus = fetch_corpus(manifest, into, yes=yes, note=remark, progressbar=shape() is Shape.BARS)
    if as_json:
        print_json({"name": manifest.name, "folder": str(corpus.folder)})
    else:
        typer.echo(f"{manifest.title} is in {corpus.folder}")


@commands.command()
@long
def verify(
    name: SetName,
    root: Root = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Threads that decode and hash.")] = 2,
    as_json: AsJson = False,
) -> None:
    """Decode and hash every file; exit 1 when one is unpaired, unreadable or of another size than its partner.

    Example: `harness corpora verify ecssd --root ../shared/corpora/ECSSD`
    """
    from corpora.loader import find_corpus, load_manifest
    from corpora.verify import verify as verify_corpus

    corpus = find_corpus(load_manifest(name), root)
    with progress(f"verifying {corpus.manifest.name}", "files") as report:
        check = verify_corpus(corpus, workers, report)
    if as_json:
        print_json(check.as_json())
    else:
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_row("folder", check.folder)
        table.add_row(check.unit, f"{check.count:,} of {check.expected:,} published, {check.files:,} files")
        for kind in FAULTS:
            table.add_row(kind, _some(getattr(check, kind)))
        for reason in check.reasons[:5]:
            table.add_row("", reason)
        for kind, label in ODD.items():
            table.add_row(label, _some(getattr(check, kind)))
        table.add_row("digest", check.digest)
        table.add_row("edition", check.variant or "unknown: no pinned digest matches")
        terminal(wrap=False).print(table)
    if not check.sound:
        faults = ", ".join(f"{len(getattr(check, kind))} {kind}" for kind in FAULTS)
        raise HarnessError(f"{check.name} in {check.folder} is not sound: {faults}; {check.count} {check.unit}")


def _some(names: tuple[str, ...]) -> str:
    more = " …" if len(names) > 5 else ""
    return f"{len(names):,}  {', '.join(names[:5])}{more}" if names else "0"


@commands.command()
@long
def synth(
    out: Annotated[Path, typer.Argument(help="Folder to write `synth` and `synth-clips` in.")],
    images: Annotated[int, typer.Option("--images", min=1, help="Number of images.")] = 24,
    size: Annotated[str, typer.Option("--size", help="Image size in pixels, WxH.")] = "320x240",
    clips: Annotated[int, typer.Option("--clips", min=1, help="Number of clips.")] = 3,
    clip_size: Annotated[str, typer.Option("--clip-size", help="Clip size in pixels, WxH, even.")] = "320x192",
    frames: Annotated[int, typer.Option("--frames", min=1, help="Frames per clip, at 25 frames/s.")] = 24,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same files.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Generate salient objects with exact masks: PNG pairs and y4m clips, for demonstrations and tests.

    Example: `harness corpora synth /tmp/corpora --images 8 --clips 1`
    """
    from corpora.synth import ClipOptions, ImageOptions, check_clips, check_images, write_clips, write_images

    image_options = ImageOptions(images, parse_size(size), seed)
    clip_options = ClipOptions(clips, frames, parse_size(clip_size), seed)
    check_images(image_options)
    check_clips(clip_options)  # before any image is drawn
    with stages({"images": "images", "clips": "clips"}) as report:
        image_folder = write_images(out, image_options, lambda done, total: report("images", done, total))
        clip_folder = write_clips(out, clip_options, lambda done, total: report("clips", done, total))
    if as_json:
        print_json({"synth": str(image_folder), "synth-clips": str(clip_folder)})
    else:
        typer.echo(f"{images} images in {image_folder}\n{clips} clips of {frames} frames in {clip_folder}")
