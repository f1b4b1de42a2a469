"""Units, quantities and parts: what they are by hand, and what they say where there is no answer."""

from __future__ import annotations

import pytest

from bench.analyse.cost.parts import leaf, missing, scaled, stated, total, unknown_as
from bench.analyse.cost.quantity import TOO_LARGE, Quantity, Unknown, number
from bench.analyse.cost.units import UnitError, combined, parse, written
from bench.record.cost import Part
from bench.record.measurement import Measurement


def known(value: float, low: float | None = None, high: float | None = None, sure: float | None = 0.95) -> Quantity:
    return Quantity(value=value, low=low, high=high, confidence=sure)


def figure(value: float | None, unit: str = "s", how: str = "measured:clock", **ends: float) -> Measurement:
    return Measurement(value=value, unit=unit, n=9, how=how, **ends)


# Units


@pytest.mark.parametrize(
    ("unit", "scale", "base"),
    [
        ("1", 1.0, "1"),
        ("s", 1.0, "s"),
        ("h", 3600.0, "s"),
        ("month", 730.5 * 3600, "s"),
        ("J", 1.0, "J"),
        ("kWh", 3.6e6, "J"),
        ("W", 1.0, "J/s"),
        ("kg", 1000.0, "g"),
        ("1/s", 1.0, "1/s"),
        ("1/h", 1 / 3600, "1/s"),
        ("USD/h", 1 / 3600, "USD/s"),
        ("g/kWh", 1 / 3.6e6, "g/J"),
        ("kg/kWh/h", 1000 / 3.6e6 / 3600, "g/J·s"),
        ("W/s", 1.0, "J/s^2"),
    ],
)
def test_a_unit_is_so_many_of_its_base_unit(unit: str, scale: float, base: str) -> None:
    size, powers = parse(unit)
    assert size == pytest.approx(scale, rel=1e-12)
    assert written(powers) == base


def test_powers_that_cancel_are_gone_and_names_are_in_order() -> None:
    joule, second = parse("J")[1], parse("s")[1]
    assert combined(joule, joule, -1) == ()
    assert combined(second, joule) == combined(joule, second) == (("J", 1), ("s", 1))
    assert written(combined(combined(joule, joule), second)) == "J^2·s"
    assert written(combined((), combined(second, second), -1)) == "1/s^2"


@pytest.mark.parametrize("unit", ["furlong", "usd", "USDX", "US", "1/furlong", ""])
def test_what_is_no_unit_is_refused_as_it_was_written(unit: str) -> None:
    with pytest.raises(UnitError) as caught:
        parse(unit)
    assert str(caught.value) == f"no unit is written {unit!r}"


def test_sums_and_figures_of_another_unit_say_which_two() -> None:
    with pytest.raises(UnitError) as caught:
        Quantity.exact(1, "W") - Quantity.exact(1, "USD/h")
    assert str(caught.value) == "J/s and USD/s do not add up"
    with pytest.raises(UnitError) as caught:
        Quantity.exact(1, "W").figure("kWh")
    assert str(caught.value) == "a figure in J/s is not one in kWh"


# Quantities from figures and back


def test_a_measured_figure_keeps_its_interval_in_base_units() -> None:
    found = Quantity.of(figure(2.0, "h", low=1.0, high=4.0, confidence=0.9))
    assert (found.value, found.low, found.high, found.confidence) == (7200, 3600, 14400, 0.9)
    assert (found.guesses, found.projected) == ((), ())
    back = found.figure("h")
    assert (back.value, back.unit, back.low, back.high, back.confidence, back.n) == (2.0, "h", 1.0, 4.0, 0.9, 0)
    assert back.how == "computed:from measured and stated figures"
    assert found.figure("s", "stated:me").how == "stated:me"


@pytest.mark.parametrize("ends", [{"low": 1.0}, {"high": 3.0}, {}])
def test_half_an_interval_is_none(ends: dict[str, float]) -> None:
    found = Quantity.of(figure(2.0, **ends, confidence=0.9))
    assert (found.low, found.high, found.confidence) == (None, None, None)
    assert (found.figure("s").low, found.figure("s").high) == (None, None)


def test_a_stated_figure_is_exact_and_has_no_confidence() -> None:
    found = Quantity.of(figure(2.0, "h", "stated:me", confidence=0.9))
    assert (found.low, found.high, found.confidence) == (7200, 7200, None)


def test_reasons_of_an_estimate_and_of_a_projection_come_apart() -> None:
    guessed = Quantity.of(figure(1.0, how="estimated:tdp; two: parts"))
    assert guessed.guesses == ("tdp", "two: parts")
    assert guessed.how == "estimated:tdp; two: parts"
    projected = Quantity.of(figure(1.0, how="projected:T4; A10"))
    assert (projected.projected, projected.guesses) == (("T4", "A10"), ())
    assert projected.how == "projected:T4; A10"


