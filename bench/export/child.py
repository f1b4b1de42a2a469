"""The export process: `python -m bench.export.child`. Takes one request, answers with messages, ends."""

from __future__ import annotations

import os

from bench.confine import refusal
from bench.wire import end_with_parent, receive, send, take_over


def main() -> None:
    """Do the work that stands on standard input."""
    incoming, outgoing = take_over()
    frame = receive(incoming)
    if not frame:
        return
    # While there is one thread, and before anything that was given is read.
    refused = refusal(frame, "nothing is exported")
    # After the streams are safe: whatever these import may print.
    from bench.errors import UserError
    from bench.export import messages as msg
    from bench.record import codec

    request = codec.unpack(frame, msg.Request)
    # Instead of training on for nobody.
    end_with_parent(incoming)

    def say(message: msg.Message) -> None:
        send(outgoing, codec.pack(message))

    if refused is not None:
        say(msg.Refused(refused, "network = false", "leave it out; SECURITY.md says what it needs"))
        return
    try:
        from bench.export.work import work

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


if __name__ == "__main__":
    main()
