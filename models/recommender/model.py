"""Two recommenders that score candidate items for a user: two towers, and neural collaborative filtering."""

import keras
from keras import layers, ops


def build(card):
    """Inputs user [batch, 1] and candidates [batch, candidates], both int32; output a score (logit) a candidate."""
    options, rate = card.options, card.training.dropout
    user = keras.Input((1,), dtype="int32", name="user")
    candidates = keras.Input((options["candidates"],), dtype="int32", name="candidates")
    architecture = {"two-tower": _two_tower, "ncf": _ncf}[options["architecture"]]
    # One row an item: dense layers over three axes export with the shape worked out at run time.
    item = ops.reshape(candidates, (-1,))
    scores = architecture(ops.reshape(user, (-1,)), item, options, rate)
    popularity = layers.Embedding(options["items"], 1, embeddings_initializer="zeros", name="popularity")(item)
    scores = ops.reshape(scores + popularity, (-1, options["candidates"]))
    return keras.Model([user, candidates], scores, name=options["architecture"].replace("-", "_"))


def _two_tower(user, item, options, rate):
    """The inner product of a user's and an item's vector, each from a tower of its own."""
    width, count = options["width"], options["candidates"]

    def tower(ids, rows, name):
        x = layers.Dropout(rate)(layers.Embedding(rows, width, name=name)(ids))
        # Around the tower, so that a plain product of embeddings is where learning begins.
        return x + layers.Dense(width)(layers.Dense(2 * width, activation="relu")(x))

    left = ops.reshape(tower(user, options["users"], "users"), (-1, 1, width))
    right = ops.reshape(tower(item, options["items"], "items"), (-1, count, width))
    return ops.reshape(ops.sum(left * right, axis=-1), (-1, 1))


def _ncf(user, item, options, rate):
    """He et al. 2017, NeuMF: a product of embeddings beside a network over others, joined by one layer."""
    users, items, width, count = options["users"], options["items"], options["width"], options["candidates"]

    def table(ids, rows, name):
        return layers.Dropout(rate)(layers.Embedding(rows, width, name=name)(ids))

    def paired(join, left, right):
        size = left.shape[-1]
        both = join([ops.reshape(left, (-1, 1, size)), ops.reshape(right, (-1, count, size))])
        return ops.reshape(both, (-1, size))

    product = paired(layers.Multiply(), table(user, users, "product_users"), table(item, items, "product_items"))
    # The first layer over user and item side by side is the sum of one over each: the user's is worked out once.
    x = paired(
        layers.Add(),
        layers.Dense(2 * width)(table(user, users, "network_users")),
        layers.Dense(2 * width, use_bias=False)(table(item, items, "network_items")),
    )
    x = layers.ReLU()(x)
    for units in (width, width // 2):
        x = layers.Dense(units, activation="relu")(layers.Dropout(rate)(x))
    return layers.Dense(1)(ops.concatenate([product, x], axis=-1))
