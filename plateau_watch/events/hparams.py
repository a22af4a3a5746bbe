"""hparams: the hyper-parameters that a framework put into an event file for TensorBoard.

Reads the HParams plugin's `session_start_info`, which torch's `add_hparams` and Lightning's
loggers write. What the names mean is for others to say. Source: plugin_data.proto of tensorboard
2.21 (tensorboard/plugins/hparams).
"""

from __future__ import annotations

from google.protobuf.message import DecodeError

PLUGIN = "hparams"

Hparams = dict[str, float | str | bool]
"""Hyper-parameters by name: numbers (doubles, all of them), strings and truth values."""

LARGEST_HPARAMS = 1 << 20
"""Bytes of a session's hyper-parameters that are parsed: those of a large training have some
10,000."""

MOST_HPARAMS = 4096
"""Hyper-parameters that are kept of a file; large trainings have hundreds."""


def parse_hparams(content: memoryview) -> Hparams:
    """Read the plugin's content in a summary's metadata; nothing where it starts no session."""
    from tensorboard.plugins.hparams.plugin_data_pb2 import (  # noqa: PLC0415  few logs have any
        HParamsPluginData,
    )

    try:
        data = HParamsPluginData.FromString(bytes(content))
    except DecodeError:
        return {}
    kinds = ("number_value", "string_value", "bool_value")
    return {
        str(name): getattr(value, value.WhichOneof("kind"))
        for name, value in data.session_start_info.hparams.items()
        if value.WhichOneof("kind") in kinds
    }
