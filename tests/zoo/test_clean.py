"""Cleaning: what is found, what is dropped, and what the report says of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.zoo.clean import (
    Clip,
    Sieve,
    beyond,
    contradicting,
    incomplete,
    outlying,
    repeated,
    rows_of,
    standing_in,
)
from bench.zoo.datasets.split import stratified

KEYS = st.lists(st.tuples(st.sampled_from("abcde"), st.integers(0, 1)), min_size=1, max_size=40)


def _counts(sieve):
    return {line.what: line.count for line in sieve.report}


def test_a_dirty_table_is_counted_right():
    #                  age  sum
    table = np.array(
        [
            [30.0, 10.0],  # fine
            [30.0, 10.0],  # a copy
            [30.0, np.nan],  # missing
            [200.0, 10.0],  # impossible
            [np.inf, np.nan],  # missing, once though both are
            [40.0, 20.0],  # the same as the next, with another label
            [40.0, 20.0],
            [50.0, 30.0],  # fine
            [200.0, np.nan],  # missing already when impossible is asked for
        ]
    )
    labels = np.array([1, 1, 0, 0, 0, 0, 1, 1, 1])
    sieve = Sieve(len(table))
    sieve.drop(incomplete(table), "missing", "no value")
    sieve.drop(beyond(table[:, 0], 0, 110), "age", "nobody is as old")
    sieve.without_copies(table, labels)
    assert sieve.kept.tolist() == [0, 7]
    assert _counts(sieve) == {
        "missing: dropped": 3,
        "age: dropped": 1,
        "copies with different labels: dropped": 2,
        "copies: dropped": 1,
    }
    assert all(line.why for line in sieve.report)


def test_what_was_not_found_is_not_in_the_report():
    sieve = Sieve(3)
    sieve.drop(np.zeros(3, dtype=bool), "nothing", "never")
    sieve.note("nothing either", 0, "never")
    assert sieve.report == ()
    assert sieve.kept.tolist() == [0, 1, 2]


@given(KEYS)
def test_without_copies_no_key_is_left_twice_nor_with_two_labels(pairs):
    keys, labels = [key for key, _ in pairs], np.array([label for _, label in pairs])
    sieve = Sieve(len(keys))
    sieve.without_copies(keys, labels)
    left = [keys[at] for at in sieve.kept]
    assert len(set(left)) == len(left)
    told = {key: {label for other, label in pairs if other == key} for key in keys}
    assert set(left) == {key for key in keys if len(told[key]) == 1}
    assert sum(_counts(sieve).values()) == len(keys) - len(left)


@given(KEYS)
def test_rows_of_arrays_are_compared_as_texts_are(pairs):
    keys, labels = [key for key, _ in pairs], np.array([label for _, label in pairs])
    rows = np.array([[ord(key), 1] for key in keys])
    assert repeated(rows).tolist() == repeated(keys).tolist()
    assert contradicting(rows, labels).tolist() == contradicting(keys, labels).tolist()
    assert standing_in(rows, rows[:1]).tolist() == standing_in(keys, keys[:1]).tolist()


def test_rows_of_several_arrays_count_as_one():
    one, other = np.array([[1], [1]]), np.array([[2, 3], [2, 4]])
    assert repeated(rows_of(one, one)).tolist() == [False, True]
    assert repeated(rows_of(one, other)).tolist() == [False, False]


def test_far_out_is_three_interquartile_ranges_from_the_quartiles():
    values = np.append(np.arange(101.0), [225, 240, -200])
    assert outlying(np.arange(101.0)).sum() == 0
    assert values[outlying(values)].tolist() == [240, -200]


def test_limits_come_from_one_part_and_hold_for_all():
    train = np.stack([np.arange(101.0), np.zeros(101)], axis=1)
    clip = Clip.learnt(train, 1, 99)
    others = np.array([[-5.0, 0.0], [50.0, 0.0], [500.0, 0.0], [50.0, 1.0]])
    assert clip(others).tolist() == [[1, 0], [50, 0], [99, 0], [50, 0]]
    assert clip.hits(others).tolist() == [True, False, True, True]


@given(
    labels=st.lists(st.integers(0, 3), min_size=1, max_size=200).map(np.array),
    share=st.floats(0.05, 0.95),
    seed=st.integers(0, 2**63),
)
def test_a_stratified_split_takes_the_share_of_each_class_and_everything_once(labels, share, seed):
    kept, held_out = stratified(labels, share, seed)
    assert sorted([*kept, *held_out]) == list(range(len(labels)))
    for label in np.unique(labels):
        assert (labels[held_out] == label).sum() == pytest.approx(share * (labels == label).sum(), abs=0.5)
    again = stratified(labels, share, seed)
    assert np.array_equal(again[1], held_out)
