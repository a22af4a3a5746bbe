"""Sound records with hostile content: commands say what they leave out, and nothing else happens.

No traceback, no warning of numpy's, no hang, and memory within bounds that do not grow with the
number of tags, restarts or fields.
"""

import json
import math
import os
import signal
import struct
import subprocess
import sys
from contextlib import contextmanager

import pytest
from click.testing import CliRunner
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.types_pb2 import DataType

from plateau_watch.commands import main
from plateau_watch.events.file_content import MOST_TAGS
from plateau_watch.events.framing import framed
from plateau_watch.events.hparams import MOST_HPARAMS
from plateau_watch.events.summaries import LONGEST_TAG, MOST_VALUES
from tests.event_files import (
    EVENT_FILE,
    FILE_VERSION,
    double,
    event,
    parsed,
    payloads_of,
    read,
    restart,
    simple,
    tensor_value,
    write_bytes,
)
from tests.runs import METRIC, hooked_run, lr_of, scheduler_for

LAST = 2**63 - 1
SECONDS = 30

COMMANDS = [
    ["replay"],
    ["replay", "--format", "json", "--full"],
    ["replay", "--explain", "--as", "keras"],
    ["replay", "--tensorboard"],
    ["explain", "--all"],
    ["fit"],
    ["runs"],
    ["runs", "--duplicates", "error"],
]


def write(directory, *payloads, name=EVENT_FILE):
    """Write records of protos, or of any bytes."""
    sound = [
        each if isinstance(each, bytes) else each.SerializeToString()
        for each in (FILE_VERSION, *payloads)
    ]
    return write_bytes(directory / name, b"".join(map(framed, sound)))


def training(steps=range(16), wall_times=range(16), *, metric="val/loss", lr="lr"):
    """A training that every command can tell something of."""
    scheduler = scheduler_for(patience=2)
    events = []
    for step, wall_time, value in zip(steps, wall_times, METRIC, strict=False):
        values = simple(metric, value), simple(lr, lr_of(scheduler))
        events.append(event(*values, step=step, wall_time=wall_time))
        scheduler.step(value)
    return events


def varint(number):
    septets = [number >> shift & 0x7F for shift in range(0, max(1, number.bit_length()), 7)]
    return bytes([*(septet | 0x80 for septet in septets[:-1]), septets[-1]])


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def value(tag, number):
    """The bytes of a summary's value, which may have a tag that no proto would take."""
    return field(1, field(1, tag) + b"\x15" + struct.pack("<f", number))


@contextmanager
def within(seconds):
    def too_long(*_):
        raise TimeoutError(f"not done within {seconds} s")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def survive(logdir, tmp_path, commands=COMMANDS):
    """Run commands; return all they said. A warning is an error here, and an exception one too."""
    said = ""
    for number, (command, *options) in enumerate(commands):
        target = [str(tmp_path / f"whatif{number}")] if options[-1:] == ["--tensorboard"] else []
        with within(SECONDS):
            result = CliRunner().invoke(main, [command, str(logdir), *options, *target])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code in (0, 1, 2), result.output
        if "json" in options and result.exit_code < 2:
            json.loads(result.stdout)
        said += result.output
    return said


def notes(logdir):
    """The notes that `runs` has of the one run in a directory."""
    result = CliRunner().invoke(main, ["runs", str(logdir), "--format", "json"])
    (described,) = json.loads(result.stdout)["runs"]
    return described["warnings"]


@pytest.fixture
def logs(tmp_path):
    directory = tmp_path / "logs"
    directory.mkdir()
    return directory


