"""Who vouches for a verdict: signatures that count, and every one that must not."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import HarnessError, InputError
from harness.gate import judge as judging
from harness.gate import kept
from harness.gate.judge import judge
from harness.gate.policy import load_policy
from harness.gate.promote import findings, promote
from harness.gate.signature import NAMESPACE, beside, required, sign, verify
from harness.gate.verdict import write_verdict
from tests.helpers.commands import run
from tests.helpers.gate import POLICY, winning_tables
from tests.helpers.promotion import COMMIT, registry_of_three, won

pytestmark = pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="no ssh-keygen on PATH")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two private keys, of ann and of a stranger."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("ann", "stranger"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", folder / name], check=True)
    return {name: folder / name for name in ("ann", "stranger")}


@pytest.fixture
def verdict(tmp_path: Path) -> Path:
    """A verdict's file."""
    write_verdict(judge(POLICY, winning_tables()), tmp_path / "verdict.json")
    return tmp_path / "verdict.json"


@pytest.fixture
def models(tmp_path: Path, keys: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A registry that wants signatures and trusts ann, in a tree that is committed."""
    monkeypatch.setattr(judging, "commit", lambda: COMMIT)
    folder = registry_of_three(tmp_path / "model")
    (folder / "gate.toml").write_text("[signature]\nrequire = true\n")
    trust(folder / "trusted_keys", keys["ann"])
    return folder


def trust(file: Path, key: Path, options: str = f'namespaces="{NAMESPACE}"') -> Path:
    file.write_text(f"ann {options} {key.with_suffix('.pub').read_text()}")
    return file


def refused(models: Path, verdict: Path, says: str) -> None:
    before = (models / "production.json").read_bytes()
    with pytest.raises(HarnessError, match=says) as caught:
        promote("b", verdict, models)
    assert "\n" not in str(caught.value)
    assert (models / "production.json").read_bytes() == before and not kept.any_in(models)


def problems(models: Path, keys: Path | None = None) -> list[str]:
    return [finding.problem for finding in findings(models, keys) if finding.problem]


def test_a_policy_asks_for_signatures_only_where_it_says_so(tmp_path: Path) -> None:
    assert not required(POLICY)
    (tmp_path / "gate.toml").write_text("[signature]\nrequire = true\n")
    assert required(load_policy(models=tmp_path))
    (tmp_path / "gate.toml").write_text("[signature]\nrequired = true\n")
    with pytest.raises(InputError, match=r"signature: .*required"):
        load_policy(models=tmp_path)


@pytest.mark.slow
def test_signed_by_a_trusted_key_it_promotes_and_the_signature_is_kept_and_checked_again(
    models: Path, keys: dict[str, Path], tmp_path: Path
) -> None:
    path = won(models)
    sign(path, keys["ann"])
    place = kept.place(models, str(promote("b", path, models).verdict))
    assert beside(place).read_bytes() == beside(path).read_bytes() and place.read_bytes() == path.read_bytes()
    mine = trust(tmp_path / "mine", keys["ann"])
    assert problems(models) == problems(models, mine) == []
    (found,) = problems(models, trust(tmp_path / "theirs", keys["stranger"]))
    assert "is no signature of a key in" in found
    trust(models / "trusted_keys", keys["ann"], 'valid-before="20250101"')
    assert "key has expired" in problems(models)[0]  # it had been when ann signed
    trust(models / "trusted_keys", keys["ann"], 'valid-before="21000101"')
    assert problems(models) == []
    beside(place).unlink()
    (found,) = problems(models)
    assert "is not signed" in found
    assert isinstance(run("registry", "verify", "--models", models).exception, HarnessError)


@pytest.mark.slow
def test_unsigned_it_is_refused_and_so_is_it_where_nobody_is_trusted(models: Path, keys: dict[str, Path]) -> None:
    path = won(models)
    refused(models, path, r"is not signed: .*verdict\.json\.sig does not exist \(allowed: `harness verdict sign")
    sign(path, keys["ann"])
    (models / "trusted_keys").unlink()
    refused(models, path, r"nobody is trusted to sign .*trusted_keys does not exist \(allowed: lines NAME")


def by_a_stranger(path: Path, keys: dict[str, Path]) -> None:
    sign(path, keys["stranger"])


def altered(path: Path, keys: dict[str, Path]) -> None:
    sign(path, keys["ann"])
    path.write_text(path.read_text().replace('"created": ""', '"created": "2020-01-01"'))  # which no digest covers


def of_another(path: Path, keys: dict[str, Path]) -> None:
    sign(path, keys["ann"])
    shutil.copy(beside(path), path.with_name("old.sig"))
    altered(path, keys)
    sign(path, keys["ann"])
    shutil.copy(path.with_name("old.sig"), beside(path))


def in_another_namespace(path: Path, keys: dict[str, Path]) -> None:
    subprocess.run(["ssh-keygen", "-q", "-Y", "sign", "-f", keys["ann"], "-n", "git", path], check=True)


def damaged(path: Path, keys: dict[str, Path]) -> None:
    sign(path, keys["ann"])
    beside(path).write_text(beside(path).read_text()[:100])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("attack", "says"),
    [
        (by_a_stranger, r"verdict\.json\.sig is no signature of a key in .*trusted_keys: No principal matched"),
        (altered, r"does not sign .*: Signature verification failed"),
        (of_another, r"does not sign .*: Signature verification failed"),
        (in_another_namespace, r"does not sign .*namespace"),
        (damaged, r"is no signature of a key in .*trusted_keys: "),
    ],
)
@pytest.mark.parametrize("require", ["true", "false"])
def test_a_signature_that_does_not_count_is_refused_even_where_none_is_asked_for(
    models: Path,
    keys: dict[str, Path],
    attack: Callable[[Path, dict[str, Path]], None],
    says: str,
    require: str,
) -> None:
    (models / "gate.toml").write_text(f"[signature]\nrequire = {require}\n")
    path = won(models)
    attack(path, keys)
    refused(models, path, says)


@pytest.mark.slow
def test_where_none_is_asked_for_an_unsigned_verdict_promotes_but_not_for_who_brings_keys(
    models: Path, tmp_path: Path, keys: dict[str, Path]
) -> None:
    (models / "gate.toml").unlink()
    place = kept.place(models, str(promote("b", won(models), models).verdict))
    assert not beside(place).exists() and problems(models) == []
    (found,) = problems(models, trust(tmp_path / "mine", keys["ann"]))
    assert "is not signed" in found


def test_the_commands_sign_and_verify(verdict: Path, keys: dict[str, Path], tmp_path: Path) -> None:
    trust(tmp_path / "trusted_keys", keys["ann"])
    done = run("verdict", "sign", verdict, "--key", keys["ann"], "--out", tmp_path / "by-ann")
    assert done.exit_code == 0 and "by-ann" in done.stdout
    asked = ("verdict", "verify", verdict, "--models", tmp_path)
    assert "is not signed" in str(run(*asked).exception)
    done = run(*asked, "--signature", tmp_path / "by-ann")
    assert done.stdout == "signed by ann: PROMOTE of new against old\n"
    assert verify(verdict, tmp_path / "by-ann", keys=tmp_path / "trusted_keys")[1] == "ann"
    trust(tmp_path / "trusted_keys", keys["ann"], 'namespaces="git"')
    with pytest.raises(HarnessError, match="does not sign"):
        verify(verdict, tmp_path / "by-ann", models=tmp_path)


def test_what_cannot_be_signed_is_refused_in_a_line(verdict: Path, keys: dict[str, Path], tmp_path: Path) -> None:
    ann, changed, other = keys["ann"], tmp_path / "changed.json", tmp_path / "other.json"
    changed.write_text(verdict.read_text().replace("\n", "\r\n"), newline="")
    other.write_text("{}")
    (tmp_path / "no-key").write_text("nothing")
    for file, key, out, says in (
        (changed, ann, None, "is not byte for byte what the gate wrote"),
        (other, ann, None, "is not a verdict"),
        (verdict, tmp_path / "absent", None, r"absent: no such file \(allowed: an OpenSSH key"),
        (verdict, tmp_path / "no-key", None, "cannot sign with .*no-key: "),
        (verdict, ann, ann, "is the key"),
        (verdict, ann, verdict, "is the verdict"),
    ):
        with pytest.raises(InputError, match=says):
            sign(file, key, out)
    assert ann.read_text().startswith("-----BEGIN OPENSSH") and not beside(verdict).exists()


def test_without_ssh_keygen_a_line_says_so(
    verdict: Path, keys: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust(tmp_path / "trusted_keys", keys["ann"])
    sign(verdict, keys["ann"])
    monkeypatch.setenv("PATH", str(tmp_path))
    for words in (("sign", verdict, "--key", keys["ann"]), ("verify", verdict, "--models", tmp_path)):
        error = run("verdict", *words).exception
        assert isinstance(error, InputError) and "no program ssh-keygen on PATH" in str(error)
