"""Frames either arrive whole or are refused."""

from __future__ import annotations

import contextlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import wire


@given(st.lists(st.binary(max_size=200), max_size=8))
def test_what_is_sent_is_received_in_order(bodies: list[bytes]) -> None:
    stream = io.BytesIO()
    for body in bodies:
        wire.send(stream, body)
    stream.seek(0)
    received = []
    while (frame := wire.receive(stream)) is not None:
        received.append(frame)
    assert received == bodies


@given(st.binary(min_size=1, max_size=100), st.data())
def test_a_stream_that_ends_inside_a_frame_is_an_error_and_not_an_end(body: bytes, data: st.DataObject) -> None:
    stream = io.BytesIO()
    wire.send(stream, body)
    cut = data.draw(st.integers(1, len(stream.getvalue()) - 1))
    with pytest.raises(wire.WireError):
        wire.receive(io.BytesIO(stream.getvalue()[:cut]))


@given(st.binary(min_size=1, max_size=64).flatmap(lambda b: st.sampled_from([b, wire.SIGN + b])))
def test_noise_is_a_frame_or_an_error(noise: bytes) -> None:
    with contextlib.suppress(wire.WireError):
        wire.receive(io.BytesIO(noise))


def test_a_length_over_the_limit_is_refused_before_anything_is_read() -> None:
    with pytest.raises(wire.WireError, match="over the limit"):
        wire.receive(io.BytesIO(wire.SIGN + b"\xff\xff\xff\xff"))


def test_a_frame_over_the_limit_is_not_sent() -> None:
    stream = io.BytesIO()
    with pytest.raises(wire.WireError, match="over the limit"):
        wire.send(stream, bytes(wire.LIMIT + 1))
    assert stream.getvalue() == b""


@pytest.mark.parametrize("noise", [b"hello, world", b"0" * 100, b"no", b"\0" * 8])
def test_what_has_not_the_sign_of_a_frame_is_refused_whatever_length_it_seems_to_announce(noise: bytes) -> None:
    with pytest.raises(wire.WireError, match="is no frame: something else wrote to the pipe"):
        wire.receive(io.BytesIO(noise))
