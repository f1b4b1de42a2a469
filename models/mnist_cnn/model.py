"""The usual small convolutional network for 28 x 28 digits."""

import keras
import numpy as np
from keras import layers


def build(card):
    """Three convolutions and two dense layers; input [batch, 28, 28, 1], output ten probabilities."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1), name="image"),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )


def train(model, data, card, report):
    """Adam with a cosine schedule; every epoch sees each image shifted by up to two pixels."""
    options = card.training
    labels = data.train.labels
    steps = options.epochs * -(-len(labels) // options.batch)
    model.compile(
        optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(options.learning_rate, steps)),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    rng = np.random.default_rng(data.seed)
    for epoch in range(options.epochs):
        (images,) = vary(data.train.inputs, rng)
        seen = model.fit(images, labels, batch_size=options.batch, verbose=0).history
        loss, accuracy = seen["loss"][0], seen["accuracy"][0]
        report(f"training epoch {epoch + 1}/{options.epochs}, loss {loss:.4f}, accuracy {accuracy:.4f}")


def vary(inputs, rng, reach=2):
    """The training images of one epoch, each moved by up to two pixels; fine-tuning asks for them too."""
    (images,) = inputs
    moves = rng.integers(-reach, reach + 1, (len(images), 2))
    return (np.stack([np.roll(image, tuple(move), (0, 1)) for image, move in zip(images, moves, strict=True)]),)
