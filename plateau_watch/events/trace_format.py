"""trace_format: the hook's trace on disk, both ways; schema version 1.

Under a common prefix, "plateau" by default:

- `<prefix>/trace`: one row for each `scheduler.step`, a rank-1 tensor of doubles with the columns
  of `FIXED_COLUMNS` and then `lr_before/<group>` and `lr_after/<group>` for each param group.
- `<prefix>/config`: JSON in a string tensor: hyper-parameters, state, LRs and group names, as they
  are just before the next row. Written at attach, and in the event of a row before which any of
  it changed from outside; it then stands before that row.
- `<prefix>/metric`, `/best`, `/bar`, `/num_bad_epochs`, `/cooldown`, `/lr/<group>`: float32 for
  the stock dashboards, never read back.

Both tensors carry the plugin name "plateau_watch", so that a tag is recognised whatever its
prefix, and survive TensorBoard's loaders bit for bit. The content of their metadata names what
they are. Knows the layout only, not what a decision means.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, TypeVar, cast, get_args

from tensorboard.compat.proto.summary_pb2 import (
    DATA_CLASS_TENSOR,
    Summary,
    SummaryMetadata,
)

from plateau_watch.config import PlateauConfig
from plateau_watch.decision import Kind
from plateau_watch.errors import ConfigError
from plateau_watch.events import tensors
from plateau_watch.recording import ConfigRecord, TraceRow
from plateau_watch.replay import Counters
from plateau_watch.scheduler import LrDtype

PLUGIN = "plateau_watch"
SCHEMA = 1
CONFIG_SCHEMA = "plateau-watch/config/1"

FIXED_COLUMNS = (
    "metric",
    "bar",
    "decision",
    "best_before",
    "num_bad_epochs_before",
    "cooldown_counter_before",
    "best",
    "num_bad_epochs",
    "cooldown_counter",
    "last_epoch",
    "row",
)
"""Columns before the LRs. `decision` is the position in `DECISIONS`; the state is that after the
step, and with `_before` that before it; `row` counts the rows of one attachment from 1."""

DECISIONS: tuple[Kind, ...] = get_args(Kind)

_FLOAT32_MAX = 3.4028234663852886e38


Json = TypeVar("Json", str, int, float)


class BadTraceError(ValueError):
    """A row or configuration of the trace that cannot be used; the message says why."""


def columns(groups: tuple[str, ...]) -> list[str]:
    """Return the column names of a row."""
    return [
        *FIXED_COLUMNS,
        *(f"lr_before/{group}" for group in groups),
        *(f"lr_after/{group}" for group in groups),
    ]


def row_values(prefix: str, row: TraceRow, *, name_columns: bool) -> list[Summary.Value]:
    """Return the values of one row: the exact one, then those for the stock dashboards.

    Args:
        prefix: of the tags.
        row: what one `scheduler.step` did.
        name_columns: whether the metadata names the columns: in the first row, and whenever the
            groups changed.
    """
    numbers = (
        row.metric,
        row.bar,
        float(DECISIONS.index(row.kind)),
        *_state(row.before),
        *_state(row.counters),
        float(row.last_epoch),
        float(row.number),
        *row.old_lrs,
        *row.new_lrs,
    )
    content: dict[str, Any] = {"schema": SCHEMA, "content": "trace"}
    if name_columns:
        content["columns"] = columns(row.record.groups)
    exact = Summary.Value(
        tag=f"{prefix}/trace",
        tensor=tensors.tensor_of_doubles(numbers),
        metadata=_metadata(content),
    )
    shown = {
        "metric": row.metric,
        "best": row.counters.best,
        "bar": row.bar,
        "num_bad_epochs": row.counters.num_bad_epochs,
        "cooldown": row.counters.cooldown_counter,
        **{f"lr/{name}": lr for name, lr in zip(row.record.groups, row.new_lrs, strict=True)},
    }
    return [
        exact,
        *(
            Summary.Value(tag=f"{prefix}/{name}", simple_value=value)
            for name, value in shown.items()
            if not abs(value) > _FLOAT32_MAX
        ),
    ]


def config_value(prefix: str, record: ConfigRecord, versions: dict[str, str]) -> Summary.Value:
    """Return the value that holds a configuration record."""
    document = {
        "schema": CONFIG_SCHEMA,
        "reason": record.reason,
        "config": _json(asdict(record.config)),
        "state": _json({**asdict(record.counters), "last_epoch": record.last_epoch}),
        "lrs": _json(list(record.lrs)),
        "lr_dtypes": list(record.lr_dtypes),
        "groups": list(record.groups),
        "versions": versions,
    }
    return Summary.Value(
        tag=f"{prefix}/config",
        tensor=tensors.tensor_of_string(json.dumps(document, allow_nan=False)),
        metadata=_metadata({"schema": SCHEMA, "content": "config"}),
    )


def parse_config(document: str) -> ConfigRecord:
    """Read a configuration record back.

    Raises:
        BadTraceError: it is no such document, of a newer schema, or its values mean nothing.
    """
    try:
        return _record(json.loads(document))
    except ConfigError as error:
        raise BadTraceError(f"recorded configuration: {error}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, BadTraceError):
            raise
        raise BadTraceError(f"unreadable configuration: {error!r}") from None


def _record(content: dict[str, Any]) -> ConfigRecord:
    if content["schema"] != CONFIG_SCHEMA:
        raise BadTraceError(f"its schema is {content['schema']!r}, not {CONFIG_SCHEMA!r}")
    state = _from_json(content["state"])
    record = ConfigRecord(
        config=PlateauConfig(**_from_json(content["config"])),
        counters=Counters(
            best=_is_a(float, state["best"]),
            num_bad_epochs=_is_a(int, state["num_bad_epochs"]),
            cooldown_counter=_is_a(float, state["cooldown_counter"]),
        ),
        last_epoch=_is_a(int, state["last_epoch"]),
        lrs=tuple(_is_a(float, lr) for lr in _from_json(content["lrs"])),
        lr_dtypes=tuple(content["lr_dtypes"]),
        groups=tuple(_is_a(str, group) for group in content["groups"]),
        reason=content["reason"],
    )
    if not len(record.lrs) == len(record.lr_dtypes) == len(record.groups):
        raise BadTraceError("recorded configuration: LRs, dtypes and groups differ in number")
    if unknown := set(record.lr_dtypes) - set(get_args(LrDtype)):
        raise BadTraceError(f"recorded configuration: unknown LR dtype {unknown.pop()!r}")
    return record


def _is_a(kind: type[Json], value: object) -> Json:
    """Return a value of a JSON type; an integer is a float too."""
    allowed = (int, float) if kind is float else kind
    if not isinstance(value, allowed):
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value


def parse_row(
    numbers: tuple[float, ...], step: int, wall_time: float, record: ConfigRecord
) -> TraceRow:
    """Read a row back.

    Args:
        numbers: the tensor's content.
        step: of the event.
        wall_time: of the event, seconds since the epoch.
        record: the configuration record that stands last before the row.

    Raises:
        BadTraceError: the row does not have two LRs for each group, or no such decision exists.
    """
    fixed = len(FIXED_COLUMNS)
    groups = len(record.groups)
    if len(numbers) != fixed + 2 * groups:
        raise BadTraceError(f"a row of {len(numbers)} numbers for {groups} param group(s)")
    metric, bar, decision, *states, last_epoch, row = numbers[:fixed]
    if decision not in range(len(DECISIONS)):
        raise BadTraceError(f"a row with decision {decision:g}")
    return TraceRow(
        step=step,
        wall_time=wall_time,
        metric=metric,
        bar=bar,
        kind=DECISIONS[int(decision)],
        before=_counters(states[:3]),
        counters=_counters(states[3:]),
        last_epoch=int(last_epoch) if math.isfinite(last_epoch) else 0,
        old_lrs=numbers[fixed : fixed + groups],
        new_lrs=numbers[fixed + groups :],
        number=int(row) if math.isfinite(row) else 0,
        record=record,
    )


def _metadata(content: dict[str, Any]) -> SummaryMetadata:
    metadata = SummaryMetadata(data_class=DATA_CLASS_TENSOR)
    metadata.plugin_data.plugin_name = PLUGIN
    metadata.plugin_data.content = json.dumps(content, separators=(",", ":")).encode()
    return metadata


def _state(counters: Counters) -> tuple[float, float, float]:
    return (counters.best, float(counters.num_bad_epochs), float(counters.cooldown_counter))


def _counters(numbers: Sequence[float]) -> Counters:
    best, bad, cooldown = numbers
    return Counters(best=best, num_bad_epochs=_count(bad), cooldown_counter=_count(cooldown))


def _count(number: float) -> int:
    """Read a counter back: an int where it is whole, as torch's are."""
    return int(number) if number.is_integer() else cast(int, number)


def _json(value: Any) -> Any:  # noqa: ANN401  JSON
    """Make a value valid JSON: non-finite numbers become "nan", "inf", "-inf"."""
    if isinstance(value, dict):
        return {key: _json(content) for key, content in value.items()}
    if isinstance(value, list | tuple):
        return [_json(content) for content in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _from_json(value: Any) -> Any:  # noqa: ANN401  JSON
    if isinstance(value, dict):
        return {key: _from_json(content) for key, content in value.items()}
    if isinstance(value, list):
        return tuple(_from_json(content) for content in value)
    return float(value) if value in ("nan", "inf", "-inf") else value
