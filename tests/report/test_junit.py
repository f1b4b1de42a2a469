"""JUnit XML: read by any parser, in the form that Jenkins checks, with the right outcome for each rule."""

from __future__ import annotations

from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest
from hypothesis import example, given

from bench.record.comparison import Outcome
from bench.report.junit import junit
from tests.report.test_gate_report import NASTY, anything, change, mixed, report, share, verdict

# What the schema of Jenkins' xunit plugin (junit-10) lets an element have of what is used here: children, attributes
# that must be there, attributes that may be.
SCHEMA: dict[str, tuple[set[str], set[str], set[str]]] = {
    "testsuites": ({"testsuite"}, set(), {"name", "time", "tests", "failures", "errors"}),
    "testsuite": (
        {"properties", "testcase", "system-out", "system-err"},
        {"name", "tests", "failures", "errors"},
        {"skipped", "time", "timestamp", "hostname", "id", "package"},
    ),
    "properties": ({"property"}, set(), set()),
    "property": (set(), {"name", "value"}, set()),
    "testcase": ({"skipped", "error", "failure", "system-out", "system-err"}, {"name"}, {"classname", "time", "group"}),
    "failure": (set(), set(), {"type", "message"}),
    "error": (set(), set(), {"type", "message"}),
    "skipped": (set(), set(), {"type", "message"}),
    "system-out": (set(), set(), set()),
}
MIXED = frozenset({"failure", "error", "skipped", "system-out"})


def checked(element: Element) -> Element:
    """The element, after it was held against the schema, with all that is in it."""
    children, required, optional = SCHEMA[element.tag]
    assert {child.tag for child in element} <= children
    assert required <= set(element.attrib) <= required | optional
    if element.tag not in MIXED:
        assert not (element.text or "").strip()
    for child in element:
        assert not (child.tail or "").strip()
        checked(child)
    return element


def parsed(xml: bytes) -> Element:
    return checked(ElementTree.fromstring(xml))


@pytest.mark.parametrize(
    ("outcome", "element"),
    [("regressed", "failure"), ("missing", "error"), ("inconclusive", "skipped"), ("improved", None), ("pass", None)],
)
def test_each_outcome_has_its_element_with_the_reason(outcome: Outcome, element: str | None) -> None:
    (case,) = parsed(junit(report(verdict(outcome)))).iter("testcase")
    found = [child for child in case if child.tag != "system-out"]
    assert [child.tag for child in found] == ([element] if element else [])
    for child in found:
        assert f"the reason why it is {outcome}" in child.attrib["message"]
        assert "+4.2 % [3.1, 5.3]" in (child.text or "")


def test_counts_agree_with_what_is_counted() -> None:
    root = parsed(junit(mixed(regressed=2, missing=3, inconclusive=4, improved=5, passed=6)))
    assert root.attrib["tests"] == "20"
    for suite in root:
        assert int(suite.attrib["tests"]) == len(suite.findall("testcase"))
        for count, element in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(suite.attrib[count]) == len(suite.findall(f"testcase/{element}"))


def test_a_metric_is_a_suite_and_ratio_and_interval_are_its_properties() -> None:
    quality = verdict("pass", metric="accuracy", rule="accuracy = -0.5pt", change=share(0.97, 0.96))
    root = parsed(junit(report(verdict(), quality, notes=("compared in spite of kernel",))))
    assert [suite.attrib["name"] for suite in root] == ["p50_latency", "accuracy"]
    properties = {p.attrib["name"]: p.attrib["value"] for p in root.iter("property")}
    (ratio,) = [value for name, value in properties.items() if name.endswith('(p50_latency = "2%"): ratio')]
    assert ratio == "1.042 [1.031, 1.053]"
    assert "-1.00 pt" in properties.values()
    assert properties["note 1"] == "compared in spite of kernel"
    assert (properties["baseline"], properties["candidate"]) == ("main", "branch")


def test_two_rules_for_one_case_are_two_tests() -> None:
    of = report(verdict("pass"), verdict("regressed", rule="p50_latency <= 8ms"))
    names = [case.attrib["name"] for case in parsed(junit(of)).iter("testcase")]
    assert len(set(names)) == 2


@example(NASTY, NASTY, NASTY, NASTY)
@given(anything, anything, anything, anything)
def test_whatever_the_texts_hold_it_is_valid_xml(case: str, rule: str, reason: str, metric: str) -> None:
    labelled = change(case=case, metric=metric, unit=metric, labels=(reason,))
    for outcome in ("regressed", "pass"):
        of = verdict(outcome, case, rule=rule, reason=reason, metric=metric, change=labelled)  # type: ignore[arg-type]
        root = parsed(junit(report(of, notes=(reason,))))
        assert len(list(root.iter("testcase"))) == 1


def test_a_gate_without_verdicts_is_a_document_too() -> None:
    assert parsed(junit(report())).attrib["tests"] == "0"


def test_a_verdict_without_a_change_holds_its_outcome_and_no_figures() -> None:
    (case,) = parsed(junit(report(verdict("missing", change=None)))).iter("testcase")
    told = "".join(child.text or "" for child in case)
    assert "outcome: missing" in told
    assert "baseline" not in told
    assert "ratio" not in told