def test_a_figure_that_is_missing_is_unknown_for_its_reason() -> None:
    with pytest.raises(Unknown) as caught:
        Quantity.of(figure(None, how="unavailable:no counter"))
    assert str(caught.value) == "no counter"


# Arithmetic


def test_ends_are_the_extremes_of_the_ends_and_the_confidence_is_the_lower() -> None:
    one, other = known(2, -1, 3, 0.99), known(5, 4, 10, 0.9)
    assert one + other == known(7, 3, 13, 0.9)
    assert one - other == known(-3, -11, -1, 0.9)
    assert one * other == known(10, -10, 30, 0.9)
    assert one / other == known(0.4, -0.25, 0.75, 0.9)
    assert one * 2 == known(4, -2, 6, 0.99)
    assert one / 2 == known(1, -0.5, 1.5, 0.99)
    assert Quantity.exact(3.0) + Quantity.exact(4.0) == Quantity.exact(7.0)


@pytest.mark.parametrize("open_end", [known(2.0), known(2.0, None, 3.0), known(2.0, 1.0, None)])
def test_an_end_that_is_not_known_leaves_both_open_and_the_confidence_with_them(open_end: Quantity) -> None:
    for found in (open_end + known(1, 0.5, 1.5), known(1, 0.5, 1.5) * open_end):
        assert (found.low, found.high, found.confidence) == (None, None, None)


def test_reasons_are_told_once_and_in_the_order_they_came() -> None:
    a, b = Quantity.exact(1.0).guessed("x", "", "y"), Quantity.exact(1.0).guessed("y", "z")
    assert a.guesses == ("x", "y")
    assert (a + b).guesses == ("x", "y", "z")
    assert (b * a).guesses == ("y", "z", "x")
    onto = Quantity(value=1.0, projected=("T4",))
    assert ((onto + a).projected, (a + onto).projected) == (("T4",), ("T4",))
    assert (a + onto).how == "projected:T4; x; y"


@pytest.mark.parametrize("divisor", [0.0, -2.0])
def test_there_is_no_quotient_by_nothing_or_less(divisor: float) -> None:
    with pytest.raises(Unknown) as caught:
        Quantity.exact(1.0) / Quantity.exact(divisor, "W")
    assert str(caught.value) == f"there is nothing to divide by: {divisor:g} J/s"


@pytest.mark.parametrize("low", [0.0, -1.0])
def test_a_divisor_that_may_be_nothing_leaves_no_interval(low: float) -> None:
    found = known(6, 5, 7) / known(2, low, 3)
    assert (found.value, found.low, found.high, found.confidence) == (3, None, None, None)
    assert (known(6, 5, 7) / known(2, 1e-3, 3)).high == 7000


def test_what_is_too_large_for_a_number_is_unknown_and_an_end_that_is_leaves_none() -> None:
    with pytest.raises(Unknown, match=TOO_LARGE):
        Quantity.exact(1e200) * Quantity.exact(1e200)
    found = known(1.0, 0.5, 1e200) * known(1.0, 0.5, 1e200)
    assert (found.value, found.low, found.high, found.confidence) == (1.0, None, None, None)


@pytest.mark.parametrize(("value", "up"), [(2.0, 2), (2.0 + 1e-12, 2), (2.001, 3), (0.2, 1), (0.0, 0)])
def test_rounding_up_takes_all_three(value: float, up: float) -> None:
    assert known(value, value, value).ceil() == known(up, up, up)
    assert known(value).ceil() == known(up)
    assert known(1.5, 0.5, 2.5).ceil() == known(2, 1, 3)


def test_noise_below_nothing_is_nothing() -> None:
    assert known(-1.0, -2.0, 0.5).not_negative() == known(0.0, 0.0, 0.5)
    assert known(1.0, -0.5, 2.0).not_negative() == known(1.0, 0.0, 2.0)
    assert known(0.5, 0.25, 0.75).not_negative() == known(0.5, 0.25, 0.75)


def test_a_lower_end_only_goes_down() -> None:
    assert known(4, 3, 5).from_low(1) == known(4, 1, 5)
    assert known(4, 3, 5).from_low(3.5) == known(4, 3, 5)
    assert (known(4, 3, 5).from_low(None).low, known(4, 3, 5).from_low(None).high) == (None, None)
    assert (known(4, None, 5).from_low(1).low, known(4, None, 5).from_low(1).high) == (None, None)
    assert (known(4, 3, None).from_low(1).low, known(4, 3, None).from_low(1).high) == (None, None)


