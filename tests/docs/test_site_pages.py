from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer
import yaml

from bench.cli.main import app
from bench.quality import METRICS as QUALITY
from bench.record.metric import METRICS
from bench.suite.schema import Measure
from tests.docs.site_makers import ROOT, maker

DOCS = ROOT / "docs"
MADE = {"reference/cli.md", "reference/results.md", "reference/toml.md", "tour.md"}
HELPERS = {"__init__", "blocks", "checks", "estimate", "ranks"}
"""Modules of `bench.stats` without a formula of their own."""


def entries(nav: Any) -> Iterator[str]:
    """Every page that the navigation names."""
    if isinstance(nav, str):
        yield nav
    else:
        for one in nav.values() if isinstance(nav, dict) else nav:
            yield from entries(one)


@pytest.fixture(scope="module")
def nav() -> list[str]:
    return list(entries(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]))


def test_each_page_is_in_the_navigation_once(nav: list[str]) -> None:
    assert sorted(nav) == sorted(set(nav))
    assert {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")} <= set(nav)


def test_the_navigation_names_only_pages_that_exist(nav: list[str]) -> None:
    included = maker("links").INCLUDED
    assert all((ROOT / path).is_file() for path in included)
    assert [page for page in nav if page not in MADE | set(included.values()) and not (DOCS / page).is_file()] == []


def test_every_command_has_a_section_with_its_options() -> None:
    page = maker("cli_page").markdown()
    assert "{ #bench-cache-gc }" in page
    assert "--older-than" in page
    for name in typer.main.get_command(app).commands:
        assert f"## bench {name} {{ #bench-{name} }}" in page


def test_help_says_in_the_reference_what_it_says_in_the_terminal() -> None:
    page = maker("cli_page").markdown()
    assert "[bold]" not in page
    # A glob is no emphasis.
    assert r"such as '\*/int8/\*'" in page


def test_every_metric_is_in_the_reference() -> None:
    page = maker("results_page").markdown()
    for metric in (*METRICS.values(), *QUALITY.values()):
        assert re.search(rf"^\| `{metric.name}` \| .*{re.escape(metric.about)}", page, re.MULTILINE)


def test_a_column_without_words_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = maker("results_page")
    monkeypatch.delitem(pages._LATENCY_COLUMNS, "stream")
    with pytest.raises(LookupError, match="stream"):
        pages.markdown()


def test_every_key_of_a_suite_is_in_the_reference_with_its_default() -> None:
    page = maker("toml_page").markdown()
    measure = page[page.index("{ #suite-measure }") :]
    for name, field in Measure.model_fields.items():
        default = "–" if field.default is None else f"`{json.dumps(field.default)}`"
        assert re.search(rf"^\| `{name}` \| .* \| {default} \|", measure, re.MULTILINE), name


def test_a_record_that_the_page_leaves_out_is_refused() -> None:
    made = maker("json_schema")
    with pytest.raises(LookupError, match="Measure"):
        made.sections(Measure.model_json_schema(), page="x", titles={}, order=())


def test_every_formula_of_the_statistics_has_a_line_in_how_we_measure() -> None:
    page = (DOCS / "how-we-measure.md").read_text()
    modules = {path.stem for path in (ROOT / "bench" / "stats").glob("*.py")} - HELPERS
    assert {name for name in modules if f"](../bench/stats/{name}.py)" not in page} == set()


def test_the_notebook_becomes_a_page() -> None:
    page = maker("notebook_page").markdown(DOCS / "tour.ipynb")
    assert page.startswith("# ")
    assert "(tour.ipynb)" in page
    assert "```python\n" in page
