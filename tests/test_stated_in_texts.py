"""A configuration that a log holds as text: read, found to be the scheduler's, and checked."""

import json
import time

import pytest
from click.testing import CliRunner
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.types_pb2 import DataType
from torch.utils.tensorboard import SummaryWriter

from plateau_watch.commands import main
from plateau_watch.config import PlateauConfig
from plateau_watch.config_text import DEEPEST, MOST_NAMES, pairs_in
from plateau_watch.events.file_content import MOST_TEXTS
from plateau_watch.events.tensors import tensor_of_string
from plateau_watch.stated_hparams import stated_by, stated_in
from tests.event_files import double, event, read, tensor_value, write_events
from tests.runs import METRIC, lr_of, scheduler_for

YAML = """\
# what it was started with
optimizer: adam
scheduler:
  name: ReduceLROnPlateau
  patience: 3   # epochs
  factor: 0.5
early_stopping:
  patience: 20
"""

CALLBACKS = """\
callbacks:
- type: EarlyStopping
  patience: 20
- type: ReduceLROnPlateau
  patience: 3
  factor: 0.5
"""

TEXTS = {
    "json": json.dumps({"lr_scheduler": {"patience": 3, "factor": 0.5}, "patience": 20}, indent=2),
    "json, as Markdown code": "\t{\n\t  " + '"lr_scheduler": {"patience": 3, "factor": 0.5}\n\t}',
    "json, fenced": "```json\n" + '{"scheduler": {"patience": 3, "factor": 0.5}}\n```',
    "yaml": YAML,
    "yaml, fenced": f"```yaml\n{YAML}```",
    "yaml, a list": CALLBACKS,
    "yaml, an indented list": CALLBACKS.replace("\n", "\n  "),
    "table": "|name|value|\n|-|-|\n|scheduler_patience|3|\n|scheduler_factor|0.5|\n|patience|20|",
    "lines": "patience = 20\nscheduler_patience = 3\nscheduler_factor = 0.5",
    "Markdown list": "* **scheduler_patience**: 3\n* **scheduler_factor**: `0.5`\n* patience: 20",
    "lines with breaks": "scheduler_patience: 3  <br>\nscheduler_factor: 0.5  <br>\npatience: 20",
    "a mapping in a line": "patience: 20\nsched: {'name': 'plateau', 'patience': 3, 'factor': .5}",
    "Namespace": "Namespace(patience=20, lr_scheduler_patience=3, lr_scheduler_factor=0.5)",
    "a call": "scheduler: ReduceLROnPlateau(optimizer, patience=3, factor=0.5)",
    "mmengine": "patience = 20\nparam_scheduler = [\n    dict(type='LinearLR', factor=0.1),\n"
    "    dict(type='ReduceOnPlateauLR', patience=3, factor=0.5),\n]\n",
    "Lightning CLI": "lr_scheduler:\n  class_path: torch.optim.lr_scheduler.ReduceLROnPlateau\n"
    "  init_args:\n    patience: 3\n    factor: 0.5\n",
    "name and kwargs": "sched: ReduceLROnPlateau\nsched_kwargs:\n  patience: 3\n  factor: 0.5\n",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_the_schedulers_parameters_are_found_in_whatever_form_they_are_written(text):
    assert stated_in(pairs_in(text)).config == PlateauConfig(patience=3, factor=0.5)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "patience: 20\nfactor: 0.5",
        "early_stopping:\n  patience: 20\n  factor: 2",
        "callbacks:\n- type: EarlyStopping\n  patience: 20",
        "scheduler:\n  name: StepLR\n  factor: 0.5",
        "scheduler: cosine\nscheduler_kwargs:\n  patience: 3",
        '{"lr_scheduler_type": "linear", "lr_scheduler_kwargs": {}}',
        "scheduler:\n  patience: some\n  factor: 3",
        "The scheduler is a plateau scheduler: patience is a virtue.",
    ],
)
def test_what_is_not_a_plateau_schedulers_or_means_nothing_is_left_alone(text):
    assert stated_in(pairs_in(text)) is None


def test_the_longest_word_in_a_name_counts():
    text = "scheduler_factor: 0.5\nscheduler_threshold: 0.01\nscheduler_threshold_mode: abs\n"
    expected = PlateauConfig(factor=0.5, threshold=0.01, threshold_mode="abs")
    assert stated_in(pairs_in(text)).config == expected


def test_a_hostile_name_takes_no_time():
    started = time.monotonic()
    assert stated_in({"sched" * 12_000 + "x": 1.0, "sched_" * 10_000 + "mod": 1.0}) is None
    assert time.monotonic() - started < 2


def test_a_name_that_tells_nothing_of_the_class_excludes_nothing():
    text = (
        "scheduler:\n  name: main\n  patience: 3\nmodel:\n  name: linear\n  scheduler:\n    eps: 0"
    )
    assert stated_in(pairs_in(text)).config == PlateauConfig(patience=3)


def test_parameters_of_several_schedulers_are_not_mixed():
    text = (
        "a_scheduler:\n  patience: 3\n  factor: 0.5\nb_scheduler:\n  patience: 7\n  min_lr: 0.1\n"
    )
    assert stated_in(pairs_in(text)).config == PlateauConfig(patience=3, factor=0.5)


@pytest.mark.parametrize("kwargs", ["{}", "null", '"{}"', '{"min_lr": 0.001}'])
def test_what_trainers_kwargs_do_not_say_is_torchs_default(kwargs):
    text = f'{{"lr_scheduler_type": "reduce_lr_on_plateau", "lr_scheduler_kwargs": {kwargs}}}'
    found = stated_in(pairs_in(text))
    assert found.config == PlateauConfig(min_lr=0.001 if "min_lr" in kwargs else 0)
    assert "lr_scheduler_type=reduce_lr_on_plateau" in found.said


