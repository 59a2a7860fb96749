"""Damage to bytes as luck and malice do it: the same number gives the same damage."""

from __future__ import annotations

import random
import re

WORDS = [
    *(b"NaN", b"Infinity", b"-1", b"0", b"1e400", b"1" + b"0" * 400, b"9" * 5000, b"null", b"true", b'""', b"[]"),
    *(b"[" * 200_000, b'{"a":' * 20_000, b"../../x", b"/abs", b"\\ud800", b"\xff\xfe", b"\0", b"\n"),
    *(b"{}", b"W0", b"H", b"W100000"),
    *(b"nan", b"inf", b"1979-05-27", b"'", b'"', b"[[x]]", b"\x7fELF", b"\xff" * 8, b"\x00" * 8, b"\x80\x80\x80\x10"),
]  # fmt: skip
_TOKEN = re.compile(rb'"[^"]*"|[-\w.+]+')


def mutated(seed: bytes, number: int) -> bytes:
    """`seed` with one to four pieces of damage."""
    luck = random.Random(number)
    data = bytearray(seed)
    for _ in range(luck.choice((1, 1, 1, 2, 4))):
        _damage(data, luck)
    return bytes(data)


def _damage(data: bytearray, luck: random.Random) -> None:
    at = luck.randrange(len(data) + 1)
    kind = luck.randrange(7)
    if kind == 0:
        del data[at:]
    elif kind == 1 and at < len(data):
        data[at] ^= 1 << luck.randrange(8)
    elif kind == 2:
        data[at:at] = luck.choice(WORDS)
    elif kind == 3:
        del data[at : at + luck.randrange(1, 40)]
    elif kind == 4:
        data[at:at] = data[at : at + luck.randrange(1, 200)]
    elif tokens := list(_TOKEN.finditer(bytes(data[:20_000]))):
        token = luck.choice(tokens)
        data[token.start() : token.end()] = luck.choice(WORDS)
