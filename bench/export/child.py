"""The export process: `python -m bench.export.child`. Takes one request, answers with messages, ends."""

from __future__ import annotations

import os
import threading
from typing import BinaryIO

from bench.wire import receive, send, take_over


def main() -> None:
    """Do the work that stands on standard input."""
    incoming, outgoing = take_over()
    # After the streams are safe: whatever these import may print.
    from bench.errors import UserError
    from bench.export import messages as msg
    from bench.export.work import work
    from bench.record import codec

    frame = receive(incoming)
    if frame is None:
        return
    request = codec.unpack(frame, msg.Request)
    threading.Thread(target=_end_with_the_parent, args=(incoming,), daemon=True).start()

    def say(message: msg.Message) -> None:
        send(outgoing, codec.pack(message))

    try:
        work(request, say)
    except UserError as error:
        say(msg.Refused(error.what, error.where, error.remedy))
    except Exception as error:
        import traceback

        traceback.print_exc()
        say(msg.Broken(f"{type(error).__name__}: {error}"))
    else:
        say(msg.Finished())
    outgoing.flush()
    # TensorFlow's threads can hang at interpreter exit; all files are closed by now.
    os._exit(0)


def _end_with_the_parent(incoming: BinaryIO) -> None:
    """A parent that is killed closes the pipe: end too, instead of training on for nobody."""
    incoming.read(1)
    os._exit(1)


if __name__ == "__main__":
    main()
