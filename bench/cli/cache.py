"""`bench cache`: what the cache holds, and removing from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.common import DONE, FAILED, JsonOption, consoles, guarded, print_json

if TYPE_CHECKING:
    from bench.export.clean import Cleaned

cache = typer.Typer(
    name="cache",
    help="What the cache holds (exports, trained weights, downloads, fleet bundles, peaks), and removing from it.",
    no_args_is_help=True,
)


@cache.command("ls")
@guarded
def ls(json: JsonOption = False) -> None:
    """List what the cache holds, the last used first."""
    from bench.export.contents import entries
    from bench.files import cache_dir
    from bench.report.cache import document, lines, total
    from bench.report.listing import draw

    folder = cache_dir()
    found = entries(folder)
    if json:
        print_json(document(str(folder), found))
    else:
        output = consoles()[0]
        draw(output, lines(found))
        output.print(f"{total(found)} in {folder}", markup=False, soft_wrap=True)


@cache.command("rm")
@guarded
def rm(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY|MODEL]...", help="Keys, unique starts of them, or models.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that the cache holds.")] = False,
    json: JsonOption = False,
) -> None:
    """Remove entries by key or model, without a question; says what went and how much that freed.

    Exit codes: 0 all of it is gone, 1 another process uses some of it, 2 bad input.
    """
    from bench.export.clean import remove
    from bench.files import cache_dir

    _tell(remove(cache_dir(), names or [], everything=everything), json=json)


@cache.command("gc")
@guarded
def gc(
    older_than: Annotated[
        str | None, typer.Option("--older-than", metavar="AGE", help="Also what was last used longer ago: 30d, 12h.")
    ] = None,
    max_size: Annotated[
        str | None,
        typer.Option("--max-size", metavar="SIZE", help="Also, least recently used first, all beyond it: 5GB, 500MiB."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    json: JsonOption = False,
) -> None:
    """Remove what is of no use (half-made exports, logs and locks of what is gone), and what the options name.

    What a running process uses stays. Exit codes: 0 done, 2 bad input.
    """
    from bench.cli.amounts import seconds, size
    from bench.export.clean import collect
    from bench.files import cache_dir

    cleaned = collect(
        cache_dir(),
        older_than_s=None if older_than is None else seconds(older_than, "--older-than"),
        max_bytes=None if max_size is None else size(max_size, "--max-size"),
        dry_run=dry_run,
    )
    _tell(cleaned, json=json, kept_is_failure=False)


def _tell(cleaned: Cleaned, *, json: bool, kept_is_failure: bool = True) -> None:
    from bench.record.codec import plain
    from bench.report.cache import sentences

    if json:
        print_json(plain(cleaned))
    else:
        for sentence in sentences(cleaned):
            consoles()[0].print(sentence, markup=False, soft_wrap=True)
    raise typer.Exit(FAILED if cleaned.kept and kept_is_failure else DONE)
