"""Who stands behind a verdict: a signature over the bytes of its file, by an OpenSSH key that the model folder trusts.

`trusted_keys` there is in OpenSSH's allowed_signers format; signing and checking are ssh-keygen's. A signature says who
vouches for a verdict, never that it is right: that its tables say, which are judged again.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from harness.errors import HarnessError, InputError
from harness.files import check_apart, read_text, scratch_folder, write_text
from harness.gate.policy import Policy
from harness.gate.verdict import Verdict, read_verdict
from harness.models.folders import model_folder

NAMESPACE = "mobilesal-verdict"  # a signature made for anything else counts for nothing here
KEYS, SUFFIX, SECTION, PROGRAM = "trusted_keys", ".sig", "signature", "ssh-keygen"
LINE = f'NAME namespaces="{NAMESPACE}" ssh-ed25519 AAAA…'
SECONDS = 30.0  # for a check; who signs may have a passphrase to type


def beside(verdict_file: Path) -> Path:
    """Where the signature of a verdict file lies unless told otherwise."""
    return verdict_file.with_name(verdict_file.name + SUFFIX)


def required(policy: Policy) -> bool:
    """Whether a policy lets only signed verdicts promote; one without the section does not ask."""
    return bool(policy.content.get(SECTION, {}).get("require", False))


def sign(verdict_file: Path, key: Path, out: Path | None = None) -> Path:
    """Sign a verdict file as it is.

    Args:
        verdict_file: A `verdict.json` of the gate, whatever it decided.
        key: An OpenSSH private key, or a public one whose private half an agent holds.
        out: The signature [default: beside the verdict, with `.sig` after its name].

    Returns:
        The signature's path.

    Raises:
        InputError: For a file that is no verdict or not as the gate wrote it, a key that does not sign, an output that
            would replace one of them, and where ssh-keygen is not installed.
    """
    file, key = Path(verdict_file), Path(key)
    target = Path(out) if out else beside(file)
    check_apart({"verdict": file, "key": key}, {"--out": target})
    if not key.is_file():
        raise InputError(f"key {key}: no such file (allowed: an OpenSSH key; `ssh-keygen -t ed25519` makes one)")
    _, message = _read(file)
    code, said, why = _run(["sign", "-f", str(key), "-n", NAMESPACE], message, None)
    if code:
        raise InputError(f"cannot sign with {key}: {why} (allowed: an OpenSSH key that this user can read)")
    write_text(target, said)
    return target


def verify(
    verdict_file: Path, signature: Path | None = None, keys: Path | None = None, models: Path | None = None
) -> tuple[Verdict, str]:
    """A verdict file whose signature is of a trusted key.

    Args:
        verdict_file: The `verdict.json`.
        signature: Its signature [default: beside it].
        keys: Whom to trust [default: `trusted_keys` in the model folder].
        models: The model folder [default: the project's].

    Returns:
        The verdict, and the signer's name in `keys`.

    Raises:
        InputError: For a file that is no verdict or not as the gate wrote it, and where ssh-keygen is not installed.
        HarnessError: Without a signature, with one of a stranger or for something else, and where nobody is trusted.
    """
    file = Path(verdict_file)
    verdict, message = _read(file)
    path = Path(signature) if signature else beside(file)
    return verdict, _signer(message, path, keys or (models or model_folder()) / KEYS, file)[0]


def checked(verdict: Verdict, file: Path, keys: Path, needed: bool, at: str | None = None) -> str | None:
    """The signature beside a verdict that was read from `file`, once a trusted key is known to have made it.

    Args:
        verdict: What was read: the signature must be over the bytes that the gate writes for it.
        file: Where it was read.
        keys: Whom to trust.
        needed: Whether one must be there; one that is there must be valid either way.
        at: When keys must have been valid, in ISO 8601 [default: now].

    Returns:
        The signature's text; None where there is none and none is needed.

    Raises:
        InputError: Where ssh-keygen is not installed.
        HarnessError: As `verify` does.
    """
    path = beside(file)
    if not needed and not path.exists():
        return None
    return _signer(verdict.text().encode(), path, keys, file, at)[1]


def _read(file: Path) -> tuple[Verdict, bytes]:
    """A verdict and its bytes, which are the ones that the gate writes: no other file is signed."""
    verdict = read_verdict(file)
    message = verdict.text().encode()
    if read_text(file).encode() != message:
        raise InputError(f"{file} is not byte for byte what the gate wrote (allowed: the file as it came)")
    return verdict, message


def _signer(message: bytes, path: Path, keys: Path, file: Path, at: str | None = None) -> tuple[str, str]:
    """The name of who signed, and the signature as it was read; it is read once, so that what is kept was checked."""
    if not path.exists():
        raise HarnessError(
            f"{file} is not signed: {path} does not exist (allowed: `harness verdict sign {file} --key KEY`, "
            f"by a key in {keys})"
        )
    if not keys.exists():
        raise HarnessError(f"nobody is trusted to sign {file}: {keys} does not exist (allowed: lines {LINE})")
    text, when = read_text(path), [] if at is None else [f"-Overify-time={_time(at)}"]
    with scratch_folder() as folder:
        (folder / "sig").write_text(text, encoding="utf-8")
        place = ["-f", str(keys), "-s", str(folder / "sig"), *when]
        code, names, why = _run(["find-principals", *place], b"")
        if code:
            raise HarnessError(f"{path} is no signature of a key in {keys}: {why} (allowed: one by a key named there)")
        for name in names.splitlines():
            code, _, why = _run(["verify", *place, "-I", name, "-n", NAMESPACE], message)
            if not code:
                return name, text
    raise HarnessError(f"{path} does not sign {file}: {why} (allowed: the file as it was signed, by `harness verdict`)")


def _time(at: str) -> str:
    try:
        return datetime.fromisoformat(at).astimezone(UTC).strftime("%Y%m%d%H%M%S")
    except (ValueError, OverflowError) as error:
        raise InputError(f"{at[:40]!r} is no time (allowed: ISO 8601)") from error


def _run(words: Sequence[str], message: bytes, seconds: float | None = SECONDS) -> tuple[int, str, str]:
    """Exit code, standard output, and what went wrong in ssh-keygen's words; times in files of keys are read as UTC."""
    program = shutil.which(PROGRAM)
    if program is None:
        raise InputError(
            f"no program {PROGRAM} on PATH, which signs and checks signatures (needs OpenSSH 8.2 or later)"
        )
    try:
        done = subprocess.run(
            [program, "-Y", *words],
            input=message,
            capture_output=True,
            env={**os.environ, "TZ": "UTC"},
            timeout=seconds,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(f"{program} does not run: {getattr(error, 'strerror', None) or error}") from error
    said = [line.strip() for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
    return done.returncode, done.stdout.decode(errors="replace"), said[0] if said else f"exit code {done.returncode}"
