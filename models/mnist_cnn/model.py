"""The usual small convolutional network for 28 x 28 digits."""

import keras
from keras import layers

WIDTH = 32
"""Channels of the first convolution; the other layers have twice as many."""


def build(card):
    """Three convolutions and two dense layers; input [batch, 28, 28, 1], output ten probabilities."""
    width = card.options.get("width", WIDTH)
    rate = card.training.dropout if card.training else 0.0
    return keras.Sequential(
        [
            keras.Input((28, 28, 1), name="image"),
            layers.Conv2D(width, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(2 * width, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(2 * width, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(2 * width, activation="relu"),
            *([layers.Dropout(rate)] if rate else []),
            layers.Dense(10, activation="softmax"),
        ]
    )
