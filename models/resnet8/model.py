"""ResNet-8 as in MLPerf Tiny, image classification."""

import keras
from keras import layers

_DECAY = 1e-4


def build(card):
    """He et al. 2016 with three stages of one block; input [batch, 32, 32, 3] of 0..255, output probabilities."""
    image = keras.Input((32, 32, 3), name="image")
    x = layers.ReLU()(_convolved(image, 16))
    for filters, stride in ((16, 1), (32, 2), (64, 2)):
        x = _block(x, filters, stride)
    x = layers.Flatten()(layers.AveragePooling2D(8)(x))
    x = layers.Dropout(card.training.dropout if card.training else 0.0)(x)
    classes = layers.Dense(card.options["classes"], activation="softmax", kernel_initializer="he_normal")(x)
    return keras.Model(image, classes, name="resnet8")


def _block(x, filters, stride):
    y = layers.ReLU()(_convolved(x, filters, stride))
    y = _convolved(y, filters)
    # Where the shape changes, the reference's shortcut is a bare 1 x 1 convolution.
    shortcut = x if stride == 1 else _convolution(filters, 1, stride)(x)
    return layers.ReLU()(layers.Add()([shortcut, y]))


def _convolved(x, filters, stride=1):
    return layers.BatchNormalization()(_convolution(filters, 3, stride)(x))


def _convolution(filters, size, stride):
    return layers.Conv2D(
        filters,
        size,
        strides=stride,
        padding="same",
        kernel_initializer="he_normal",
        kernel_regularizer=keras.regularizers.L2(_DECAY),
    )
