"""`bench remote`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.common import JsonOption, consoles, guarded, print_json


@guarded
def remote(
    bundle: Annotated[Path, typer.Argument(help="A bundle that `bench export` made: a .zip or a folder.")],
    out: Annotated[Path, typer.Option("-o", "--output", metavar="KIT", help="The file to write, such as kit.pyz.")],
    json: JsonOption = False,
) -> None:
    """Make one file that measures a bundle on a machine with nothing but Python: copy it there and run it.

    `scp kit.pyz pi: && ssh pi python3 kit.pyz`, then `scp 'pi:counterpoise/*.zip' .` and `bench import` of each. It
    installs what it needs into a folder of its own, unless it is there.
    """
    from bench.record.codec import plain
    from bench.runner.kit import make_kit

    kit = make_kit(bundle, out)
    if json:
        print_json(plain(kit))
    else:
        console = consoles()[0]
        console.print(f"{kit.path}: {kit.model}, {kit.artifacts} artifacts, {kit.bytes / 1e6:.1f} MB", markup=False)
        console.print(f"there: python3 {out.name}; then bring counterpoise/*.zip home to `bench import`", markup=False)
