"""Which channels can go: ties, choices and reshapes, without any model."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bench.export.channels import Axis, Channels, filter_norms, reshaped
from bench.export.errors import CannotMake

importances = st.lists(st.floats(0.01, 100), min_size=1, max_size=24).map(np.array)
shares = st.floats(0.01, 0.99)


@given(importances, shares)
def test_the_share_asked_for_stays_and_it_is_the_most_important(importance, keep):
    channels = Channels()
    labels = channels.made(importance)
    wanted = max(1, math.ceil(keep * len(importance) - 1e-9))
    assume(wanted < len(importance))
    stays = channels.choose(keep).positions(labels)
    assert len(stays) == wanted
    gone = np.delete(importance, stays)
    assert importance[stays].min() >= gone.max()


@given(importances, importances, shares)
def test_tied_channels_go_together(left, right, keep):
    size = min(len(left), len(right))
    channels = Channels()
    ours, theirs = channels.made(left[:size]), channels.made(right[:size])
    channels.tie(ours, theirs)
    assume(math.ceil(keep * size - 1e-9) < size)
    choice = channels.choose(keep)
    assert list(choice.positions(ours)) == list(choice.positions(theirs))
    assert choice.groups == 1


def test_a_large_layer_does_not_outvote_a_small_one_it_is_tied_to():
    channels = Channels()
    large, small = channels.made(np.array([1000.0, 1100.0])), channels.made(np.array([0.3, 0.1]))
    channels.tie(large, small)
    assert list(channels.choose(0.5).positions(small)) == [0]


def test_every_layer_of_a_group_keeps_a_channel():
    channels = Channels()
    strong, weak = channels.made(np.array([5.0, 5.0, 5.0])), channels.made(np.array([0.1, 0.2]))
    both = channels.made(np.array([9.0, 9.0, 9.0, 0.1, 0.1]))
    channels.tie(np.concatenate([strong, weak]), both)
    choice = channels.choose(0.4)
    assert (choice.count(strong), choice.count(weak), choice.count(both)) == (1, 1, 2)


def test_fixed_channels_stay_and_the_operator_that_asked_is_named():
    channels = Channels()
    free, held = channels.made(np.ones(4)), channels.made(np.ones(4))
    channels.fix(Axis(held, 1), "Softmax")
    choice = channels.choose(0.5)
    assert (choice.count(free), choice.count(held), choice.blamed) == (2, 4, ("Softmax",))


def test_what_stays_anyway_blames_nobody():
    channels = Channels()
    channels.made(np.ones(4))
    last = channels.made(np.ones(4))
    channels.fix(Axis(last, 1), "Softmax")
    channels.fix(Axis(last, 1))
    assert channels.choose(0.5).blamed == ()


def test_a_network_with_nothing_to_remove_says_why():
    channels = Channels()
    channels.fix(Axis(channels.made(np.ones(4)), 1), "LayerNormalization")
    with pytest.raises(CannotMake, match=r"no channel can be removed: .*LayerNormalization"):
        channels.choose(0.5)


def test_a_network_without_filters_has_nothing_to_remove():
    with pytest.raises(CannotMake, match=r"^no channel can be removed$"):
        Channels().choose(0.5)


def test_a_layer_too_small_for_the_share_to_take_one_is_left_whole():
    channels = Channels()
    small, large = channels.made(np.ones(3)), channels.made(np.ones(20))
    choice = channels.choose(0.9)
    assert (choice.count(small), choice.count(large), choice.groups, choice.before) == (3, 18, 1, 20)


def test_batch_normalisation_counts_towards_importance():
    channels = Channels()
    labels = channels.made(np.array([1.0, 2.0]))
    channels.scale(labels, np.array([10.0, 0.1]))
    assert list(channels.choose(0.5).positions(labels)) == [0]


def test_an_addition_of_an_input_leaves_its_channels():
    channels = Channels()
    labels = channels.made(np.ones(4))
    free = channels.made(np.ones(2))
    assert channels.elementwise([(Axis(labels, 3), (None, 8, 8, 4)), (None, (None, 8, 8, 4))], "Add") is None
    choice = channels.choose(0.5)
    assert (choice.count(labels), choice.count(free)) == (4, 1)


def test_a_gate_of_one_number_a_channel_is_tied_to_what_it_scales():
    channels = Channels()
    picture, gate = channels.made(np.array([1.0, 2.0])), channels.made(np.array([1.0, 2.0]))
    axis = channels.elementwise([(Axis(gate, 3), (None, 1, 1, 2)), (Axis(picture, 3), (None, 8, 8, 2))], "Multiply")
    assert axis is not None
    assert axis.index == 3
    choice = channels.choose(0.5)
    assert list(choice.positions(gate)) == list(choice.positions(picture)) == [1]


def test_a_concatenation_of_channels_keeps_each_parts_own():
    channels = Channels()
    left = channels.made(np.array([1.0, 2.0]))
    axis = channels.concatenated([(Axis(left, 1), (None, 2)), (None, (None, 3))], 1, "Concat")
    assert axis is not None
    assert list(channels.choose(0.5).positions(axis.labels)) == [1, 2, 3, 4]


def test_one_number_for_all_channels_is_joined_to_them_and_one_of_no_known_shape_keeps_them():
    channels = Channels()
    labels, held = channels.made(np.array([1.0, 2.0])), channels.made(np.array([1.0, 2.0]))
    axis = channels.elementwise([(Axis(labels, 1), (None, 2)), (None, (None, 1)), (None, ())], "Mul")
    assert axis is not None
    assert list(axis.labels) == list(labels)
    assert channels.elementwise([(Axis(held, 1), (None, 2)), (None, None)], "Mul") is None
    choice = channels.choose(0.5)
    assert (choice.count(labels), choice.count(held), choice.blamed) == (1, 2, ("Mul",))


def test_pictures_that_are_joined_in_space_lose_the_same_channels():
    channels = Channels()
    left, right = channels.made(np.array([1.0, 5.0])), channels.made(np.array([3.0, 2.0]))
    shape = (None, 2, 8, 8)
    axis = channels.concatenated([(Axis(left, 1), shape), (Axis(right, 1), shape)], 3, "Concat")
    assert axis is not None
    assert axis.index == 1
    choice = channels.choose(0.5)
    assert list(choice.positions(left)) == list(choice.positions(right)) == [1]


@pytest.mark.parametrize(("shape", "index"), [((None, 2, 8, 8), 3), (None, 1)], ids=["in space", "of no known shape"])
def test_channels_that_are_joined_to_what_has_none_stay(shape, index):
    channels = Channels()
    held, free = channels.made(np.ones(2)), channels.made(np.ones(2))
    assert channels.concatenated([(Axis(held, 1), (None, 2, 8, 8)), (None, shape)], index, "Concat") is None
    choice = channels.choose(0.5)
    assert (choice.count(held), choice.count(free), choice.blamed) == (2, 1, ("Concat",))


@pytest.mark.parametrize(
    ("before", "index", "after"),
    [((None, 3, None), 1, (None, None, 3)), ((None, 3, 4), 1, (None, 4))],
    ids=["behind a free axis", "into the batch"],
)
def test_channels_that_a_reshape_scatters_are_lost(before, index, after):
    assert reshaped(Axis(np.arange(3), index), before, after) is None


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=3),
    st.integers(0, 2),
    st.data(),
)
def test_a_reshape_is_followed_only_where_every_position_holds_one_channel(shape, index, data):
    """Seen on numbers: an array that holds its channel's label everywhere is reshaped by NumPy."""
    index = min(index, len(shape) - 1)
    before = (2, *shape)
    total = math.prod(shape)
    first = data.draw(st.sampled_from([d for d in range(1, total + 1) if total % d == 0]))
    after = (2, first, total // first)
    labels = np.arange(shape[index])
    aligned = labels.reshape([-1 if i == index + 1 else 1 for i in range(len(before))])
    array = np.broadcast_to(aligned, before).reshape(after)
    axis = reshaped(Axis(labels, index + 1), before, after)
    if axis is not None:
        found = axis.labels.reshape([-1 if i == axis.index else 1 for i in range(len(after))])
        assert np.array_equal(np.broadcast_to(found, after), array)
    elif len(labels) > 1:
        along = [np.moveaxis(array, i, 0).reshape(after[i], -1) for i in (1, 2)]
        assert not any((rows == rows[:, :1]).all() for rows in along)


@pytest.mark.parametrize(
    ("before", "index", "after", "expected"),
    [
        ((None, 2, 2, 3), 3, (None, 12), [0, 1, 2] * 4),
        ((None, 3, 2, 2), 1, (None, 12), [0] * 4 + [1] * 4 + [2] * 4),
        ((None, 3), 1, (None, 1, 1, 3), [0, 1, 2]),
        ((None, 3), 1, (None, 3, 1, 1), [0, 1, 2]),
        ((None, 4, 3), 2, (None, 3), [0, 1, 2]),
    ],
)
def test_usual_reshapes_keep_channels_apart(before, index, after, expected):
    axis = reshaped(Axis(np.arange(3), index), before, after)
    assert axis is not None
    assert list(axis.labels) == expected


def test_norms_are_of_whole_filters():
    kernel = np.zeros((3, 3, 2, 4))
    kernel[..., 1] = 2.0
    assert list(filter_norms(kernel, -1, "l1")) == [0, 36, 0, 0]
    assert list(filter_norms(kernel, -1, "l2")) == pytest.approx([0, math.sqrt(72), 0, 0])
