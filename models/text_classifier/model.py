"""A small transformer encoder for short texts."""

import keras
import numpy as np
from keras import layers, ops

WIDTH = 64
HEADS = 4
BLOCKS = 2
PADDING = 0

HIDDEN = -16.0
"""Added to the score of padding before a softmax: leaves it e^-16, within a range that int8 can resolve."""


def build(card):
    """Vaswani et al. 2017, normalised before each part; input word numbers [batch, length], output probabilities."""
    length, rate = card.options["length"], card.training.dropout
    ids = keras.Input((length,), dtype="int32", name="ids")
    is_word = ops.not_equal(ids, PADDING)
    # Positions count from 1; padding has position 0.
    positions = ops.cast(is_word, "int32") * np.arange(1, length + 1, dtype="int32")
    bias = (1.0 - ops.cast(is_word, "float32")) * HIDDEN
    words = layers.Embedding(card.options["vocabulary"], WIDTH, name="words")(ids)
    # One row a word from here on: dense layers over three axes export with the shape worked out at run time.
    x = ops.reshape(words + layers.Embedding(length + 1, WIDTH, name="positions")(positions), (-1, WIDTH))
    x = layers.Dropout(rate)(x)
    for _ in range(BLOCKS):
        x = x + layers.Dropout(rate)(_attention(layers.LayerNormalization()(x), bias, length))
        x = x + layers.Dropout(rate)(_feed_forward(layers.LayerNormalization()(x)))
    text = layers.Dropout(rate)(_mean(layers.LayerNormalization()(x), bias, length))
    label = layers.Dense(card.options["classes"], activation="softmax", name="label")(text)
    return keras.Model(ids, label, name="transformer_encoder")


def _attention(x, bias, length):
    """Multi-head self-attention in plain matrix products: keras.layers.MultiHeadAttention exports as Einsum."""

    def heads(y):
        return ops.transpose(ops.reshape(y, (-1, length, HEADS, WIDTH // HEADS)), (0, 2, 1, 3))

    query, key, value = (heads(layers.Dense(WIDTH)(x)) for _ in range(3))
    scores = ops.matmul(query * (WIDTH // HEADS) ** -0.5, ops.transpose(key, (0, 1, 3, 2)))
    weights = ops.softmax(scores + ops.reshape(bias, (-1, 1, 1, length)))
    joined = ops.reshape(ops.transpose(ops.matmul(weights, value), (0, 2, 1, 3)), (-1, WIDTH))
    return layers.Dense(WIDTH)(joined)


def _feed_forward(x):
    return layers.Dense(WIDTH)(layers.Dense(2 * WIDTH, activation="relu")(x))


def _mean(x, bias, length):
    """The mean over the words. A softmax of the bias alone is 1/words on each: no division, which int8 lacks."""
    share = ops.reshape(ops.softmax(bias), (-1, 1, length))
    return ops.reshape(ops.matmul(share, ops.reshape(x, (-1, length, WIDTH))), (-1, WIDTH))
