"""The page on every command and option, made from the command itself."""

from __future__ import annotations

import re

import typer
from json_schema import cell, table

from bench.cli.main import app

TITLE = """# Commands and options

Made from the command itself. RUN is a run id, a unique start of one, a path, or `latest`.
"""


def markdown() -> str:
    """The whole page: a section a command."""
    command = typer.main.get_command(app)
    context = command.make_context("bench", [], resilient_parsing=True)
    return "\n".join([TITLE, *_sections(command, context, level=2)])


def _sections(group: typer.core.TyperGroup, context: typer.Context, level: int) -> list[str]:
    """A section for every command of a group, those of groups within it one level below."""
    found = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        inner = type(context)(command, info_name=name, parent=context)
        found.append(_section(command, inner, level))
        if isinstance(command, typer.core.TyperGroup):
            found.extend(_sections(command, inner, level + 1))
    return found


def _section(command: typer.core.TyperCommand, context: typer.Context, level: int) -> str:
    words = context.command_path
    usage = " ".join([words, *command.collect_usage_pieces(context)])
    parts = [
        f"{'#' * level} {words} {{ #{words.replace(' ', '-')} }}",
        _plain(command.help or ""),
        f"```\n{usage}\n```",
        _parameters("argument", command, context),
        _parameters("option", command, context),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _parameters(sort: str, command: typer.core.TyperCommand, context: typer.Context) -> str:
    records = [
        record
        for parameter in command.get_params(context)
        if parameter.param_type_name == sort and (record := parameter.get_help_record(context)) is not None
    ]
    rows = [(f"`{cell(words)}`", cell(_plain(about))) for words, about in records]
    return table((sort, ""), rows) if rows else ""


def _plain(text: str) -> str:
    """Help without the marks of the terminal: a bracket that is meant is escaped there."""
    return re.sub(r"(?<!\\)\[/?(bold|italic|dim)\]", "", text).replace("\\[", "[")
