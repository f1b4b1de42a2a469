from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.docs.site_makers import ROOT, maker

PAGES = sorted([*(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize(
    ("origin", "text", "there"),
    [
        ("README.md", "[a](docs/ab.md#how)", "[a](ab.md#how)"),
        ("README.md", "![a](docs/images/quick.svg)", "![a](images/quick.svg)"),
        ("README.md", '<img src="docs/images/quick.svg">', '<img src="images/quick.svg">'),
        ("README.md", "[a](LICENSE)", "[a](source/LICENSE.md)"),
        ("docs/ab.md", "[a](../README.md)", "[a](index.md)"),
        ("docs/ab.md", "[a](../results/README.md)", "[a](results.md)"),
        ("docs/ab.md", "[a](ci/gitlab-ci.yml)", "[a](ci/gitlab-ci.yml)"),
        ("docs/ab.md", "[`x`](../bench/stats/location.py)", "[`x`](source/bench/stats/location.py.md)"),
        ("hardware_profiles/README.md", "[a](../docs/profiles.md)", "[a](profiles.md)"),
        ("docs/ab.md", "[a](#how) [b](https://docs/ab.md)", "[a](#how) [b](https://docs/ab.md)"),
        ("README.md", "```\n[a](docs/ab.md)\n```", "```\n[a](docs/ab.md)\n```"),
        # What is not there stays, so that the strict build refuses it.
        ("README.md", "[a](docs/nothing.md)", "[a](docs/nothing.md)"),
    ],
)
def test_a_link_of_the_repository_is_one_of_the_site(origin: str, text: str, there: str) -> None:
    assert maker("links").turned(text, origin, ROOT) == there


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_leads_to_a_file_in_the_repository(page: Path) -> None:
    links = maker("links")
    origin = str(page.relative_to(ROOT))
    found = {links._resolved(link["to"], origin) for link in links._links(page.read_text())}
    assert {to for to in found if not (ROOT / to).is_file()} == set()


def test_a_linked_source_file_has_a_page_and_is_not_searched() -> None:
    links = maker("links")
    assert links.sources("[a](../action.yml) [b](ab.md) [c](../README.md)", "docs/ci.md", ROOT) == {"action.yml"}
    page = links.source_page("action.yml", "name: x\n")
    assert "exclude: true" in page
    assert "``````yml\nname: x\n``````" in page


def test_a_fence_that_names_its_file_has_it_for_a_title() -> None:
    assert maker("links").titled("```toml file=a/b.toml\nx = 1\n```") == '```toml title="a/b.toml"\nx = 1\n```'


@given(st.text(alphabet="ab[]()`#\n ./", max_size=60))
def test_text_without_links_to_files_is_left_alone(text: str) -> None:
    assert maker("links").turned(text, "docs/ab.md", ROOT / "nowhere") == text
