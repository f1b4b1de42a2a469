"""What MkDocs calls: pages that are made from the code, and links that the repository and the site share."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cli_page
import links
import notebook_page
import results_page
import toml_page

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
_FETCHED = re.compile(r"<(?:script|img|iframe|source|link rel=\"(?:stylesheet|preload|icon)\")[^>]*=\"https?://[^>]*>")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not in docs/. Whatever fails here fails the build."""
    from mkdocs.structure.files import File

    def add(uri: str, content: str) -> None:
        files.append(File.generated(config, uri, content=content))

    wanted: set[str] = set()
    for path in [*links.INCLUDED, *(f"docs/{file.src_uri}" for file in files.documentation_pages())]:
        wanted |= links.sources((ROOT / path).read_text(), path, ROOT)
    for path, uri in links.INCLUDED.items():
        add(uri, (ROOT / path).read_text())
    for path in sorted(wanted):
        add(links.site_path(path), links.source_page(path, (ROOT / path).read_text()))
    add("tour.md", notebook_page.markdown(ROOT / "docs/tour.ipynb"))
    add("reference/cli.md", cli_page.markdown())
    add("reference/results.md", results_page.markdown())
    add("reference/toml.md", toml_page.markdown())
    for name, schema in toml_page.schemas().items():
        add(f"reference/{name}", json.dumps(schema, indent=2))
    return files


def on_page_markdown(markdown: str, page: Page, **kwargs: Any) -> str:
    """The links of a page that is read in the repository too, as the site has them."""
    del kwargs
    uri = page.file.src_uri
    origin = next((path for path, at in links.INCLUDED.items() if at == uri), f"docs/{uri}")
    return links.titled(links.turned(markdown, origin, ROOT)) if (ROOT / origin).is_file() else markdown


def on_post_page(output: str, page: Page, **kwargs: Any) -> str:
    """Refuse a page that would load anything from elsewhere: the site is read without the network, too."""
    from mkdocs.exceptions import PluginError

    del kwargs
    fetched = _FETCHED.search(output)
    if fetched:
        raise PluginError(f"{page.file.src_uri} loads {fetched[0]}")
    return output
