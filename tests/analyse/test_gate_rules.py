"""Rules of a gate in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analyse.rules import in_force, parse_rule, parse_word, rules_of
from bench.errors import UserError


@given(st.floats(0, 90, allow_nan=False).map(lambda x: round(x, 3)))
def test_a_share_is_how_much_worse_a_figure_may_get(percent):
    rule = parse_rule("p50_latency", f"{percent}%")
    assert rule.form == "share"
    assert rule.limit == pytest.approx(percent / 100)


def test_points_are_of_a_share_and_a_budget_has_the_unit_of_the_figure():
    assert parse_rule("accuracy", "-0.5pt").limit == pytest.approx(0.005)
    assert parse_rule("p99_latency", "<= 8ms").limit == pytest.approx(0.008)
    assert parse_rule("peak_rss", "<= 300 MiB").limit == 300 * 2**20
    assert parse_rule("accuracy", ">= 97%").limit == pytest.approx(0.97)
    assert parse_rule("throughput", ">= 1000/s").limit == 1000


@pytest.mark.parametrize(
    ("metric", "text", "said"),
    [
        ("p50_latenzy", "5%", "did you mean 'p50_latency'"),
        ("p50_latency", "fast", "is no rule"),
        ("p50_latency", "-0.5pt", "has no points"),
        ("p50_latency", ">= 8ms", "the better side"),
        ("p50_latency", "<= 8MB", "no unit"),
        ("p50_latency", "<= 8", "no unit"),
        ("power", "", "is no rule"),
        ("idle_power", "5%", "no value of idle_power is better"),
        ("throughput", "100%", "cannot lose"),
        ("p50_latency", "-5%", "is an improvement"),
        ("throughput", "+5%", "is an improvement"),
    ],
)
def test_what_makes_no_rule_is_refused_with_its_place(metric, text, said):
    with pytest.raises(UserError) as caught:
        parse_rule(metric, text, where="s.toml: gate")
    assert said in str(caught.value)
    assert "s.toml: gate" in str(caught.value)


def test_a_table_has_rules_for_all_cases_and_for_some():
    rules = rules_of({"p50_latency": "5%", "*/int8/*": {"p50_latency": "3%", "p99_latency": "<= 8ms"}}, "gate")
    of = {case: {str(rule) for rule in in_force(rules, case)} for case in ("m/fp32/x", "m/int8/x")}
    assert of["m/fp32/x"] == {"p50_latency 5%"}
    assert of["m/int8/x"] == {"*/int8/*: p50_latency 3%", "*/int8/*: p99_latency <= 8ms"}


def test_a_budget_and_a_share_of_one_figure_hold_together_and_the_later_of_one_kind_wins():
    rules = [parse_word(word, "--rule") for word in ("p50_latency=5%", "p50_latency<=8ms", "p50_latency=2%")]
    assert [str(rule) for rule in in_force(rules, "m")] == ["p50_latency 2%", "p50_latency <= 8ms"]


def test_a_word_may_name_its_cases():
    rule = parse_word("m@a[1]/int8/*: size=0%", "--rule")
    assert (rule.cases, rule.metric, rule.limit) == ("m@a[1]/int8/*", "size", 0)
    with pytest.raises(UserError, match="is no rule"):
        parse_word("p50_latency", "--rule")
