"""The hook's rows and configurations on disk: the same both ways, and nothing hostile raises."""

import json
import math
import struct
from contextlib import closing
from dataclasses import astuple, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.types_pb2 import DataType

from plateau_watch.comparison import compare
from plateau_watch.config import PlateauConfig
from plateau_watch.errors import PlateauWatchError
from plateau_watch.events import tensors
from plateau_watch.events.event_file import EventFile
from plateau_watch.events.logdir import discover
from plateau_watch.events.run_reader import read_run
from plateau_watch.events.trace_format import (
    DECISIONS,
    FIXED_COLUMNS,
    BadTraceError,
    columns,
    config_value,
    parse_config,
    parse_row,
    row_values,
)
from plateau_watch.recording import ConfigRecord, TraceRow, from_trace
from plateau_watch.replay import Counters
from tests.strategies import configs, lr_dtypes

VERSIONS = {"plateau_watch": "1.2.3", "torch": "2.13.0"}

NUMBERS_IN_JSON = ("nan", "inf", "-inf")

any_float = st.floats(allow_nan=True, allow_infinity=True)
counts = st.integers(0, 2**53)
states = st.builds(Counters, any_float, counts, st.one_of(counts, st.just(math.inf)))


@st.composite
def records(draw):
    groups = draw(st.integers(1, 3))
    config = draw(configs(groups))
    for name in ("patience", "cooldown"):
        if draw(st.booleans()):
            config = config.with_changes(**{name: draw(st.sampled_from([math.inf, 2.5, 10**15]))})
    return ConfigRecord(
        config=config,
        counters=draw(states),
        last_epoch=draw(counts),
        lrs=tuple(draw(st.lists(any_float, min_size=groups, max_size=groups))),
        lr_dtypes=tuple(draw(st.lists(lr_dtypes, min_size=groups, max_size=groups))),
        groups=tuple(
            draw(
                st.lists(
                    st.one_of(st.text(), st.sampled_from(["a/b", "0", "1e5"])).filter(
                        lambda name: name not in NUMBERS_IN_JSON
                    ),
                    min_size=groups,
                    max_size=groups,
                )
            )
        ),
        reason=draw(st.sampled_from(["attached", "changed"])),
    )


@st.composite
def rows(draw):
    record = draw(records())
    groups = len(record.groups)
    return TraceRow(
        step=draw(st.integers(-(2**63), 2**63 - 1)),
        wall_time=draw(st.floats(0, 1e10)),
        metric=draw(any_float),
        bar=draw(any_float),
        kind=draw(st.sampled_from(DECISIONS)),
        before=draw(states),
        counters=draw(states),
        last_epoch=draw(counts),
        old_lrs=tuple(draw(st.lists(any_float, min_size=groups, max_size=groups))),
        new_lrs=tuple(draw(st.lists(any_float, min_size=groups, max_size=groups))),
        number=draw(counts),
        record=record,
    )


def no_constant(word):
    raise AssertionError(f"{word} is no JSON")


def document_of(record):
    """The JSON text that stands in the file."""
    value = config_value("plateau", record, VERSIONS)
    return value.tensor.string_val[0].decode()


def same(one, other):
    """Whether two values are the same to the bit and type; a NaN is the same as a NaN."""
    return repr(one) == repr(other)


# Both ways.


@settings(max_examples=300, deadline=None)
@given(records())
def test_a_configuration_comes_back_as_it_was(record):
    assert same(parse_config(document_of(record)), record)


@pytest.mark.parametrize("name", NUMBERS_IN_JSON)
def test_a_group_may_have_the_name_of_a_number(name):
    record = replace(RECORD, groups=(name,))
    assert same(parse_config(document_of(record)), record)


@settings(max_examples=300, deadline=None)
@given(records())
def test_a_configuration_is_valid_json_that_names_its_schema_and_versions(record):
    document = json.loads(document_of(record), parse_constant=no_constant)
    assert document["schema"] == "plateau-watch/config/1"
    assert document["versions"] == VERSIONS
    assert [*document["config"]] == [*PlateauConfig.__dataclass_fields__]


@settings(max_examples=300, deadline=None)
@given(rows())
def test_a_row_comes_back_as_it_was(row):
    value = row_values("plateau", row, name_columns=True)[0]
    message = memoryview(value.tensor.SerializeToString())
    again = parse_row(tensors.doubles(message), row.step, row.wall_time, row.record)
    assert same(again, row)


