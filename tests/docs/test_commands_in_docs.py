from __future__ import annotations

import functools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from bench.cli.main import app

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)


def commands(text: str) -> Iterator[str]:
    """Every line of a fenced block that is a whole `bench` command, without what stands beside it."""
    for block in FENCE.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            found = re.match(r"\s*(?:[A-Z_]+=\S+ |\$ )?(bench .+)", re.split(r"\s{2,}|\s#|\s+>|\s\|", line.strip())[0])
            # An ellipsis stands for whatever the reader puts there.
            if found and "…" not in found[1]:
                yield found[1]


def fault(line: str) -> str | None:
    """What the parser says against a command; None where it takes it. Nothing is run."""
    words = shlex.split(line.split(" && ", maxsplit=1)[0])[1:]
    context, command = root()
    try:
        while isinstance(command, typer.core.TyperGroup):
            name = words.pop(0)
            inner = command.get_command(context, name)
            assert inner is not None, f"there is no command {name}"
            context, command = type(context)(inner, info_name=name, parent=context), inner
        command.parse_args(context, words)
    except Exception as error:
        return repr(error)
    return None


@functools.cache
def root() -> tuple[typer.Context, typer.core.TyperGroup]:
    """The command `bench`, and a context for its own commands."""
    command = typer.main.get_command(app)
    return command.make_context("bench", [], resilient_parsing=True), command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_in_the_docs_is_one_that_the_program_takes(page: Path) -> None:
    assert {line: wrong for line in commands(page.read_text()) if (wrong := fault(line))} == {}


@pytest.mark.parametrize("line", ["bench run --modle my.onnx", "bench wrun", "bench cache lss", "bench explain latest"])
def test_a_command_that_the_program_refuses_is_found(line: str) -> None:
    assert fault(line)


def test_comments_prompts_and_pipes_are_no_part_of_a_command() -> None:
    lines = [
        "$ bench show latest --json | jq .",
        "bench ab a b      two files",
        "bench list runs  # all",
        "bench run …",
    ]
    text = "\n".join(["```", *lines, "```"])
    assert list(commands(text)) == ["bench show latest --json", "bench ab a b", "bench list runs"]
