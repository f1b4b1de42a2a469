"""The autoencoder of MLPerf Tiny, anomaly detection: what it rebuilds badly is unusual."""

import keras
from keras import layers

INPUT = 640
WIDTHS = (128, 128, 128, 128, 8, 128, 128, 128, 128)


def build(card):
    """Dense layers with batch normalisation around eight units; input and output [batch, 640], five log-mel frames."""
    frames = keras.Input((INPUT,), name="frames")
    x = frames
    for units in WIDTHS:
        x = layers.ReLU()(layers.BatchNormalization()(layers.Dense(units)(x)))
    return keras.Model(frames, layers.Dense(INPUT, name="rebuilt")(x), name="autoencoder")