def test_hparams_come_before_texts_and_the_place_is_said():
    texts = {"model/text_summary": "x: 1", "args/text_summary": YAML}
    assert stated_by({}, texts).where == "text 'args'"
    found = stated_by({"scheduler_patience": 7.0}, texts)
    assert (found.where, found.config.patience) == ("HParams", 7)
    assert stated_by({}, {}) is None


@pytest.mark.parametrize(
    "text",
    [
        "[" * 60_000,
        "-" * 60_000 + "1",
        "_" * 60_000,
        '{"a":' * 10_000,
        "(" * 60_000,
        "".join(f"{' ' * depth}a:\n" for depth in range(300)),
        "a: b\n" * 15_000,
        "".join(f"a{n}: 1\n" for n in range(9_000)),
        "* " * 30_000,
        "\\d = '\\d'\n" * 5_000,
        "x = " + "f(" * 80 + ")" * 80,
        "\n" * 60_000 + "x",
        " " * 60_000 + "a: 1",
        "a: 1" + " " * 60_000 + "x",
        "_" * 60_000 + ": 1",
        "a*" * 30_000 + ": 1",
        "|" * 60_000,
    ],
    ids=lambda text: repr(text[:6]),
)
def test_a_hostile_text_takes_no_time_and_breaks_nothing(text, recwarn):
    started = time.monotonic()
    assert len(pairs_in(text)) <= MOST_NAMES
    assert time.monotonic() - started < 2
    assert not recwarn.list


def test_names_are_followed_so_deep_and_no_deeper():
    def nested(depth):
        return "".join('{"a":' for _ in range(depth)) + "1" + "}" * depth

    assert pairs_in(nested(DEEPEST)) == {".".join("a" * DEEPEST): 1.0}
    assert pairs_in(nested(DEEPEST + 1)) == {}


def plateau_run(directory, *texts, **config):
    with SummaryWriter(str(directory)) as writer:
        for tag, text in texts:
            writer.add_text(tag, text)
        scheduler = scheduler_for(**config)
        for step, value in enumerate(METRIC):
            writer.add_scalar("val_loss", value, step)
            writer.add_scalar("lr", lr_of(scheduler), step)
            scheduler.step(value)


def as_json(command, logdir):
    result = CliRunner().invoke(main, [command, str(logdir), "--format", "json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_log_whose_text_states_its_parameters_is_replayed_with_them(tmp_path):
    plateau_run(tmp_path, ("model", "a net"), ("config", YAML), patience=3, factor=0.5)
    (run,) = as_json("replay", tmp_path)["runs"]
    assert (run["config"]["source"], run["config"]["patience"]) == ("hparams", 3)
    assert run["parity"]["mismatches"] == 0
    assert (
        "the parameters in the log's own text 'config' (scheduler.factor=0.5, "
        "scheduler.patience=3) reproduce it"
    ) in run["warnings"]
    (listed,) = as_json("runs", tmp_path)["runs"]
    assert listed["stated_in"] == "text 'config'"
    assert listed["stated"] == "scheduler.factor=0.5, scheduler.patience=3"
    text = CliRunner().invoke(main, ["runs", str(tmp_path)]).stdout
    assert "scheduler.patience=3 (in its text 'config')\n" in text


def test_a_statement_that_the_lr_contradicts_is_a_claim_and_no_more(tmp_path):
    plateau_run(tmp_path, ("config", YAML), patience=2)
    (run,) = as_json("replay", tmp_path)["runs"]
    assert (run["config"]["source"], run["config"]["patience"]) == ("fitted", 2)
    assert any("text 'config'" in line and "do not reproduce this LR" in line
               for line in run["warnings"])  # fmt: skip


def test_what_a_real_trainer_wrote_is_read(pytestconfig):
    listed = as_json("runs", pytestconfig.rootpath / "replay_logs" / "foreign" / "transformers")
    assert listed["runs"][0]["stated_in"] == "text 'args'"
    assert "lr_scheduler_kwargs.threshold_mode=abs" in listed["runs"][0]["stated"]


class TestReading:
    def test_of_a_tag_the_first_text_of_the_last_file_is_kept(self, tmp_path):
        for time_written, text in ((1, "old"), (2, "new")):
            write_events(
                tmp_path / f"events.out.tfevents.{time_written}.h",
                event(tensor_value("config", tensor_of_string(text), "text")),
                event(tensor_value("config", tensor_of_string("later")), step=1),
            )
        assert read(tmp_path).texts == {"config": "new"}

    def test_a_matrix_is_a_table(self, tmp_path):
        cells = [b"name", b"value", b"scheduler_patience", b"3"]
        tensor = TensorProto(dtype=DataType.DT_STRING, string_val=cells)
        for size in (2, 2):
            tensor.tensor_shape.dim.add(size=size)
        write_events(tmp_path / "events.out.tfevents.1.h", event(tensor_value("t", tensor, "text")))
        assert read(tmp_path).texts == {"t": "| name | value |\n| scheduler_patience | 3 |"}

    def test_only_so_many_texts_are_kept_and_none_that_is_large(self, tmp_path):
        with SummaryWriter(str(tmp_path)) as writer:
            writer.add_text("large", "x" * 70_000)
            for number in range(MOST_TEXTS + 9):
                writer.add_text(f"sample{number}", "a sentence")
        texts = read(tmp_path).texts
        assert len(texts) == MOST_TEXTS
        assert "large/text_summary" not in texts

    def test_numbers_under_the_text_plugin_are_no_text(self, tmp_path):
        write_events(
            tmp_path / "events.out.tfevents.1.h", event(tensor_value("t", double(1.0), "text"))
        )
        assert read(tmp_path).texts == {}
