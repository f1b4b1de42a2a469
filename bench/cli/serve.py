"""`bench serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.common import OutOption, guarded


@guarded
def serve(
    out: OutOption = Path("results"),
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes any that is free.")] = 8765,
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Address to listen on.")] = "127.0.0.1",
    allow_remote: Annotated[
        bool, typer.Option("--allow-remote", help="Let other machines read everything: nobody has to log in.")
    ] = False,
    open_page: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in a browser.")] = False,
) -> None:
    """Show the runs of a folder as pages in the browser, read-only, until Ctrl-C.

    Exit codes: 2 bad input or a busy port, 130 ended by Ctrl-C.
    """
    import threading
    import webbrowser

    from bench.cli.signals import stop_like_ctrl_c
    from bench.serve.server import bind, check_installed, is_loopback
    from bench.serve.server import serve as answer

    def ready(address: str) -> None:
        typer.echo(f"{out} at {address} until Ctrl-C")
        if open_page:
            # Some browsers hold on to who started them.
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()

    check_installed()
    listening = bind(host, port, allow_remote=allow_remote)
    if not is_loopback(host):
        typer.echo("warning: whoever reaches this address can read all runs: there is no authentication", err=True)
    with stop_like_ctrl_c():
        answer(out, listening, host, ready)
