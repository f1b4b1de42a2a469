"""Linear regression: one weight a feature and one bias, fitted by full-batch gradient descent."""

import keras
import tensorflow as tf


def build(card):
    """A single Dense unit that starts from zero; input [batch, features], output [batch, 1]."""
    return keras.Sequential(
        [
            keras.Input((card.options["features"],), name="x"),
            keras.layers.Dense(1, kernel_initializer="zeros", bias_initializer="zeros", name="line"),
        ]
    )


def half_mse(truth, predicted):
    """Half the mean squared error, so that the gradient is the mean of error times x."""
    return 0.5 * keras.ops.mean(keras.ops.square(predicted - truth), axis=-1)


def train(model, data, card, report):
    """Plain gradient descent: every step sees the whole training set."""
    options = card.training
    (x,), y = data.train.inputs, data.train.labels
    model.compile(optimizer=keras.optimizers.SGD(options.learning_rate), loss=half_mse)
    told = options.epochs // 4 if options.epochs % 4 == 0 else options.epochs
    step = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda quarter, logs: report(
            f"training step {(quarter + 1) * told}/{options.epochs}, loss {logs['loss']:.6f}"
        )
    )
    # Keras' "epoch" here is a quarter of the steps: an epoch of one step costs more in bookkeeping than in work.
    whole_set = tf.data.Dataset.from_tensors((x, y)).cache().repeat()
    model.fit(
        whole_set, epochs=options.epochs // told, steps_per_epoch=told, shuffle=False, verbose=0, callbacks=[step]
    )
