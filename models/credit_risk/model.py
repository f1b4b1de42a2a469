"""A network over the columns of a credit application."""

import keras
from keras import layers


def build(card):
    """Dense layers with batch normalisation; input [batch, columns] standardised, output the chance of default."""
    columns = keras.Input((card.options["columns"],), name="columns")
    x = columns
    for units in (64, 32):
        x = layers.Dense(units, use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.Dropout(card.training.dropout)(x)
    return keras.Model(columns, layers.Dense(1, activation="sigmoid", name="default")(x), name="credit_risk")