class TestSteps:
    @pytest.mark.parametrize(
        "steps",
        [
            pytest.param(
                [-LAST - 1, -(2**62), *range(-5, 5), 2**53, 2**62, LAST - 1, LAST], id="all"
            ),
            pytest.param(range(LAST - 15, LAST + 1), id="at the end"),
            pytest.param(range(-LAST - 1, -LAST + 15), id="at the beginning"),
        ],
    )
    def test_any_int64_is_a_step(self, logs, tmp_path, steps):
        write(logs, *training(steps))
        survive(logs, tmp_path)
        (run,) = json.loads(
            CliRunner().invoke(main, ["replay", str(logs), "--format", "json"]).stdout
        )["runs"]
        assert run["parity"]["mismatches"] == 0
        assert (run["metric"]["first_step"], run["metric"]["last_step"]) == (steps[0], steps[-1])

    def test_a_decay_by_plan_between_both_ends_is_called_one(self, logs):
        steps = [n * 2**60 for n in range(-8, 8)]
        write(logs, *(event(simple("lr", 16.0 - n), step=step) for n, step in enumerate(steps)))
        said = CliRunner().invoke(main, ["runs", str(logs)]).output
        assert "a linear decay by plan" in said

    def test_files_that_lie_at_both_ends_are_told_apart_without_overflow(self, logs, tmp_path):
        write(logs, *training([-LAST - 1, *range(15)]), name="events.out.tfevents.1.h.1.0")
        write(logs, *training(range(LAST - 15, LAST + 1)), name="events.out.tfevents.2.h.2.0")
        write(logs / "on", *training([-LAST - 1, *range(15)], range(90, 106)))
        survive(logs, tmp_path)

    @pytest.mark.parametrize("start", [-LAST - 1, 0, LAST])
    def test_a_restart_at_any_step_voids_what_it_says(self, logs, tmp_path, start):
        write(logs, *training(), restart(start))
        survive(logs, tmp_path)
        assert len(read(logs).series["lr"]) == (16 if start == LAST else 0)

    def test_an_lr_that_a_restart_voided_leaves_the_rest(self, logs, tmp_path):
        write(logs, *training(range(5, 21)), restart(0), *(event(simple("x", n)) for n in range(5)))
        survive(logs, tmp_path)


