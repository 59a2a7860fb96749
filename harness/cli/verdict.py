"""`harness verdict`: who vouches for a verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import ModelFolder, TrustedKeys
from harness.cli.output import say

commands = typer.Typer(no_args_is_help=True, help="Sign a verdict of the gate, and check who signed one.")

VerdictFile = Annotated[Path, typer.Argument(help="The gate's verdict.json.")]


def register(app: typer.Typer) -> None:
    """Add the sub-commands to the application."""
    app.add_typer(commands, name="verdict")


@commands.command("sign")
def sign_verdict(
    verdict: VerdictFile,
    key: Annotated[Path, typer.Option("--key", help="An OpenSSH key; a public one if an agent holds the other half.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="The signature [default: beside the verdict, .sig after its name].")
    ] = None,
) -> None:
    """Sign a verdict's file with an OpenSSH key, by ssh-keygen.

    Example: `harness verdict sign runs/gate/verdict.json --key ~/.ssh/id_ed25519`
    """
    from harness.gate.signature import sign

    say(f"wrote {sign(verdict, key, out)}")


@commands.command("verify")
def verify_verdict(
    verdict: VerdictFile,
    signature: Annotated[
        Path | None, typer.Option("--signature", help="Its signature [default: beside it, .sig after its name].")
    ] = None,
    keys: TrustedKeys = None,
    models: ModelFolder = None,
) -> None:
    """Check that a trusted key signed a verdict's file as it is; exit 1 if none did.

    Whether the verdict is right is another question: `harness gate --from` judges its tables again.

    Example: `harness verdict verify runs/gate/verdict.json`
    """
    from harness.gate.signature import verify

    found, name = verify(verdict, signature, keys, models)
    say(f"signed by {name}: {found.decision} of {found.candidate.id} against {found.incumbent.id}")