@settings(max_examples=100, deadline=None)
@given(rows())
def test_the_columns_name_the_numbers_of_a_row(row):
    value = row_values("plateau", row, name_columns=True)[0]
    named = json.loads(value.metadata.plugin_data.content)["columns"]
    assert named == columns(row.record.groups)
    count = value.tensor.tensor_shape.dim[0].size
    numbers = struct.unpack(f"<{count}d", value.tensor.tensor_content)
    assert len(numbers) == len(named)
    assert same(
        numbers[: len(FIXED_COLUMNS)],
        (
            row.metric,
            row.bar,
            float(DECISIONS.index(row.kind)),
            *map(float, astuple(row.before)),
            *map(float, astuple(row.counters)),
            float(row.last_epoch),
            float(row.number),
        ),
    )
    assert same(numbers[len(FIXED_COLUMNS) :], (*row.old_lrs, *row.new_lrs))


def test_the_codes_of_the_decisions_are_settled():
    assert DECISIONS == ("improved", "bad", "cooldown", "reduced", "floored")


# What cannot be used becomes a problem in words.

RECORD = ConfigRecord(
    config=PlateauConfig(patience=0),
    counters=Counters(math.inf, 0, 0),
    last_epoch=0,
    lrs=(0.5,),
    lr_dtypes=("python",),
    groups=("0",),
    reason="attached",
)

NUMBERS = (
    *(1.0, math.inf, 0.0),
    *(math.inf, 0.0, 0.0),
    *(1.0, 0.0, 0.0),
    *(1.0, 1.0),
    *(0.5, 0.5),
)
"""The first step of RECORD with metric 1."""


def config_of(document):
    value = config_value("plateau", RECORD, VERSIONS)
    value.tensor.CopyFrom(tensors.tensor_of_string(document))
    return value


def row_of(numbers):
    row = parse_row(NUMBERS, 1, 0.0, RECORD)
    value = row_values("plateau", row, name_columns=True)[0]
    value.tensor.CopyFrom(tensors.tensor_of_doubles(tuple(numbers)))
    return value


def read(directory, *values):
    """Write one event for each value, at steps from 0, and read the run back."""
    with closing(EventFile(directory / "events.out.tfevents.1")) as file:
        for step, value in enumerate(values):
            file.add(Event(step=step, wall_time=5.0, summary=Summary(value=[value])))
    (run,) = discover(directory)
    log = read_run(run)
    assert log.damages == ()
    (trace,) = log.traces
    return trace


def changed(**parts):
    """The document of RECORD with parts of it replaced."""
    return json.dumps({**json.loads(document_of(RECORD)), **parts})


def with_config(**parameters):
    return changed(config={**json.loads(document_of(RECORD))["config"], **parameters})


def with_state(**parts):
    return changed(state={**json.loads(document_of(RECORD))["state"], **parts})


UNUSABLE = {
    "a newer schema": (
        changed(schema="plateau-watch/config/2"),
        "its schema is 'plateau-watch/config/2', not 'plateau-watch/config/1'",
    ),
    "nothing": ("", "unreadable configuration"),
    "half a document": (document_of(RECORD)[:100], "unreadable configuration"),
    "a list": ("[]", "unreadable configuration"),
    "null": ("null", "unreadable configuration"),
    "text": ('"plateau-watch/config/1"', "unreadable configuration"),
    "no configuration": (changed(config=None), "unreadable configuration"),
    "an unknown parameter": (with_config(verbose=True), "unreadable configuration"),
    "a factor torch refuses": (with_config(factor=1.5), "factor must be below 1, got 1.5"),
    "a factor that is no number": (with_config(factor="nan"), "factor must be a number, got nan"),
    "an unknown mode": (with_config(mode="best"), "mode must be 'min' or 'max', got 'best'"),
    "a patience that is text": (with_config(patience="ten"), "patience must be a number"),
    "LRs that are no list": (changed(lrs=5), "unreadable configuration"),
    "no groups": (changed(groups=None), "unreadable configuration"),
    "a state that is a list": (changed(state=[]), "unreadable configuration"),
    "a state without best": (changed(state={}), "unreadable configuration"),
}

CRASHING = {
    "brackets without end": ("[" * 60_000, "unreadable configuration"),
    "a patience of 400 digits": (with_config(patience=10**400), "patience must be a number"),
    "a best that is null": (with_state(best=None), "configuration"),
    "a best that is text": (with_state(best="low"), "configuration"),
    "a count that is text": (with_state(num_bad_epochs="3"), "configuration"),
    "an unknown dtype": (changed(lr_dtypes=["float8"]), "configuration"),
    "more dtypes than groups": (changed(lr_dtypes=["python"] * 3), "configuration"),
}


@pytest.mark.parametrize(("document", "problem"), UNUSABLE.values(), ids=UNUSABLE)
def test_a_configuration_that_cannot_be_used_is_a_problem_in_words(tmp_path, document, problem):
    trace = read(tmp_path, config_of(document), row_of(NUMBERS))
    assert trace.rows == ()
    assert problem in trace.problems[0]
    assert trace.problems[1:] == ("row at step 1: no usable configuration before it",)


