"""DS-CNN for keyword spotting: a convolution and four depthwise-separable blocks over a log-mel spectrogram."""

import keras
from keras import layers

FILTERS = 64
BLOCKS = 4
MOMENTUM = 0.9
"""Of the moving averages of batch normalisation: Keras' 0.99 needs more steps than a small data set has."""


def build(card):
    """Zhang et al. 2017 in the sizes of MLPerf Tiny; input [batch, frames, mels, 1], output probabilities."""
    options, rate = card.options, card.training.dropout
    spectrogram = keras.Input((options["frames"], options["mels"], 1), name="log_mel")
    x = layers.Conv2D(FILTERS, (10, 4), strides=2, padding="same", use_bias=False)(spectrogram)
    x = layers.Dropout(rate)(_active(x))
    for _ in range(BLOCKS):
        x = _active(layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x))
        x = _active(layers.Conv2D(FILTERS, 1, use_bias=False)(x))
    x = layers.Dropout(rate)(layers.GlobalAveragePooling2D()(x))
    word = layers.Dense(options["classes"], activation="softmax", name="word")(x)
    return keras.Model(spectrogram, word, name="ds_cnn")


def _active(x):
    return layers.ReLU()(layers.BatchNormalization(momentum=MOMENTUM)(x))
