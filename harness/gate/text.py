"""A verdict in words: its page, its one sentence, and how numbers, intervals and rules are written."""

from __future__ import annotations

from harness.cells import readable
from harness.gate.judge import rules_of
from harness.gate.policy import policy_of
from harness.gate.power import foresee
from harness.gate.verdict import Check, Outcome, Side, Verdict


def markdown(verdict: Verdict) -> str:
    """The verdict as a page that people read: decision, what stands in its way, every check, provenance."""
    lines = [f"# {verdict.decision}: {verdict.candidate.id} against {verdict.incumbent.id}", "", summary(verdict), ""]
    lines += [f"Decided at {verdict.look}.", ""] if verdict.look else []
    lines += [f"- {limit}" for limit in verdict.limits] + [""] * bool(verdict.limits)
    unchecked = [f"- not checked, as the policy allows: {key}: {why}" for key, why in verdict.unchecked.items()]
    lines += unchecked + [""] * bool(unchecked)
    lines += ["| group | check | value | interval | rule | margin | outcome | why |", "| --- " * 8 + "|"]
    for check in verdict.checks:
        name = f"**{check.name}** (primary)" if check.primary else check.name
        cells = [check.group, name, shown(check.value, check.unit), interval(check), rule_text(check)]
        cells += [shown(check.margin, check.unit), str(check.outcome), check.reason]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    lines += _power(verdict)
    lines += ["", "Inputs:", ""]
    lines += [f"- {side}: `{model.id}`, `{model.file}`, sha256 `{model.sha256}`" for side, model in _sides(verdict)]
    lines += [f"- policy: `{verdict.policy['name']}`, sha256 `{verdict.policy['sha256']}`, profile `{verdict.profile}`"]
    lines += [f"- {name}: `{digest}`" for name, digest in sorted(verdict.inputs.items())]
    lines += [f"- code: `{verdict.code['commit'] or verdict.code['digest']}`"]
    lines += [
        "",
        "Repeat with (the first line measures every group; each other one repeats the numbers of a part); "
        "`harness gate --from` judges the tables again:",
        "",
        "```",
        *verdict.commands,
        "```",
        "",
        f"Digest of this verdict: `{verdict.digest}`",
    ]
    return "\n".join(lines) + "\n"


def _power(verdict: Verdict) -> list[str]:
    """What the data could show, check by check, as the policy foresaw it."""
    policy = policy_of(dict(verdict.policy["content"]))
    foreseen = foresee(policy, rules_of(policy, policy.profile(verdict.profile), verdict.unchecked))
    if not foreseen:
        return []
    place = {check.key: number for number, check in enumerate(verdict.checks)}
    foreseen.sort(key=lambda each: place.get(each.rule.key, len(place)))  # a policy's own order is not kept in JSON
    level = policy.content["power"]["level"]
    head = [f"What this data could show, foreseen from how far items lie apart ({level:.0%} power):", ""]
    head += ["| check | items | smallest effect | effect to be decided | items for that |", "| --- " * 5 + "|"]
    return ["", *head] + [
        f"| {each.rule.name} | {each.items} | {each.smallest:.3g} | {each.asked:.3g} | {each.needed or 'too many'} |"
        for each in foreseen
    ]


def summary(verdict: Verdict) -> str:
    """One sentence: how many checks passed, and the first that did not."""
    count = {outcome: sum(check.outcome is outcome for check in verdict.checks) for outcome in Outcome}
    text = f"{count[Outcome.PASS]} of {len(verdict.checks)} checks pass"
    for outcome, word in ((Outcome.FAIL, "fail"), (Outcome.INCONCLUSIVE, "undecided")):
        if count[outcome]:
            first = next(check for check in verdict.checks if check.outcome is outcome)
            text += f", {count[outcome]} {word} (first: {first.name})"
    return text + "."


def shown(value: float | None, unit: str = "") -> str:
    """A number as people read it; facts as yes or no.

    >>> shown(0.01234), shown(1.0, "fact"), shown(None)
    ('0.0123', 'yes', '–')
    """
    if value is None:
        return "–"
    if unit == "fact":
        return "yes" if value else "no"
    return readable(value)


def value_text(check: Check | None) -> str:
    """A check's value and interval; a dash where there is no check or no value."""
    if check is None or check.value is None:
        return "–"
    bounds = interval(check)
    return shown(check.value, check.unit) + ("" if bounds == "–" else f" {bounds}")


def interval(check: Check) -> str:
    """`[low, high]`, or a dash."""
    if check.low is None or check.high is None:
        return "–"
    return f"[{shown(check.low)}, {shown(check.high)}]"


def rule_text(check: Check) -> str:
    """The rule as a formula."""
    sign = {"superior": "low >", "at_least": "low ≥", "at_most": "high ≤", "fact": "must hold"}[check.rule]
    return sign if check.rule == "fact" else f"{sign} {check.threshold:g}"


def _sides(verdict: Verdict) -> list[tuple[str, Side]]:
    return [("incumbent", verdict.incumbent), ("candidate", verdict.candidate)]
