"""Names and roots become pairs and clips, and what is missing or unpaired is said in one line."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest
from PIL import Image

from corpora.loader import (
    ClipPair,
    clip_digest,
    content_digest,
    listing_digest,
    load_clips,
    load_manifest,
    load_pairs,
    manifest_names,
    pairs_in,
)
from harness.errors import InputError


def write_images(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.new("L", (8, 6), 255).save(folder / name)


@pytest.fixture
def ecssd(tmp_path: Path) -> Path:
    write_images(tmp_path / "ECSSD/images", "0002.jpg", "0001.jpg")
    write_images(tmp_path / "ECSSD/masks", "0001.png", "0002.png")
    return tmp_path / "ECSSD"


@pytest.fixture(autouse=True)
def no_corpora_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("HARNESS_CORPORA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize("name", manifest_names())
def test_every_manifest_is_complete(name: str) -> None:
    manifest = load_manifest(name)
    assert manifest.name == name
    assert manifest.count > 0 and manifest.licence and manifest.terms
    assert manifest.generated or manifest.citation
    for source in manifest.sources:
        assert source.file.endswith(".zip")
        assert all(url.startswith(("https://", "http://")) for url in source.urls)
        assert source.hash is None or source.hash.split(":")[0] in ("sha256", "md5")


def test_a_manifest_is_found_whatever_its_case_and_an_unknown_name_lists_the_known_ones() -> None:
    assert load_manifest("DUTS-TE") is load_manifest("duts-te")
    with pytest.raises(InputError, match=r"unknown corpus 'imagenet'.*duts-te.*ecssd"):
        load_manifest("imagenet")


def test_a_manifest_of_ones_own(tmp_path: Path) -> None:
    text = (
        'name = "mine"\ntitle = "Mine"\nrole = "test"\ncount = 1\nfolders = ["mine"]\n'
        'licence = "mine"\nterms = "none"\ncitation = "none"\n[[layouts]]\nimages = "a"\nmasks = "b"\n'
    )
    own = tmp_path / "mine.toml"
    own.write_text(text)
    write_images(tmp_path / "mine/a", "x.png")
    write_images(tmp_path / "mine/b", "x.png")
    assert [pair.name for pair in load_pairs(str(own), tmp_path)] == ["x"]
    broken = tmp_path / "broken.toml"
    broken.write_text(text.replace('role = "test"', 'role = "exam"'))
    with pytest.raises(InputError, match=r"broken.toml: role: 'exam' is not one of \['train', 'test', 'clips'\]"):
        load_manifest(str(broken))
    broken2 = tmp_path / "broken2.toml"
    broken2.write_text(text.replace('title = "Mine"\n', "colour = 3\n"))
    with pytest.raises(InputError, match=r"broken2.toml.*colour"):
        load_manifest(str(broken2))


MANIFEST = {
    "name": '"mine"', "title": '"Mine"', "role": '"test"', "count": "1", "folders": '["mine"]', "licence": '""',
    "terms": '""', "citation": '""', "sources": '[{file = "a.zip", urls = ["https://x/a.zip"]}]',
    "layouts": '[{images = "a", masks = "b"}]', "variants": "[]",
}  # fmt: skip


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", '"../../x"'),
        ("name", '"a/b"'),
        ("name", '"x\\n"'),
        ("name", "3"),
        ("title", "[]"),
        ("count", '"many"'),
        ("count", "nan"),
        ("count", "1e400"),
        ("folders", '["/abs"]'),
        ("folders", '[".."]'),
        ("folders", '"mine"'),
        ("folders", "[" * 5000 + "]" * 5000),
        ("sources", '[{file = "/abs", urls = ["https://x/a.zip"]}]'),
        ("sources", '[{file = "a.zip", urls = ["file:///etc/passwd"]}]'),
        ("sources", '[{file = "a.zip", urls = "https://x/a.zip"}]'),
        ("sources", '[{file = "a.zip", urls = [], hash = "crc:1"}]'),
        ("sources", "[3]"),
        ("layouts", '[{images = "../../..", masks = "b"}]'),
        ("layouts", '[{images = "a/../b", masks = "/b"}]'),
        ("layouts", '[{images = "a", masks = "b", image_suffixes = [1]}]'),
        ("variants", '[{name = "x", count = 1, digest = "../x"}]'),
    ],
)
def test_a_manifest_that_leaves_its_folder_or_holds_other_types_is_one_line(
    tmp_path: Path, key: str, value: str
) -> None:
    own = tmp_path / "mine.toml"
    own.write_text("\n".join(f"{name} = {text}" for name, text in (MANIFEST | {key: value}).items()))
    with pytest.raises(InputError, match=rf"mine\.toml(: {key}| is not TOML)") as refused:
        load_manifest(str(own))
    assert len(str(refused.value)) < 600 and "\n" not in str(refused.value)


def test_a_manifest_that_is_no_utf8_text_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_bytes(b"name = '\xff'")
    with pytest.raises(InputError, match=r"mine\.toml is not UTF-8 text"):
        load_manifest(str(tmp_path / "mine.toml"))


def test_the_root_may_be_the_set_or_the_folder_that_holds_it(ecssd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = load_pairs("ecssd", ecssd)
    assert [pair.name for pair in pairs] == ["0001", "0002"]
    assert pairs[0].image == ecssd / "images/0001.jpg" and pairs[0].mask == ecssd / "masks/0001.png"
    assert load_pairs("ecssd", ecssd.parent) == pairs
    monkeypatch.setenv("HARNESS_CORPORA", f"/nowhere:{ecssd.parent}")
    assert load_pairs("ecssd") == pairs


def test_the_cache_is_searched_last_and_archives_may_nest_a_folder(ecssd: Path, tmp_path: Path) -> None:
    nested = tmp_path / "cache/harness/corpora/ECSSD/ECSSD"
    shutil.copytree(ecssd, nested)
    assert load_pairs("ecssd")[0].image == nested / "images/0001.jpg"


def test_the_mirrors_layout_with_images_and_masks_in_one_folder(tmp_path: Path) -> None:
    write_images(tmp_path / "Imgs", "a.jpg", "a.png", "b.jpg", "b.png", "._a.jpg")
    pairs = load_pairs("ecssd", tmp_path)
    assert [(pair.image.name, pair.mask.name) for pair in pairs] == [("a.jpg", "a.png"), ("b.jpg", "b.png")]


def test_absent_sets_and_roots_say_where_was_looked_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"DUTS-TE not found in .*cache.*--root.*HARNESS_CORPORA.*fetch duts-te"):
        load_pairs("duts-te")
    with pytest.raises(InputError, match=r"absent: no such folder"):
        load_pairs("duts-te", tmp_path / "absent")


def test_unpaired_and_empty_sets_are_refused(ecssd: Path, tmp_path: Path) -> None:
    (ecssd / "masks/0002.png").unlink()
    with pytest.raises(InputError, match=r"1 unpaired files, the first is '0002'"):
        load_pairs("ecssd", ecssd)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"no images found"):
        pairs_in(tmp_path / "empty", tmp_path / "empty")


def test_clips_come_as_folders_with_one_mask_per_frame(tmp_path: Path) -> None:
    root = tmp_path / "DAVIS"
    for clip in ("dog", "camel"):
        write_images(root / "JPEGImages/480p" / clip, "00000.jpg", "00001.jpg")
        write_images(root / "Annotations/480p" / clip, "00000.png", "00001.png")
    clips = load_clips("davis-2016", tmp_path)
    assert clips[1] == ClipPair("dog", root / "JPEGImages/480p/dog", root / "Annotations/480p/dog")
    with pytest.raises(InputError, match=r"davis-2016 is a set of clips; image sets are:.*ecssd"):
        load_pairs("davis-2016", tmp_path)
    with pytest.raises(InputError, match=r"ecssd is a set of images; clip sets are:.*davis-2016"):
        load_clips("ecssd", tmp_path)
    (root / "Annotations/480p/dog/00001.png").unlink()
    with pytest.raises(InputError, match=r"dog.*1 unpaired"):
        load_clips("davis-2016", tmp_path)
    shutil.rmtree(root / "Annotations/480p/dog")
    with pytest.raises(InputError, match=r"1 unpaired clips, the first is 'dog'"):
        load_clips("davis-2016", tmp_path)


def test_the_listing_digest_is_over_folder_file_and_size(ecssd: Path) -> None:
    lines = "".join(
        f"{path.parent.name}/{path.name} {path.stat().st_size}\n"
        for pair in load_pairs("ecssd", ecssd)
        for path in (pair.image, pair.mask)
    )
    assert listing_digest(load_pairs("ecssd", ecssd)) == hashlib.sha256(lines.encode()).hexdigest()


def test_the_content_digest_tells_files_of_one_size_apart(ecssd: Path) -> None:
    pairs = load_pairs("ecssd", ecssd)
    lines = "".join(
        f"{path.parent.name}/{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n"
        for pair in pairs
        for path in (pair.image, pair.mask)
    )
    before, listing = content_digest(pairs), listing_digest(pairs)
    assert before == hashlib.sha256(lines.encode()).hexdigest()
    content = bytearray(pairs[0].mask.read_bytes())
    content[-1] ^= 1
    pairs[0].mask.write_bytes(content)
    assert listing_digest(pairs) == listing and content_digest(pairs) != before


def test_real_sets_are_found_in_their_folders(shared: Path) -> None:
    corpora = shared / "corpora"
    assert len(load_pairs("ecssd", corpora / "ECSSD")) == 1000
    assert len(load_pairs("ecssd", corpora)) == 1000
    assert len(load_pairs("duts-tr", corpora)) == 10553
    clips = load_clips("davis-2016", corpora)
    assert [clip.name for clip in clips][:2] == ["blackswan", "camel"] and len(clips) == 7


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_the_clip_digest_heeds_frames_and_masks(kind: str, tmp_path: Path) -> None:
    clip = ClipPair("clip", tmp_path / "frames", tmp_path / "masks")
    clip.masks.mkdir()
    frame, mask = clip.frames, clip.masks / "0.png"
    if kind == "folder":
        clip.frames.mkdir()
        frame = clip.frames / "0.png"
    frame.write_bytes(b"frame")
    mask.write_bytes(b"mask")
    found = {clip_digest(clip), clip_digest(clip, clip)}
    (clip.masks / ".hidden.png").write_bytes(b"left by a Mac")
    assert clip_digest(clip) in found
    for path in (frame, mask):
        path.write_bytes(path.read_bytes().upper())  # other content of the same size
        found.add(clip_digest(clip))
    assert len(found) == 4