class TestWallTimes:
    @pytest.mark.parametrize(
        "times",
        [
            [math.nan] * 16,
            [math.inf] * 16,
            [-math.inf, *range(14), math.inf],
            [1e308, -1e308] * 8,
            [0, math.inf, -math.inf, math.nan] * 4,
            [-1e9] * 16,
        ],
        ids=["nan", "inf", "from -inf to inf", "1e308", "mixed", "negative"],
    )
    def test_any_double_is_a_wall_time(self, logs, tmp_path, times):
        write(logs / "a", *training(range(16), times))
        write(logs / "a", *training(range(10, 26), times), name="events.out.tfevents.9.h.8.0")
        write(logs / "goes_on", *training(range(16, 32), times))
        write(logs / "train", *training(range(16), times))
        write(logs / "validation", *training(range(16), times, metric="acc", lr="x"))
        metric = (
            event(simple("val/loss", v), step=9 * n, wall_time=times[n])
            for n, v in enumerate(METRIC)
        )
        lr = (event(simple("lr", 0.1), step=n, wall_time=times[n % 16]) for n in range(50))
        write(logs / "other axes", *metric, *lr)
        survive(logs, tmp_path)

    def test_lrs_without_a_time_are_not_joined_by_the_clock(self, logs, tmp_path):
        metric = (event(simple("val/loss", v), step=n, wall_time=n) for n, v in enumerate(METRIC))
        lr = (
            event(simple("lr", 0.1 * 0.5 ** (n // 20)), step=-n, wall_time=math.inf)
            for n in range(50)
        )
        write(logs, *metric, *lr)
        survive(logs, tmp_path)


class TestNumbers:
    def test_any_double_is_a_value(self, logs, tmp_path):
        lrs = [
            [math.nan] * 16,
            [math.inf] * 8 + [1.0] * 8,
            [-1.0] * 16,
            [5e-324] * 8 + [0.0] * 8,
            [1e308, 1e-308] * 8,
        ]
        odd = [1e308, -1e308, math.inf, -math.inf, math.nan, 5e-324, 0.0, -0.0] * 2
        for number, lr in enumerate(lrs):
            for metric in (METRIC, odd):
                pairs = zip(metric, lr, strict=True)
                write(
                    logs / f"{number}{metric is odd}",
                    *(
                        event(
                            tensor_value("val/loss", double(a)),
                            tensor_value("lr", double(b)),
                            step=n,
                        )
                        for n, (a, b) in enumerate(pairs)
                    ),
                )
        survive(logs, tmp_path)
        survive(logs, tmp_path, [["replay", "--metric", "val/loss", "--lr", "lr"]])

    def test_the_hooks_rows_may_hold_any_doubles(self, tmp_path):
        (path,) = hooked_run(tmp_path / "hooked", patience=2).iterdir()
        payloads = payloads_of(parsed(path.read_bytes())[0])
        for column in range(13):
            for odd in (math.nan, math.inf, 1e308, -1.0, 0.5):
                changed = [_with_column(payload, column, odd) for payload in payloads]
                write_bytes(
                    tmp_path / "logs" / f"{column} {odd}" / EVENT_FILE,
                    b"".join(map(framed, changed)),
                )
        survive(
            tmp_path / "logs",
            tmp_path,
            [["replay", "--explain"], ["replay", "--tensorboard"], ["explain", "--all"], ["runs"]],
        )

    @pytest.mark.parametrize("odd", [10**400, -1, 1e308, "nan", None, [], "\ud800", {}])
    def test_the_hooks_configuration_may_hold_any_json(self, tmp_path, odd):
        (path,) = hooked_run(tmp_path / "hooked", patience=2).iterdir()
        payloads = payloads_of(parsed(path.read_bytes())[0])
        for part in ("config", "state"):
            for key in _document(payloads)[part]:
                changed = [_with_key(payload, (part, key), odd) for payload in payloads]
                data = b"".join(map(framed, changed))
                write_bytes(tmp_path / "logs" / f"{part} {key}" / EVENT_FILE, data)
        for key in ("lrs", "lr_dtypes", "groups"):
            changed = [_with_key(payload, (key, 0), odd) for payload in payloads]
            data = b"".join(map(framed, changed))
            write_bytes(tmp_path / "logs" / key / EVENT_FILE, data)
        survive(tmp_path / "logs", tmp_path, [["replay"], ["replay", "--tensorboard"], ["explain"]])


def _with_column(payload, column, number):
    proto = Event.FromString(payload)
    for each in proto.summary.value:
        if each.tag.endswith("/trace"):
            content = bytearray(each.tensor.tensor_content)
            struct.pack_into("<d", content, 8 * column, number)
            each.tensor.tensor_content = bytes(content)
    return proto.SerializeToString()


def _document(payloads):
    for payload in payloads:
        for each in Event.FromString(payload).summary.value:
            if each.tag.endswith("/config"):
                return json.loads(each.tensor.string_val[0])
    raise AssertionError("no configuration")


def _with_key(payload, path, content):
    proto = Event.FromString(payload)
    for each in proto.summary.value:
        if each.tag.endswith("/config"):
            document = json.loads(each.tensor.string_val[0])
            document[path[0]][path[1]] = content
            each.tensor.string_val[0] = json.dumps(document).encode()
    return proto.SerializeToString()


class TestTags:
    def test_two_tags_that_are_no_utf_8_never_become_one(self, logs, tmp_path):
        for step, (metric, lr) in enumerate(zip(METRIC, METRIC[::-1], strict=True)):
            summary = value(b"val/loss\xff", metric) + value(b"val/loss\xfe", lr)
            path = logs / EVENT_FILE
            record = framed(varint(2 << 3) + varint(step) + field(5, summary))
            write_bytes(path, (path.read_bytes() if step else b"") + record)
        series = read(logs).series
        assert [os.fsencode(tag) for tag in series] == [b"val/loss\xff", b"val/loss\xfe"]
        assert [len(each) for each in series.values()] == [16, 16]
        survive(logs, tmp_path)

    def test_an_lr_whose_tag_is_no_utf_8_goes_through_all_commands(self, logs, tmp_path):
        records = b""
        for proto in training():
            loss, lr = (each.simple_value for each in proto.summary.value)
            summary = value(b"val/loss", loss) + value(b"lr\xff/x", lr)
            records += framed(varint(2 << 3) + varint(proto.step) + field(5, summary))
        write_bytes(logs / EVENT_FILE, records)
        assert "lr?/x" in survive(logs, tmp_path)

    def test_a_tag_of_a_megabyte_is_left_out_and_counted(self, logs, tmp_path):
        longest = "t" * LONGEST_TAG
        write(logs, *training(), event(simple("t" * (1 << 20), 1.0), simple(longest, 1.0)))
        assert set(read(logs).series) == {"val/loss", "lr", longest}
        assert notes(logs) == [
            f"{logs / EVENT_FILE}: 1 value(s) whose tags have more than {LONGEST_TAG:,} bytes "
            "left out"
        ]
        survive(logs, tmp_path)

    def test_names_made_to_be_slow_to_read_are_not(self, logs, tmp_path):
        slow = [
            *(f"lr/{'1' * 900}{n}x" for n in range(50)),
            *("_/" * 480 + f"{n}x" for n in range(50)),
        ]
        write(
            logs,
            *(event(*(simple(tag, 0.1) for tag in slow), step=n) for n in range(4)),
            *training(),
        )
        with within(SECONDS):
            survive(logs, tmp_path, [["replay"], ["runs"]])

    def test_thousands_of_lrs_are_not_all_tried(self, logs, tmp_path):
        for step in range(16):
            lrs = [simple(f"n{n}/lr", 0.1 * 0.5 ** (step // 4)) for n in range(500)]
            metrics = [simple(f"m{n}/val_loss", math.sin(step * n)) for n in range(100)]
            path = logs / EVENT_FILE
            record = framed(event(*lrs, *metrics, step=step).SerializeToString())
            write_bytes(path, (path.read_bytes() if step else b"") + record)
        survive(logs, tmp_path, [["runs"], ["replay"]])


class TestManyOfThem:
    def test_a_record_of_too_many_values_is_read_as_far_as_its_first(self, logs, tmp_path):
        values = b"".join(value(b"t%d" % (n % 9), 1.0) for n in range(150_000))
        write(logs, *training(), field(5, values) + varint(2 << 3) + varint(7))
        log = read(logs)
        assert sum(each.superseded for each in log.series.values()) + 9 == MOST_VALUES
        assert log.series["t0"].steps.tolist() == [7]
        assert notes(logs) == [
            f"{logs / EVENT_FILE}: 1 record(s) behind their first {MOST_VALUES:,} values left out"
        ]

    def test_records_of_the_smallest_fields_take_no_time(self, logs, tmp_path):
        small = b"\x18\x00" * 5_000_000
        write(
            logs, *training(), small, field(5, b"\x0a\x00" * 5_000_000), field(5, field(1, small))
        )
        with within(10):
            log = read(logs)
        assert len(log.series["lr"]) == 16
        assert len(log.damages) == 2

    def test_restarts_cost_no_memory_for_each_tag(self, logs, tmp_path):
        """As many restarts as points, and hundreds of tags: their product would be gigabytes."""
        events = [event(*(simple(f"t{n}", 0.5) for n in range(1000)), step=0)]
        for step in range(5000):
            events += [restart(step), event(simple("t0", 0.5), step=step)]
        write(logs, *events, *training(range(5000, 5016)))
        assert _peak_of_reading(logs) < 30 << 20
        survive(logs, tmp_path, [["runs"], ["replay"]])

    def test_restarts_alone_are_one(self, logs, tmp_path):
        write(logs, *training(), *(restart(step) for step in range(50_000, 0, -1)))
        with within(SECONDS):
            assert len(read(logs).series["lr"]) == 1

    def test_hyper_parameters_beyond_the_most_are_left_out(self, logs, tmp_path):
        from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

        held = HParamsPluginData()
        for number in range(MOST_HPARAMS + 100):
            held.session_start_info.hparams[f"h{number}"].number_value = number
        many = _metadata("hparams", held.SerializeToString())
        huge = _metadata("hparams", held.SerializeToString() * 20)
        write(logs, *training(), *(event(Summary.Value(tag="h", metadata=m)) for m in (many, huge)))
        assert len(read(logs).hparams) == MOST_HPARAMS
        assert [note.split(": ")[1] for note in notes(logs)] == [
            f"100 hyper-parameter(s) beyond the first {MOST_HPARAMS:,} left out",
            "1 hyper-parameters of more than 1,048,576 bytes left out",
        ]
        survive(logs, tmp_path)


def _metadata(plugin, content):
    return SummaryMetadata(
        plugin_data=SummaryMetadata.PluginData(plugin_name=plugin, content=content)
    )


class TestTensorsThatLie:
    def test_what_a_tensor_claims_is_never_made(self, logs, tmp_path):
        tensors = [
            TensorProto(dtype=DataType.DT_DOUBLE, double_val=[1.0]),
            TensorProto(dtype=DataType.DT_STRING, string_val=[b"patience: 3", b"factor: 0.5"]),
            TensorProto(dtype=DataType.DT_FLOAT, tensor_content=b"abc"),
            TensorProto(dtype=99, tensor_content=b"abcd"),
        ]
        events = []
        for number, tensor in enumerate(tensors):
            for sizes in ((2**62, 2**62), (-1,), (-1, -2), (2, -1), (0, 0), ()):
                lying = TensorProto.FromString(tensor.SerializeToString())
                for size in sizes:
                    lying.tensor_shape.dim.add(size=size)
                lying.tensor_shape.unknown_rank = not sizes
                for plugin in (None, "text", "scalars", "plateau_watch", "hparams"):
                    for what in ("trace", "config"):
                        tag = f"{number}{sizes}{plugin}/{what}"
                        events.append(event(tensor_value(tag, lying, plugin)))
        write(logs, *training(), *events)
        survive(logs, tmp_path)
        assert set(read(logs).series) == {"val/loss", "lr"}

    def test_protos_nested_without_end_are_passed_over(self, logs, tmp_path):
        nested = b""
        for _ in range(5000):
            nested = field(15, field(3, nested))  # TensorProto.variant_val.tensors
        hparams = field(1, field(1, b"hparams") + field(2, nested))
        values = [field(8, nested), field(9, nested), field(9, hparams)]
        write(logs, *training(), *(field(5, field(1, field(1, b"x") + each)) for each in values))
        survive(logs, tmp_path)
        assert set(read(logs).series) == {"val/loss", "lr"}

    def test_metadata_of_megabytes_cost_nothing_of_the_value(self, logs, tmp_path):
        large = Summary.Value(
            tag="z", simple_value=1.0, metadata=_metadata("scalars", bytes(5 << 20))
        )
        write(logs, *training(), event(large))
        assert len(read(logs).series["z"]) == 1
        survive(logs, tmp_path, [["runs"]])

    def test_texts_made_to_be_slow_or_deep_are_read_or_not(self, logs, tmp_path):
        hostile = [
            b"{" * 30000,
            b"[" * 30000,
            b"patience: " + b"9" * 5000,
            b"patience=1e999 factor=nan",
            b'{"patience": ' + b"9" * 5000 + b"}",
            b"a: b\n" * 10000,
            b"|" * 60000,
            bytes(60000),
            b"- " * 30000,
            b"lr_scheduler: ReduceLROnPlateau\npatience: -9223372036854775809",
            b"\xff" * 60000,
            b"&a [*a,*a]\n" * 3000,
            b"a=" + b"1" * 60000,
        ]
        texts = (
            tensor_value(
                f"args{n}", TensorProto(dtype=DataType.DT_STRING, string_val=[each]), "text"
            )
            for n, each in enumerate(hostile)
        )
        write(logs, *training(), *map(event, texts))
        survive(logs, tmp_path)


def test_records_of_other_protos_are_counted_or_empty(logs, tmp_path):
    others = [
        SummaryMetadata(display_name="x").SerializeToString(),
        TensorProto(dtype=7, string_val=[b"abc"]).SerializeToString(),
        Summary(value=[simple("loss", 1.0)]).SerializeToString(),
        b"",
        b"\x08" + b"\xff" * 30,
    ]
    write(logs, *training(), *others)
    survive(logs, tmp_path)
    assert set(read(logs).series) == {"val/loss", "lr"}


def _peak_of_reading(directory) -> int:
    """The most memory that reading a run takes, in bytes, besides what is there before."""
    return _read_elsewhere(directory)[0]


def _read_elsewhere(directory) -> tuple[int, list[str]]:
    """Read a run in a process of its own: the most memory it took, and what was passed over."""
    code = (
        "import json, resource, sys\n"
        "from pathlib import Path\n"
        "from plateau_watch.events.logdir import discover\n"
        "from plateau_watch.events.run_reader import read_trainings\n"
        "(run,) = discover(Path(sys.argv[1]))\n"
        "import numpy as np; np.median(np.unique(np.zeros(9)))\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "(log,) = read_trainings(run)\n"
        "peak = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
        "print(json.dumps([peak, log.damages]))\n"
    )
    arguments = [sys.executable, "-c", code, str(directory)]
    done = subprocess.run(arguments, capture_output=True, check=True, timeout=120)
    return tuple(json.loads(done.stdout))


class TestMemory:
    def test_reading_holds_a_few_times_the_largest_record_that_is_kept(self, logs):
        """A scalar behind an image: the record is read whole, and gone before the next one."""
        large = 32 << 20
        image = Summary.Value(tag="i", image=Summary.Image(encoded_image_string=bytes(large)))
        for _ in range(3):
            record = framed(event(image, simple("loss", 0.5)).SerializeToString())
            with (logs / EVENT_FILE).open("ab") as file:
                file.write(record)
        assert _peak_of_reading(logs) < 5 * large

    def test_columns_are_kept_and_little_else(self, logs):
        count = 60_000
        write(logs, *(event(simple("loss", 0.5), step=n, wall_time=n) for n in range(count)))
        assert _peak_of_reading(logs) < 200 * count + (8 << 20)

    def test_of_tags_without_end_the_first_are_kept_and_the_others_counted(self, logs):
        """Two records, each with about as many tags as are kept of a directory."""
        count = 65_000
        records = [
            field(5, b"".join(value(b"%d/%d" % (half, n), 1.0) for n in range(count)))
            for half in (1, 2)
        ]
        write(logs, *records)
        peak, damages = _read_elsewhere(logs)
        assert peak < 3000 * MOST_TAGS + 4 * len(records[0])
        assert damages == [
            f"{logs / EVENT_FILE}: {2 * count - MOST_TAGS:,} value(s) of tags beyond the first "
            f"{MOST_TAGS:,} left out"
        ]
