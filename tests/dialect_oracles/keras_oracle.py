"""Keras 3's own callback, on a real model and optimizer."""

import json
import os
import sys

os.environ["KERAS_BACKEND"] = sys.argv[1] if len(sys.argv) > 1 else "torch"

import keras

MODEL = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])


def answer(case):
    MODEL.compile(optimizer=keras.optimizers.SGD(case["lrs"][0]), loss="mse")
    callback = keras.callbacks.ReduceLROnPlateau(monitor="val_loss", **case["config"])
    callback.set_model(MODEL)
    callback.on_train_begin()
    lrs, state = [], []
    for index, value in enumerate(case["metric"]):
        callback.on_epoch_end(index, {"val_loss": value})
        lrs.append([float(keras.ops.convert_to_numpy(MODEL.optimizer.learning_rate))])
        state.append([callback.best, callback.wait, callback.cooldown_counter])
    return {"lrs": lrs, "state": state}


json.dump([answer(case) for case in json.load(sys.stdin)], sys.stdout)
