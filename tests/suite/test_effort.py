"""The user's costs file: read, matched by variant, and refused with the key at fault."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import UserError
from bench.suite.effort import Effort, Engineering, load_effort

EXAMPLE = Path(__file__).parents[2] / "docs/examples/costs.toml"


def test_the_example_in_the_documents_is_valid() -> None:
    found = load_effort(EXAMPLE)
    assert found.currency == "USD"
    assert found.life_months is not None
    assert found.engineering.hours_for("int8-dynamic") == found.engineering.hours["int8*"]


def test_nothing_has_to_be_given_and_what_is_missing_is_none_not_zero(tmp_path: Path) -> None:
    (tmp_path / "costs.toml").write_text("")
    found = load_effort(tmp_path / "costs.toml")
    assert found == Effort()
    assert (found.data.collection, found.engineering.rate_per_hour, found.training.price_per_hour) == (None, None, None)
    assert found.engineering.hours_for("fp32") is None


def test_the_exact_name_goes_before_patterns_and_of_these_the_first() -> None:
    found = Engineering(hours={"int8*": 80, "*": 7, "int8-dynamic": 3})
    assert found.hours_for("int8-dynamic") == 3
    assert found.hours_for("int8") == 80
    assert found.hours_for("pruned") == 7
    # An exact name holds whatever it looks like.
    assert Engineering(hours={"*": 1, "int8[a]": 2}).hours_for("int8[a]") == 2


@given(st.text(min_size=1), st.floats(0, 1e6))
def test_a_variant_that_is_named_has_its_hours_whatever_its_name(name: str, hours: float) -> None:
    assert Engineering(hours={"*": 1.0, name: hours}).hours_for(name) == hours


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("life_month = 3", "life_months"),
        ("life_months = 0", "life_months"),
        ("life_months = inf", "life_months"),
        ('currency = "dollars"', "currency"),
        ("[engineering]\nrate_per_hour = -1", "engineering.rate_per_hour"),
        ("[engineering.hours]\nfp32 = nan", "engineering.hours.fp32"),
        ("[training]\nruns = 0", "training.runs"),
        ("[training]\ncost = 5\nprice_per_hour = 1", "either cost, or price_per_hour"),
        ("[hardware]\nembodied_kg = 5", "embodied_kg and embodied_years belong together"),
        ("[hardware]\nincludes_energy = true", "belongs to price_per_hour"),
        ("[data", "not valid TOML"),
    ],
)
def test_what_is_wrong_is_named_with_its_key(tmp_path: Path, content: str, word: str) -> None:
    (tmp_path / "costs.toml").write_text(content)
    with pytest.raises(UserError) as caught:
        load_effort(tmp_path / "costs.toml")
    assert word in str(caught.value)
    assert "costs.toml" in str(caught.value)


def test_a_file_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read the costs file"):
        load_effort(tmp_path / "none.toml")
