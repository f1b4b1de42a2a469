"""A gate's report as JUnit XML, in the form that Jenkins (xunit plugin, junit-10) checks and GitLab reads."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from bench.record.comparison import Change, GateReport, Outcome, Verdict
from bench.report import changes

_ELEMENTS: dict[Outcome, str] = {"regressed": "failure", "missing": "error", "inconclusive": "skipped"}


def junit(report: GateReport) -> bytes:
    """One XML document: a suite for each metric, a test for each rule of a case.

    A regression is a failure, a missing figure an error, an inconclusive one a skipped test with its reason. The
    schema knows properties only of a suite, so ratio and interval of a test stand there under its name. Characters
    that XML forbids are replaced.
    """
    root = Element("testsuites", {"name": "counterpoise gate", **_counts(report.verdicts, skipped=False)})
    for metric in dict.fromkeys(verdict.metric for verdict in report.verdicts):
        _suite(root, report, metric)
    ElementTree.indent(root)
    return b'<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode").encode() + b"\n"


def _suite(root: Element, report: GateReport, metric: str) -> None:
    verdicts = [verdict for verdict in report.verdicts if verdict.metric == metric]
    suite = SubElement(root, "testsuite", {"name": changes.plain(metric), **_counts(verdicts)})
    properties = SubElement(suite, "properties")
    _property(properties, "baseline", report.baseline)
    _property(properties, "candidate", report.candidate)
    for at, note in enumerate(report.notes, 1):
        _property(properties, f"note {at}", note)
    for verdict in verdicts:
        if verdict.change is not None and verdict.change.ratio is not None:
            _property(properties, f"{_name(verdict)}: ratio", _ratio(verdict.change))
            _property(properties, f"{_name(verdict)}: change", changes.shift(verdict.change))
    for verdict in verdicts:
        _test(suite, verdict)


def _test(suite: Element, verdict: Verdict) -> None:
    test = SubElement(suite, "testcase", classname=changes.plain(verdict.metric), name=_name(verdict), time="0")
    told = "\n".join([changes.because(verdict), *(f"{name}: {value}" for name, value in _figures(verdict))])
    kind = _ELEMENTS.get(verdict.outcome)
    if kind is not None:
        found = SubElement(test, kind, type=verdict.outcome, message=changes.because(verdict))
        found.text = told
    else:
        SubElement(test, "system-out").text = told


def _figures(verdict: Verdict) -> list[tuple[str, str]]:
    """Names and values of what is known of a verdict."""
    change = verdict.change
    found: list[tuple[str, str]] = [("outcome", verdict.outcome)]
    if change is not None:
        before, after = changes.sides(change)
        found += [("baseline", before), ("candidate", after), ("change", changes.shift(change))]
        if change.ratio is not None:
            found.append(("ratio", _ratio(change)))
        found.append(("rests on", changes.evidence(change)))
    if verdict.again is not None:
        found.append(("measured again", changes.shift(verdict.again)))
    if verdict.detectable is not None:
        found.append(("detectable", changes.detectable(verdict)))
    if verdict.p_value is not None:
        found.append(("adjusted p", f"{verdict.p_value:.3g}"))
    return found


def _ratio(change: Change) -> str:
    """`1.042 [1.031, 1.053]`."""
    bounds = "" if change.low is None or change.high is None else f" [{change.low:.6g}, {change.high:.6g}]"
    return f"{change.ratio:.6g}{bounds}"


def _name(verdict: Verdict) -> str:
    return changes.plain(f"{verdict.case} ({verdict.rule})")


def _property(properties: Element, name: str, value: str) -> None:
    SubElement(properties, "property", name=name, value=changes.plain(value))


def _counts(verdicts: Sequence[Verdict], *, skipped: bool = True) -> dict[str, str]:
    outcomes = [verdict.outcome for verdict in verdicts]
    counts = {
        "tests": len(outcomes),
        "failures": outcomes.count("regressed"),
        "errors": outcomes.count("missing"),
    }
    if skipped:
        counts["skipped"] = outcomes.count("inconclusive")
    return {name: str(count) for name, count in counts.items()}
