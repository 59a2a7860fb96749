"""`harness gate`: may these weights go to production?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

import harness
from harness.cli import complete
from harness.cli.events import long
from harness.cli.options import EXECUTORS, AsJson, Policy, Root, Workers, given_options
from harness.cli.progress import remark, stages
from harness.cli.terminal import terminal
from harness.errors import InputError

if TYPE_CHECKING:
    from harness.gate.verdict import Verdict

TEXT = "text"
MEASURING, PAIR = ("root", "workers", "executor"), ("incumbent", "profile")  # what tables at hand have settled
COLOURS = {"PASS": "green", "PROMOTE": "green", "FAIL": "red", "HOLD": "red", "INCONCLUSIVE": "yellow"}


commands = typer.Typer()


def register(app: typer.Typer) -> None:
    """Add the command and what stands under it to the application."""
    app.add_typer(commands, name="gate")


@commands.callback(invoke_without_command=True)
@long
def gate(
    context: typer.Context,
    candidate: Annotated[
        str | None,
        typer.Option("--candidate", help="The new weights: a registry id or a path.", autocompletion=complete.models),
    ] = None,
    incumbent: Annotated[
        str | None,
        typer.Option(
            "--incumbent",
            help="What it must beat: a registry id or a path [default: production].",
            autocompletion=complete.models,
        ),
    ] = None,
    profile: Annotated[str, typer.Option("--profile", help="What to measure on, as the policy names it.")] = "full",
    policy: Policy = None,
    tables: Annotated[
        list[Path] | None,
        typer.Option("--from", help="Measure nothing: judge the tables in this folder; repeatable."),
    ] = None,
    root: Root = None,
    out: Annotated[Path, typer.Option("--out", help="Folder for verdict, evidence and report.")] = Path("runs/gate"),
    workers: Workers = None,
    executor: Annotated[
        str | None, typer.Option("--executor", help=f"Where jobs run, in place of --workers: {EXECUTORS}.")
    ] = None,
    form: Annotated[
        str, typer.Option("--format", help="What to print: text, markdown, github (annotations) or junit (XML).")
    ] = TEXT,
    as_json: AsJson = False,
) -> None:
    """Measure a candidate against the incumbent and decide by the policy: PROMOTE, HOLD or INCONCLUSIVE.

    Exits 0, 1 or 3. A second run takes up what the first one finished. Nothing is promoted here.
    --from judges tables that exist, by the same rules and to the same numbers: the evidence of a run, or with
    --candidate any published ones.

    Example: `harness gate --candidate saliency_student_v2 --profile demo`
    """
    given = given_options(context)
    if inner := context.invoked_subcommand:
        if given:
            raise InputError(f"{' and '.join(given.values())} before {inner} (allowed: after it, what it has itself)")
        return
    from harness.gate.formats import rendered
    from harness.models.registry import PRODUCTION

    _check_format(form, as_json)
    unused = (*MEASURING, *(() if candidate else PAIR)) if tables else ()
    if lost := [given[name] for name in unused if name in given]:
        raise InputError(
            f"{' and '.join(lost)} beside --from (allowed: --policy, and --candidate with --incumbent and --profile)"
        )
    rules = harness.load_policy(policy)
    if tables:
        verdict = harness.judge_folders(
            tables, out, policy=rules, candidate=candidate, incumbent=incumbent or PRODUCTION, profile=profile
        )
    elif candidate is None:
        raise InputError("nothing to judge (allowed: --candidate MODEL, or --from FOLDER with the tables of a run)")
    else:
        with stages() as report:
            verdict = harness.run_gate(
                incumbent or PRODUCTION,
                candidate,
                out,
                profile=profile,
                policy=rules,
                root=root,
                workers=workers,
                executor=executor,
                announce=remark,
                progress=report,
            )
    if as_json:
        typer.echo(verdict.text(), nl=False)
    elif form != TEXT:
        typer.echo(rendered(verdict, form), nl=False)
    else:
        print_verdict(verdict)
        typer.echo(f"wrote {out / 'verdict.json'} and {out / 'verdict.md'}")
    raise typer.Exit(verdict.decision.exit_code)


@commands.command("diff")
def diff(
    before: Annotated[Path, typer.Argument(help="A verdict.json.")],
    after: Annotated[Path, typer.Argument(help="Another one.")],
    every: Annotated[bool, typer.Option("--all", help="Show the checks that did not change, too.")] = False,
) -> None:
    """Show what changed between two verdicts: what was asked, what was measured, what became of each check.

    Example: `harness gate diff runs/gate/verdict.json runs/gate-2/verdict.json`
    """
    from harness.cli.output import print_rows, say
    from harness.gate.diff import about, checks
    from harness.gate.verdict import read_verdict

    first, second = read_verdict(before), read_verdict(after)
    lines, rows = about(first, second), checks(first, second, every)
    for line in lines or ["nothing was asked or made otherwise"] * bool(len(rows)):
        say(line)
    if len(rows):
        print_rows(rows, ".4f")
    elif not lines:
        say("nothing differs")


@commands.command("power")
def power(
    verdict: Annotated[Path, typer.Argument(help="A verdict.json: how far its items lie apart is taken from it.")],
    policy: Policy = None,
    as_json: AsJson = False,
) -> None:
    """Show what data as a verdict's can decide, check by check, and how many items would be needed.

    By the verdict's own policy, or with --policy by another one, before anything is measured by that.

    Example: `harness gate power results/gate/policy-2/v1-v4/verdict.json`
    """
    from harness.cli.output import print_json, print_rows
    from harness.gate.power import analysis
    from harness.gate.verdict import read_verdict

    found = analysis(read_verdict(verdict), harness.load_policy(policy) if policy else None)
    if as_json:
        print_json({"checks": found.to_dict("records")})
    else:
        print_rows(found, ".3g")


@commands.command("history")
def history(
    model: Annotated[str, typer.Argument(help="A candidate, by the name that verdicts have for it.")],
    folders: Annotated[
        list[Path] | None, typer.Argument(help="Where verdicts lie [default: results/gate and runs/gate].")
    ] = None,
    checks: Annotated[
        list[str] | None,
        typer.Option("--check", help="A name or key, * for any letters; repeatable [default: primary checks]."),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Also draw them: a .png, .svg or .pdf, a panel a check.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show a model's numbers over every verdict about it, the oldest first.

    A verdict that lies in several places counts once; what can no longer be read is named and passed over.

    Example: `harness gate history saliency_student_v3 results/gate --check 'accuracy.*'`
    """
    from harness.cli.output import print_json, print_rows, say
    from harness.gate.history import history_of

    found = history_of(model, folders, checks or ())
    if plot:
        found.draw(plot)
    for reason in found.unread:
        say(f"passed over: {reason}", to_stderr=True)
    if as_json:
        print_json({"verdicts": found.as_json()})
    else:
        print_rows(found.rows(), ".4f")


