"""JSON Schema as Markdown: a table of keys for every kind of record in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

Schema = Mapping[str, Any]
_BOUNDS = {
    "minimum": "`≥ {}`",
    "exclusiveMinimum": "`> {}`",
    "maximum": "`≤ {}`",
    "exclusiveMaximum": "`< {}`",
    "minItems": "at least {}",
    "pattern": "fits `{}`",
}
_PLAIN = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false", "null": "null"}


def cell(text: str) -> str:
    """One line of plain text that may hold `code`, safe in a cell of a table."""
    words = re.split(r"(`[^`]*`)", re.sub(r"\s+", " ", text).strip().replace("|", "\\|"))
    return "".join(part if part.startswith("`") else re.sub(r"([*_<\[])", r"\\\1", part) for part in words)


def table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A Markdown table; the cells are Markdown already."""
    lines = [header, ("---",) * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def sections(schema: Schema, *, page: str, titles: Mapping[str, str], order: tuple[str, ...], level: int = 3) -> str:
    """A section for each of the records `order`, by their names in `schema`.

    `titles` gives the heading of a record where that is not its name, `page` begins the anchors, so that records of one
    name in two schemas do not meet.

    Raises:
        LookupError: the schema has a record that `order` does not name, or the other way round: a page that left
            one out would look whole.
    """
    records = _records(schema)
    if set(order) != set(records):
        raise LookupError(f"{page}: the schema has {sorted(records)}, the page {sorted(order)}")
    return "\n".join(_section(records[name], name, page, titles.get(name, name), level) for name in order)


def _records(schema: Schema) -> dict[str, Schema]:
    records: dict[str, Schema] = {name: one for name, one in schema.get("$defs", {}).items() if "properties" in one}
    if "properties" in schema:
        records[schema["title"]] = schema
    return records


def _section(record: Schema, name: str, page: str, title: str, level: int) -> str:
    required = set(record.get("required", ()))
    rows = [
        (
            f"`{key}`",
            kind(one, page),
            "required" if key in required else _default(one),
            cell(one.get("description", "")),
        )
        for key, one in record["properties"].items()
    ]
    return (
        f"{'#' * level} {title} {{ #{anchor(page, name)} }}\n\n"
        f"{prose(record.get('description', ''))}\n\n"
        f"{table(('key', 'type', 'default', ''), rows)}"
    )


def prose(docstring: str) -> str:
    """A docstring as paragraphs, without the indent of the code it comes from."""
    return "\n".join(line.strip() for line in docstring.split("\n"))


def anchor(page: str, name: str) -> str:
    """Where the section of a record is."""
    return f"{page}-{name.strip('_').lower()}"


def kind(one: Schema, page: str) -> str:
    """The type of a value in words."""
    found = _kind(one, page)
    return ", ".join([found, *(cell(text.format(one[key])) for key, text in _BOUNDS.items() if key in one)])


def _kind(one: Schema, page: str) -> str:  # noqa: PLR0911 - one answer for each form that a schema may have
    if "$ref" in one:
        name = one["$ref"].rpartition("/")[2]
        return f"[{name.strip('_')}](#{anchor(page, name)})"
    if "const" in one:
        return f"`{one['const']}`"
    if "enum" in one:
        return ", ".join(f"`{value}`" for value in one["enum"])
    if "anyOf" in one:
        # That a key with the default null may be null says nothing to who leaves it out.
        told = [choice for choice in one["anyOf"] if choice != {"type": "null"} or "default" not in one]
        return " or ".join(kind(choice, page) for choice in told)
    if "allOf" in one:
        return " and ".join(kind(part, page) for part in one["allOf"])
    if one.get("type") == "array":
        parts = one.get("prefixItems")
        return f"list of {kind(one.get('items') or {}, page)}" if not parts else f"list of {len(parts)} values"
    if one.get("type") == "object":
        values = one.get("additionalProperties")
        return f"table of {kind(values, page)}" if isinstance(values, Mapping) else "table"
    if one.get("format") == "date":
        return "date"
    return _PLAIN.get(one.get("type", ""), "any value")


def _default(one: Schema) -> str:
    value = one.get("default")
    if value is None:
        return "–"
    if isinstance(value, Mapping | list | tuple | str) and not value:
        return "empty"
    return "its own" if isinstance(value, Mapping) else f"`{cell(json.dumps(value))}`"
