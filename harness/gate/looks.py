"""Looks at growing data that a policy declares beforehand: what each is over, and what it takes for certain."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.errors import InputError
from harness.gate.policy import Policy, Profile
from harness.gate.verdict import Look
from harness.sequential import look_levels, spent_by

SECTION = "sequential"
TELLING = 10  # resamples beyond a bound: fewer do not say where it lies
LAST = 1.0  # the share of the last look
DIGITS = 9  # of a level: tables say it, and the last digits of an integral are the library's


@dataclass(frozen=True)
class Looks:
    """A policy's section `sequential`: `shares` of every set, growing to 1, and how the error is spent over them."""

    shares: tuple[float, ...]
    spending: str

    @classmethod
    def of(cls, policy: Policy) -> Looks | None:
        """The policy's looks; None where it looks once, at all of the data."""
        given = policy.content.get(SECTION)
        return None if given is None else cls(tuple(map(float, given["looks"])), str(given["spending"]))


def looks_of(policy: Policy) -> tuple[int | None, ...]:
    """The numbers of a policy's looks, from 1, or one None."""
    looks = Looks.of(policy)
    return (None,) if looks is None else tuple(range(1, len(looks.shares) + 1))


def refuse_bad_looks(policy: Policy, profile: Profile) -> None:
    """`InputError` for shares that do not grow to 1, a look at too little, and one that resamples cannot tell."""
    looks = Looks.of(policy)
    if looks is None:
        return
    grows = all(one < other for one, other in zip(looks.shares, looks.shares[1:], strict=False))
    if not grows or looks.shares[-1] != LAST:
        raise InputError(f"policy: sequential.looks: {list(looks.shares)} (allowed: shares that grow to 1.0)")
    for number, share in enumerate(looks.shares, start=1):
        few, how = at_share(profile, share, policy.statistics.seed), at_look(policy, number).statistics
        if len(few.clip_names) < 3:
            raise InputError(
                f"policy: sequential.looks: {share:g} of {len(profile.clip_names)} clips is {len(few.clip_names)} "
                f"(allowed: shares of 3 clips or more)"
            )
        beyond = (1 - how.level) / 2 * how.resamples
        if beyond < TELLING and any(count >= how.small for count in few.pairs.values()):
            needed = math.ceil(2 * TELLING / (1 - how.level)) if how.level < 1 else None
            more = f"{needed:,} resamples or more, " if needed and needed <= 1_000_000 else ""
            raise InputError(
                f"policy: sequential.looks: at {share:g} of the data the error is {1 - how.level:.2g}, and "
                f"{how.resamples:,} resamples do not tell it (allowed: {more}a later first look, or pocock)"
            )


def at_look(policy: Policy, number: int | None) -> Policy:
    """The rules as one look applies them: intervals are at its level. `InputError` for a look that there is not.

    None stands for all of the data: of a policy with looks, the last one.
    """
    looks, declared = Looks.of(policy), looks_of(policy)
    if looks is None and number is None:
        return policy
    if looks is None or number not in (None, *declared):
        allowed = ", ".join(map(str, declared)) if looks else "none: it declares no looks"
        raise InputError(f"look {number} of policy {policy.name} (allowed: {allowed})")
    place, how = (number or len(looks.shares)) - 1, policy.statistics
    two_sided = look_levels(looks.shares, 1 - how.level, looks.spending)[place]
    one_sided = look_levels(looks.shares, 2 * (1 - how.level), looks.spending)[place]
    return replace(
        policy,
        statistics=replace(how, level=round(1 - two_sided, DIGITS)),
        one_sided=replace(how, level=round(1 - one_sided, DIGITS)),
    )


def at_share(profile: Profile, share: float, seed: int) -> Profile:
    """A profile's part of the data: that share of its clips and of each set's pairs, in an order by chance."""
    if share == LAST:
        return profile
    chosen = set(by_chance(profile.clip_names, seed)[: _part(len(profile.clip_names), share)])
    return replace(
        profile,
        clip_names=tuple(name for name in profile.clip_names if name in chosen),
        pairs={corpus: _part(count, share) for corpus, count in profile.pairs.items()},
    )


def profile_at(policy: Policy, profile: Profile, number: int | None) -> Profile:
    """The part of a profile that a look of the policy is over."""
    looks = Looks.of(policy)
    if looks is None or number is None:
        return profile
    return at_share(profile, looks.shares[number - 1], policy.statistics.seed)


def by_chance(names: Sequence[str], seed: int) -> list[str]:
    """Names in an order that no model has a say in: by the SHA-256 of seed and name.

    >>> by_chance(["a", "b", "c"], 0)
    ['b', 'a', 'c']
    """
    return sorted(names, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).hexdigest())


def look_of(policy: Policy, profile: Profile, number: int | None) -> Look | None:
    """What a verdict says of the look that it was given at; `policy` and `profile` are the whole ones."""
    looks = Looks.of(policy)
    if looks is None:
        return None
    number = number or len(looks.shares)
    share, alpha = looks.shares[number - 1], 1 - policy.statistics.level
    part = at_share(profile, share, policy.statistics.seed)
    counts = {corpus: f"{part.pairs[corpus]} of {profile.pairs[corpus]} pairs" for corpus in profile.accuracy}
    counts[profile.clips] = f"{len(part.clip_names)} of {len(profile.clip_names)} clips"
    spent = spent_by(share, alpha, looks.spending)
    level = look_levels(looks.shares, alpha, looks.spending)[number - 1]
    return Look(number, looks.shares, looks.spending, alpha, spent, level, counts)


def _part(count: int, share: float) -> int:
    return min(count, math.ceil(round(share * count, 9)))
