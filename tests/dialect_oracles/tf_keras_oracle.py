"""tf-keras' own callback, on a real model and optimizer of TensorFlow."""

import json
import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy
import tensorflow
import tf_keras

MODEL = tf_keras.Sequential([tf_keras.layers.Dense(1, input_shape=(1,))])
MODEL.compile(optimizer=tf_keras.optimizers.SGD(0.1), loss="mse")


def answer(case):
    config = dict(case["config"])
    if config.pop("numpy") != int(numpy.__version__.split(".")[0]):
        return None  # a case for the other NumPy
    tf_keras.backend.set_value(MODEL.optimizer.lr, case["lrs"][0])
    callback = tf_keras.callbacks.ReduceLROnPlateau(monitor="val_loss", **config)
    callback.set_model(MODEL)
    callback.on_train_begin()
    lrs, state = [], []
    for index, value in enumerate(case["metric"]):
        callback.on_epoch_end(index, {"val_loss": value})
        lrs.append([float(tf_keras.backend.get_value(MODEL.optimizer.lr))])
        state.append([callback.best, callback.wait, callback.cooldown_counter])
    return {"lrs": lrs, "state": state}


assert tensorflow.executing_eagerly()
json.dump([answer(case) for case in json.load(sys.stdin)], sys.stdout)
