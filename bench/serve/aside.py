"""Slow work beside the server, which goes on answering and does not wait for it at the end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

Page = Callable[[Request], Response]
_ENDING = 503


def aside(page: Page) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    """A page whose every answer is made in a thread of its own.

    Starlette's own threads would hold up the end of the process until they are done, which may be many seconds.
    """

    async def answered(request: Request) -> Response:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Response] = loop.create_future()
        threading.Thread(target=_work, args=(page, request, loop, answer), daemon=True).start()
        try:
            return await answer
        except asyncio.CancelledError:
            return PlainTextResponse("The server is ending.\n", status_code=_ENDING)

    return answered


def _work(page: Page, request: Request, loop: asyncio.AbstractEventLoop, answer: asyncio.Future[Response]) -> None:
    made: Response | Exception
    try:
        made = page(request)
    except Exception as error:
        made = error  # it is raised where it is waited for

    def settle() -> None:
        if answer.done():
            return  # cancelled
        if isinstance(made, Exception):
            answer.set_exception(made)
        else:
            answer.set_result(made)

    # By now the server may be gone, and its loop closed.
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(settle)