@pytest.mark.parametrize(("document", "problem"), CRASHING.values(), ids=CRASHING)
def test_a_hostile_configuration_is_a_problem_in_words_too(tmp_path, document, problem):
    trace = read(tmp_path, config_of(document), row_of(NUMBERS), row_of(NUMBERS))
    assert problem in "".join(trace.problems[:1])
    assert trace.rows == ()


@pytest.mark.parametrize(
    ("numbers", "problem"),
    [
        (NUMBERS[:-1], "row at step 1: a row of 12 numbers for 1 param group(s)"),
        ((*NUMBERS, 0.5), "row at step 1: a row of 14 numbers for 1 param group(s)"),
        (NUMBERS[:1], "row at step 1: a row of 1 numbers for 1 param group(s)"),
        *(
            ((*NUMBERS[:2], code, *NUMBERS[3:]), f"row at step 1: a row with decision {code:g}")
            for code in (5.0, -1.0, 2.5, math.nan, math.inf)
        ),
    ],
)
def test_a_row_that_cannot_be_used_is_a_problem_in_words(tmp_path, numbers, problem):
    trace = read(tmp_path, config_of(document_of(RECORD)), row_of(numbers), row_of(NUMBERS))
    assert trace.problems == (problem,)
    assert [row.step for row in trace.rows] == [2], "the rows after it count"
    assert from_trace(trace).warnings == (problem,)


@pytest.mark.parametrize(
    "tensor",
    [
        TensorProto(dtype=DataType.DT_FLOAT, float_val=[1.0] * 10),
        TensorProto(dtype=DataType.DT_DOUBLE, double_val=[1.0] * 10),
        tensors.tensor_of_doubles(()),
        tensors.tensor_of_string("a row"),
    ],
    ids=["float32", "no shape", "empty", "text"],
)
def test_a_row_that_is_no_vector_of_doubles_is_a_problem_in_words(tmp_path, tensor):
    value = row_of(NUMBERS)
    value.tensor.CopyFrom(tensor)
    trace = read(tmp_path, config_of(document_of(RECORD)), value, row_of(NUMBERS))
    assert [row.step for row in trace.rows] == [2]
    assert [problem[:14] for problem in trace.problems] == ["row at step 1:"]


def test_a_row_without_a_configuration_before_it_is_a_problem_in_words(tmp_path):
    trace = read(tmp_path, row_of(NUMBERS), config_of(document_of(RECORD)), row_of(NUMBERS))
    assert trace.problems == ("row at step 0: no usable configuration before it",)
    assert [row.step for row in trace.rows] == [2]


def test_numbers_that_no_counter_has_are_kept_and_do_no_harm(tmp_path):
    odd = (*NUMBERS[:7], math.nan, math.inf, math.nan, -math.inf, 0.5, 0.5)
    trace = read(tmp_path, config_of(document_of(RECORD)), row_of(odd), row_of(NUMBERS))
    assert len(trace.rows) == 2
    assert trace.problems == ()
    assert not compare(from_trace(trace)).parity.exact


def read_or_refused(parse, *arguments):
    """What was read, or the one error that may be raised."""
    try:
        return parse(*arguments)
    except BadTraceError as error:
        return error


json_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**6), 10**6),
        st.floats(),
        st.sampled_from(["nan", "inf", "min", "rel", "python", "attached", ""]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=2)
    ),
    max_leaves=5,
)

PLACES = [
    (part,) if not isinstance(content, dict) else (part, name)
    for part, content in json.loads(document_of(RECORD)).items()
    for name in (content if isinstance(content, dict) else [None])
]


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(PLACES), json_values)
def test_a_document_with_anything_anywhere_is_read_or_refused(place, value):
    document = json.loads(document_of(RECORD))
    part, *name = place
    if name:
        document[part][name[0]] = value
    else:
        document[part] = value
    text = json.dumps(document)
    found = read_or_refused(parse_config, text)
    if isinstance(found, BadTraceError):
        assert "configuration" in str(found) or "schema" in str(found)
    else:
        assert isinstance(found.config, PlateauConfig)


@settings(max_examples=500, deadline=None)
@given(st.text())
def test_a_text_of_any_kind_is_refused_with_a_reason(text):
    with pytest.raises(BadTraceError, match="configuration"):
        parse_config(text)


@settings(max_examples=500, deadline=None)
@given(st.lists(st.one_of(any_float, st.sampled_from(NUMBERS)), max_size=16))
def test_a_row_of_any_numbers_is_read_or_refused(numbers):
    found = read_or_refused(parse_row, tuple(numbers), 1, 0.0, RECORD)
    if isinstance(found, BadTraceError):
        assert "a row " in str(found)
    else:
        assert found.kind in DECISIONS
        assert len(found.old_lrs) == len(found.new_lrs) == 1


def test_a_bad_trace_is_an_error_of_the_content_not_of_the_user():
    assert issubclass(BadTraceError, ValueError)
    assert not issubclass(BadTraceError, PlateauWatchError)
