"""A profile as the text of its TOML file."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from bench.hardware.schema import HardwareProfile

_EXAMPLE = """
# What this machine costs cannot be measured. An example, to be replaced by your own figures:
#
# [price]
# currency = "USD"
# example = false
#
# [price.per_hour]
# value = 0.10
# source = "the price list of your provider"
# date = DATE
#
# or, for a machine of your own, instead of per_hour:
#
# [price.purchase]
# value = 1500.0
# source = "the invoice"
# date = DATE
#
# [price.life_years]
# value = 4.0
# source = "how long we keep machines"
# date = DATE
#
# [price.utilisation]
# value = 0.5
# source = "the share of its life in which it works"
# date = DATE
#
# [energy.tariff]
# value = 0.30
# source = "the power bill, a kWh"
# date = DATE
#
# [energy.carbon]
# value = 300.0
# source = "the grid, g of CO2 equivalent a kWh"
# date = DATE
#
# [power.idle]
# value = 20.0
# source = "a meter at the wall"
# date = DATE
#
# [power.tdp]
# value = 65.0
# source = "the data sheet of the CPU"
# date = DATE
"""


def as_toml(profile: HardwareProfile) -> str:
    """A file that `load_profile` reads as the same profile; with an example of a price where it has none."""
    content = profile.model_dump(exclude_none=True, exclude_defaults=True)
    lines = [*_lines(content, ())]
    example = "" if profile.price else _EXAMPLE.replace("DATE", profile.cores.date.isoformat())
    return "\n".join(lines).strip() + "\n" + example


def _lines(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    """What stands in a table by itself comes before the tables in it."""
    inner = {key: value for key, value in table.items() if isinstance(value, Mapping)}
    own = {key: value for key, value in table.items() if key not in inner}
    if path and own:
        yield ""
        yield f"[{'.'.join(map(_key, path))}]"
    for key, value in own.items():
        yield f"{_key(key)} = {_value(value)}"
    for key, value in inner.items():
        yield from _lines(value, (*path, key))


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key)


def _value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case datetime.date():
            return value.isoformat()
        case str():
            # TOML has the escapes of JSON, and forbids one more character.
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case list():
            return f"[{', '.join(map(_value, value))}]"
        case _:
            return repr(value)
