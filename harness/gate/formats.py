"""A verdict for those who are no terminal: a Markdown page, annotations of GitHub Actions, JUnit's XML."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

from harness.errors import InputError
from harness.gate.text import markdown, rule_text, summary, value_text
from harness.gate.verdict import Check, Outcome, Verdict

STEP_SUMMARY = "GITHUB_STEP_SUMMARY"  # where a runner names the file whose Markdown it shows on the run's page
SUITE = "harness gate"
LEVELS = {Outcome.FAIL: "error", Outcome.INCONCLUSIVE: "warning"}
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def rendered(verdict: Verdict, form: str) -> str:
    """A verdict in one of `FORMATS`.

    Args:
        verdict: What to show.
        form: `markdown` (its page), `github` (annotations, one a check that does not pass; the page is also appended to
            the file that the environment names by `GITHUB_STEP_SUMMARY`) or `junit` (XML, a testcase a check).

    Returns:
        The text; of the same verdict the same, whenever it is asked for.

    Raises:
        InputError: For another form, and where the summary's file cannot be written.
    """
    if form not in FORMATS:
        raise InputError(f"unknown format {form!r} (allowed: {', '.join(FORMATS)})")
    if form == "github" and (place := os.environ.get(STEP_SUMMARY)):
        _append(Path(place), markdown(verdict))
    return FORMATS[form](verdict)


def github(verdict: Verdict) -> str:
    """Workflow commands: an error for each FAIL, a warning for each INCONCLUSIVE, and a notice with the decision."""
    lines = [
        _command(LEVELS[check.outcome], f"{check.outcome}: {check.name}", _finding(check))
        for check in verdict.checks
        if check.outcome in LEVELS
    ]
    said = [f"{verdict.candidate.id} against {verdict.incumbent.id}: {summary(verdict)}", *verdict.limits]
    said += [f"not checked, as the policy allows: {key}: {reason}" for key, reason in verdict.unchecked.items()]
    return "\n".join([*lines, _command("notice", str(verdict.decision), "\n".join(said))]) + "\n"


def junit(verdict: Verdict) -> str:
    """JUnit's XML without times: FAIL is a failure, INCONCLUSIVE an error, what the policy does without is skipped."""
    count = {outcome: sum(check.outcome is outcome for check in verdict.checks) for outcome in Outcome}
    skipped = verdict.unchecked
    numbers = {
        "tests": len(verdict.checks) + len(skipped),
        "failures": count[Outcome.FAIL],
        "errors": count[Outcome.INCONCLUSIVE],
        "skipped": len(skipped),
    }
    head = {"name": SUITE, **{name: str(number) for name, number in numbers.items()}}
    root = ElementTree.Element("testsuites", head)
    suite = ElementTree.SubElement(root, "testsuite", head)
    about = [("decision", str(verdict.decision)), ("profile", verdict.profile), ("policy", verdict.policy["sha256"])]
    about += [("incumbent", verdict.incumbent.id), ("candidate", verdict.candidate.id), ("digest", verdict.digest)]
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in [*about, *(("limit", limit) for limit in verdict.limits)]:
        ElementTree.SubElement(properties, "property", {"name": name, "value": _plain(value)})
    for check in verdict.checks:
        case = _case(suite, check.group, check.name)
        if check.outcome is not Outcome.PASS:
            kind = "failure" if check.outcome is Outcome.FAIL else "error"
            told = {"type": str(check.outcome), "message": _plain(_finding(check))}
            ElementTree.SubElement(case, kind, told)
    for key, reason in skipped.items():
        ElementTree.SubElement(_case(suite, key.partition(".")[0], key), "skipped", {"message": _plain(reason)})
    ElementTree.SubElement(suite, "system-out").text = _plain(summary(verdict))
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


FORMATS: dict[str, Callable[[Verdict], str]] = {"markdown": markdown, "github": github, "junit": junit}


def _finding(check: Check) -> str:
    """What a check that does not pass found, what it asked for, and why it is so."""
    return f"{value_text(check)} ({rule_text(check)}): {check.reason}"


def _command(level: str, title: str, message: str) -> str:
    """A line that a runner reads; in a title a colon or comma would end it.

    >>> _command("error", "FAIL: iou", "50 % too low\\nsee above")
    '::error title=FAIL%3A iou::50 %25 too low%0Asee above'
    """
    title = _escaped(title).replace(":", "%3A").replace(",", "%2C")
    return f"::{level} title={title}::{_escaped(message)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _case(suite: ElementTree.Element, group: str, name: str) -> ElementTree.Element:
    return ElementTree.SubElement(suite, "testcase", {"classname": f"gate.{_plain(group)}", "name": _plain(name)})


def _plain(text: str) -> str:
    """Text without what no XML can hold."""
    return _NO_XML.sub("\ufffd", text)


def _append(path: Path, text: str) -> None:
    try:
        with path.open("a", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise InputError(f"cannot write {path}, which {STEP_SUMMARY} names: {error.strerror or error}") from error