@pytest.mark.parametrize(
    ("value", "told"),
    [(0.000123456, "0.0001235"), (12.3456, "12.35"), (999.4, "999.4"), (1000.0, "1,000"), (-1234567.2, "-1,234,567")],
)
def test_numbers_in_formulas_have_four_digits_and_none_lost_before_the_point(value: float, told: str) -> None:
    assert number(value) == told


# Parts


def _usd(name: str, amount: float) -> Part:
    return stated(name, amount, "USD", "me", f"[{name}]")


def test_a_stated_part_says_where_it_is_stated() -> None:
    part = _usd("data", 1234.5)
    assert part.name == "data"
    assert part.figure == Measurement(value=1234.5, unit="USD", n=0, how="stated:me", low=1234.5, high=1234.5)
    assert part.formula == "[data] = 1,234.5 USD"
    gap = stated("data", None, "USD", "the file", "[data] collection")
    assert gap == missing("data", "USD", "the file states no [data] collection")
    assert (gap.figure.value, gap.figure.unit, gap.figure.reason) == (
        None,
        "USD",
        "the file states no [data] collection",
    )


def test_a_leaf_has_its_figure_its_formula_and_how_or_the_reason() -> None:
    found = leaf("energy", "kWh", lambda: (Quantity.exact(7.2e6, "J"), "by hand"))
    assert (found.name, found.figure.value, found.figure.unit, found.formula) == ("energy", 2.0, "kWh", "by hand")
    assert found.figure.how.startswith("computed:")
    assert leaf("a", "J", lambda: (Quantity.exact(1, "J"), ""), "stated:me").figure.how == "stated:me"

    def nothing() -> tuple[Quantity, str]:
        raise Unknown("nobody knows")

    assert leaf("a", "J", nothing) == missing("a", "J", "nobody knows")


def test_a_sum_names_its_parts_and_those_that_are_not_in_it() -> None:
    whole = total("bill", "USD", [_usd("a", 1), _usd("b", 2)])
    assert (whole.name, whole.figure.value, whole.figure.unit, whole.formula) == ("bill", 3, "USD", "a + b")
    assert [part.name for part in whole.parts] == ["a", "b"]
    gaps = [missing("c", "USD", "no"), missing("d", "USD", "no"), missing("c", "USD", "no")]
    open_sum = total("bill", "USD", [_usd("a", 1), *gaps, _usd("b", 2)])
    assert (open_sum.figure.value, open_sum.formula) == (3, "at least a + b; unknown: c, d")
    nothing = total("bill", "USD", gaps)
    assert (nothing.figure.reason, nothing.figure.unit, nothing.formula) == ("no part is known", "USD", "")
    assert len(nothing.parts) == 3
    vast = [stated(name, 1.5e308, "USD", "me", name) for name in "ab"]
    assert total("bill", "USD", vast) == missing("bill", "USD", TOO_LARGE)


def test_a_tree_times_a_factor_is_the_tree_of_the_products() -> None:
    tree = total("bill", "J", [leaf("a", "J", lambda: (Quantity.exact(3.6e6, "J"), "x + y")), missing("b", "J", "no")])
    found = scaled(tree, Quantity.exact(0.5, "USD/kWh"), "USD", "0.5 USD/kWh")
    assert (found.name, found.figure.value, found.figure.unit) == ("bill", pytest.approx(0.5), "USD")
    assert found.formula == "at least a; unknown: b"
    assert [part.name for part in found.parts] == ["a", "b"]
    assert (found.parts[0].figure.value, found.parts[0].formula) == (pytest.approx(0.5), "(x + y) × 0.5 USD/kWh")
    assert (found.parts[1].figure.reason, found.parts[1].figure.unit, found.parts[1].formula) == ("no", "USD", "")
    bare = leaf("a", "J", lambda: (Quantity.exact(1, "J"), ""))
    assert scaled(bare, Quantity.exact(2.0), "J", "2").formula == ""
    assert scaled(_usd("a", 1e200), Quantity.exact(1e200), "USD", "much") == missing("a", "USD", TOO_LARGE)


def test_a_tree_without_its_factor_says_all_that_is_missing_once() -> None:
    gaps = [missing("a", "J", "no meter"), missing("b", "J", "no rest"), missing("c", "J", "no meter")]
    tree = total("energy", "J", [*gaps, leaf("d", "J", lambda: (Quantity.exact(1, "J"), ""))])
    assert unknown_as(tree, "USD", "no tariff") == missing("energy", "USD", "no tariff; no meter; no rest")