def _check_format(form: str, as_json: bool) -> None:
    """`InputError` before anything is measured."""
    from harness.gate.formats import FORMATS

    if form not in (TEXT, *FORMATS):
        raise InputError(f"unknown format {form!r} (allowed: {', '.join((TEXT, *FORMATS))})")
    if as_json and form != TEXT:
        raise InputError(f"two formats, --json and --format {form} (allowed: one of them)")


@commands.command("recheck")
@long
def recheck(
    verdict: Annotated[Path, typer.Argument(help="A verdict.json, its evidence beside it.")],
    count: Annotated[int, typer.Option(help="Random rows of each kind to measure again.")] = 10,
    root: Root = None,
    seed: Annotated[int | None, typer.Option(help="Draws the rows [default: others each time].")] = None,
) -> None:
    """Measure a random sample of a verdict's rows again: pictures, clips, encodes; and work out its numbers from rows.

    Exits 1 when anything differs. Times and memory are not measured again: they are those of a machine.

    Example: `harness gate recheck runs/gate/verdict.json --count 20 --root /data`
    """
    from harness.cli.output import print_rows, say
    from harness.gate.recheck import recheck, refuse_differing, rounding_said, table_of

    found = recheck(verdict, count, root=root, seed=seed, announce=remark)
    print_rows(table_of(found), ".4f")
    refuse_differing(found, verdict)
    say(f"{verdict}: all {len(found)} are what they were{rounding_said(found)}")


def print_verdict(verdict: Verdict) -> None:
    """The table of checks and the decision, on the terminal."""
    from harness.gate.text import interval, rule_text, shown, summary
    from harness.gate.verdict import Outcome

    console = terminal()
    table = Table(title=f"{verdict.candidate.id} against {verdict.incumbent.id} (profile {verdict.profile})")
    table.add_column("check")
    table.add_column("value and interval", no_wrap=True)
    table.add_column("rule", no_wrap=True)
    table.add_column("outcome", no_wrap=True)
    group = verdict.checks[0].group
    for check in verdict.checks:
        if check.group != group:
            table.add_section()
            group = check.group
        name = f"{check.name} *" if check.primary else check.name
        value = " ".join(text for text in (shown(check.value, check.unit), interval(check)) if text != "–") or "–"
        table.add_row(name, value, rule_text(check), Text(check.outcome, COLOURS[check.outcome]))
    console.print(table)
    console.print("* primary: Holm's correction over these", style="dim")
    console.print(Text.assemble((verdict.decision, f"bold {COLOURS[verdict.decision]}"), f"  {summary(verdict)}"))
    if verdict.look:
        console.print(f"at {verdict.look}", style="dim")
    for check in verdict.checks:
        if check.outcome is not Outcome.PASS:
            outcome = (check.outcome, COLOURS[check.outcome])
            console.print(Text.assemble("  ", outcome, f" {check.name}: {check.reason}"))
    for key, reason in verdict.unchecked.items():
        console.print(f"  not checked, as the policy allows: {key}: {reason}", style="dim")
    for limit in verdict.limits:
        console.print(f"  {limit}", style="dim")
