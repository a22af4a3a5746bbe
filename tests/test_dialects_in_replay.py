"""`plateau-watch replay --as` and `--dialect`: other frameworks' rules over a log."""

import csv
import io
import json
import re

import numpy as np
import pytest
from torch.utils.tensorboard import SummaryWriter

from plateau_watch import watch
from plateau_watch.dialects import follow, stated
from tests.dialect_cases import oracle_answers
from tests.runs import METRIC, hooked_run, plain_run, scheduler_for
from tests.test_replay_command import plateau_watch, replayed

KERAS = ("--metric", "val/loss", "--lr", "lr", "--dialect", "keras", "--ran-with")
RAN_WITH = {"patience": 2, "cooldown": 2, "min_delta": 0.005, "factor": 0.3, "min_lr": 1e-3}


@pytest.fixture(scope="module")
def hooked(tmp_path_factory):
    logdir = tmp_path_factory.mktemp("logs")
    hooked_run(logdir / "run", patience=2, cooldown=2, min_lr=0.02)
    return logdir


def keras_run(directory, logged="after"):
    """A log of what Keras' own callback does: metric and LR in float32."""
    metric = [float(np.float32(value)) for value in METRIC]
    (answer,) = oracle_answers("keras", [{"config": RAN_WITH, "lrs": [0.1], "metric": metric}])
    lrs = [lr for (lr,) in answer["lrs"]]
    with SummaryWriter(str(directory)) as writer:
        for step, value in enumerate(metric):
            writer.add_scalar("val/loss", value, step)
            writer.add_scalar("lr", lrs[step] if logged == "after" else [0.1, *lrs][step], step)
    return lrs


@pytest.fixture(scope="module", params=["after", "before"])
def keras_log(request, tmp_path_factory):
    logdir = tmp_path_factory.mktemp(f"keras_{request.param}")
    lrs = keras_run(logdir / "run", logged=request.param)
    return logdir, lrs, request.param


def said(config):
    return ",".join(f"{name}={value}" for name, value in config.items())


def test_a_run_of_keras_is_reproduced_by_keras_rules(keras_log):
    logdir, lrs, logged = keras_log
    (run,) = replayed(logdir, *KERAS, said(RAN_WITH), "--full", "--check")["runs"]
    assert run["parity"]["mismatches"] == 0
    assert run["lr"]["logged"] == logged
    assert run["config"] == {"dialect": "keras", "mode": "min", "source": "given", **RAN_WITH}
    assert [lr for (lr,) in run["schedules"][0]["lrs"]] == lrs
    assert [each["label"] for each in run["schedules"]] == ["real"]


def toml(dialect='"keras"', ran_with=RAN_WITH):
    words = ", ".join(f"{name} = {value}" for name, value in ran_with.items())
    return (
        '[[runs]]\nmatch = "run"\nmetric = "val/loss"\nlr = "lr"\n'
        f"dialect = {dialect}\nran-with = {{ {words} }}\n"
    )


@pytest.fixture
def keras_and_torch(tmp_path):
    """A log directory with a run of Keras, which its own file tells, and one of torch."""
    lrs = keras_run(tmp_path / "run")
    plain_run(tmp_path / "torch", patience=2)
    (tmp_path / "plateau-watch.toml").write_text(toml())
    return tmp_path, lrs


def test_a_logdirs_own_file_can_say_the_dialect_of_some_runs(keras_and_torch):
    logdir, lrs = keras_and_torch
    keras, torch = replayed(logdir, "--full", "--check")["runs"]
    assert keras["config"] == {"dialect": "keras", "mode": "min", "source": "given", **RAN_WITH}
    assert [lr for (lr,) in keras["schedules"][0]["lrs"]] == lrs
    assert keras["lr"]["logged"] == "after"
    assert (torch["config"]["dialect"], torch["config"]["patience"]) == ("torch", 2)
    assert len(torch["schedules"]) > 1


def test_alternatives_in_torchs_words_are_left_out_for_such_a_run_and_that_is_said(keras_and_torch):
    logdir, _ = keras_and_torch
    keras, torch = replayed(logdir, "--patience", "7")["runs"]
    assert [each["label"] for each in keras["schedules"]] == ["real"]
    assert [each["label"] for each in torch["schedules"]] == ["real", "patience=7"]
    line = "the alternatives are in torch's words, and left out for a run of keras; see --as"
    assert line in keras["warnings"]
    assert line not in torch["warnings"]


def test_what_an_option_says_goes_before_what_the_file_says(keras_and_torch):
    logdir, _ = keras_and_torch
    (run,) = replayed(logdir, "--run", "run", "--ran-with", "patience=5")["runs"]
    assert (run["config"]["dialect"], run["config"]["patience"]) == ("torch", 5)
    said_otherwise = ("--dialect", "keras", "--ran-with", "patience=7")
    (run,) = replayed(logdir, "--run", "run", *said_otherwise)["runs"]
    assert (run["config"]["dialect"], run["config"]["patience"]) == ("keras", 7)


@pytest.mark.parametrize(
    ("file", "complaint"),
    [
        (toml(dialect='"kera"'), "there is no dialect 'kera'; did you mean 'keras'?"),
        (toml(dialect="3"), "dialect must be a string, got 3"),
        (toml(ran_with={"threshold": 1}), "has no 'threshold'"),
        (toml(ran_with={"patience": '"x"'}), "patience must be a number, got 'x'"),
        ('[[runs]]\ndialect = "keras"\n', "dialect says in whose words ran-with is: give that too"),
    ],
)
def test_what_the_file_says_wrongly_is_one_clear_line(keras_and_torch, file, complaint):
    logdir, _ = keras_and_torch
    (logdir / "plateau-watch.toml").write_text(file)
    result = plateau_watch("replay", logdir, code=2)
    assert complaint in result.stderr
    assert result.stderr.count("\n") == 1


def test_by_torchs_rules_the_same_words_do_not_reproduce_it(keras_log):
    logdir, *_ = keras_log
    words = {"patience": 2, "cooldown": 2, "threshold": 0.005, "threshold_mode": "abs",
             "factor": 0.3, "min_lr": 1e-3, "eps": 0}  # fmt: skip
    (run,) = replayed(logdir, *KERAS[:4], "--ran-with", said(words))["runs"]
    assert run["parity"]["mismatches"] > 0


def test_torchs_counterpart_of_a_keras_run_takes_the_same_decisions(keras_log):
    logdir, *_ = keras_log
    (run,) = replayed(logdir, *KERAS, said(RAN_WITH), "--as", "torch")["runs"]
    real, as_torch = run["schedules"]
    assert as_torch["label"] == "as torch"
    assert (as_torch["config"]["patience"], as_torch["config"]["cooldown"]) == (1, 1)
    assert [each["step"] for each in as_torch["reductions"]] == [
        each["step"] for each in real["reductions"]
    ]
    assert as_torch["diverges_at"] is None
    assert any(
        warning.startswith("as torch, with mode=min factor=0.3 patience=1 threshold=0.005 ")
        and warning.endswith(": the same decisions as the real configuration")
        for warning in run["warnings"]
    )


def test_a_keras_run_that_its_words_do_not_explain_shows_the_logged_lr(keras_log):
    logdir, *_ = keras_log
    (run,) = replayed(logdir, *KERAS, "patience=5")["runs"]
    assert run["parity"]["mismatches"] > 0
    assert [each["label"] for each in run["schedules"]] == ["real", "given"]
    assert run["schedules"][0]["config"] is None
    plateau_watch("replay", logdir, *KERAS, "patience=5", "--check", code=1)


def test_a_keras_run_is_explained_in_keras_words(keras_log):
    logdir, *_ = keras_log
    text = plateau_watch("replay", logdir, *KERAS, said(RAN_WITH), "--explain", columns=200).stdout
    assert "min_delta=0.005" in text
    assert "the rules are those of keras" in text
    assert re.search(r"step 5 .* bad step 2 -> LR 0.1 -> 0.03", text)
    assert "bad step 1, fires at 2" in text
    step = plateau_watch("explain", logdir, *KERAS, said(RAN_WITH), "--step", "4").stdout
    assert "it fires after 1 more bad step(s) in a row" in step


def test_the_schedule_as_keras_is_what_keras_does_with_these_numbers(hooked):
    (run,) = replayed(hooked, "--as", "keras", "--full")["runs"]
    schedule = run["schedules"][-1]
    config = {"patience": 2, "cooldown": 2, "min_lr": 0.02, "factor": 0.1, "min_delta": 1e-4}
    assert schedule["label"] == "as keras"
    assert schedule["config"] == {"dialect": "keras", "mode": "min", **config}
    (answer,) = oracle_answers("keras", [{"config": config, "lrs": [0.1], "metric": METRIC}])
    assert schedule["lrs"] == answer["lrs"]
    assert schedule["diverges_at"] == {"index": 5, "step": 6}
    assert run["schedules"][0]["reductions"][0]["step"] == 7
    (line,) = [each for each in run["warnings"] if each.startswith("as keras, with ")]
    assert "torch fires at bad step 3 in a row, keras at bad step 2 in a row" in line
    assert "after a reduction torch leaves 2 steps uncounted, keras 1 steps uncounted" in line


def test_dialects_are_repeated_or_comma_separated_and_each_is_shown_once(hooked):
    (run,) = replayed(hooked, "--as", "timm,fastai", "--as", "timm", "--as", "optax")["runs"]
    labels = [each["label"] for each in run["schedules"] if each["label"].startswith("as ")]
    assert labels == ["as timm", "as fastai", "as optax"]


def test_an_lr_that_only_its_rounding_tells_apart_is_not_a_divergence(tmp_path):
    hooked_run(tmp_path / "run", patience=2, factor=0.1)
    (run,) = replayed(tmp_path, "--as", "paddle,optax,timm", "--patience", "2", "--full")["runs"]
    by_label = {each["label"]: each for each in run["schedules"]}
    assert by_label["as timm"]["lrs"] == by_label["real"]["lrs"]
    assert by_label["as paddle"]["diverges_at"] is None
    # The same firings as torch's with patience 1, LRs in float32.
    optax = follow(stated("optax", {"patience": 2}), METRIC, [0.1])
    assert by_label["as optax"]["lrs"] == [list(lrs) for lrs in optax.lrs]
    assert by_label["as optax"]["diverges_at"] == {"index": optax.fired[0], "step": 6}


def test_what_a_framework_cannot_have_is_left_out_and_said(tmp_path):
    metric = [1 - value for value in METRIC]
    hooked_run(tmp_path / "run", metric=metric, patience=2, mode="max")
    (run,) = replayed(tmp_path, "--as", "optax,keras")["runs"]
    assert run["schedules"][-1]["label"] == "as keras"
    assert (
        "as optax is left out: optax only minimises; it would have to be given the negated metric"
        in run["warnings"]
    )


def test_a_schedule_as_keras_ends_where_something_else_changed_the_run(tmp_path):
    scheduler = scheduler_for(patience=1)
    with SummaryWriter(str(tmp_path)) as writer, watch(scheduler, writer):
        for value in [1.0, 1.0, 1.0, 1.0]:
            scheduler.step(value)
        scheduler.optimizer.param_groups[0]["lr"] = 0.5
        scheduler.step(1.0)
    (run,) = replayed(tmp_path, "--as", "keras", "--full")["runs"]
    schedule = run["schedules"][-1]
    assert schedule["undecided_from"] == {"index": 4, "step": 5}
    assert len(schedule["lrs"]) == 4
    assert any(
        each.startswith("as keras cannot be decided from step 5") for each in run["warnings"]
    )


def test_a_log_that_begins_in_the_middle_has_no_schedule_as_keras(tmp_path):
    scheduler = scheduler_for(patience=1)
    scheduler.step(1.0)
    with SummaryWriter(str(tmp_path)) as writer, watch(scheduler, writer):
        scheduler.step(1.0)
    (run,) = replayed(tmp_path, "--as", "keras")["runs"]
    assert "as keras is left out: the log begins in the middle of a run" in run["warnings"]


def test_what_the_hook_recorded_has_torchs_rules_whatever_is_said(hooked):
    (run,) = replayed(hooked, "--dialect", "keras", "--ran-with", "patience=7")["runs"]
    assert run["config"]["dialect"] == "torch"
    assert run["parity"]["mismatches"] == 0


def test_the_csv_has_the_words_that_torch_does_not_have(hooked):
    text = plateau_watch("replay", hooked, "--as", "keras", "--format", "csv").stdout
    row = list(csv.DictReader(io.StringIO(text)))[-1]
    assert (row["dialect"], row["patience"], row["threshold"]) == ("keras", "2", "")
    assert row["own_parameters"] == "min_delta=0.0001"


@pytest.mark.parametrize("form", ["table", "json", "csv", "markdown"])
def test_every_format_and_the_tensorboard_files_have_them(hooked, tmp_path, form):
    arguments = ["--format", form, "--tensorboard", tmp_path / "whatif"]
    assert "as fastai" in plateau_watch("replay", hooked, "--as", "fastai", *arguments).stdout
    assert (tmp_path / "whatif" / "run" / "whatif as fastai").is_dir()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--as", "kera"], "there is no dialect 'kera'; did you mean 'keras'?"),
        (["--dialect", "kera"], "there is no dialect 'kera'; did you mean 'keras'?"),
        (["--dialect", "keras"], "--dialect keras says in whose words --ran-with is: give that"),
        (["--dialect", "keras", "--ran-with", "min_delt=1"], "did you mean 'min_delta'?"),
        (["--dialect", "keras", "--ran-with", "mode=auto"], "mode must be 'min' or 'max'"),
        (["--dialect", "keras", "--ran-with", "patience=x"], "patience must be a number, got 'x'"),
        (["--dialect", "fastai", "--ran-with", "factor=0.5"], "factor must be below 1, got 2.0"),
        (["--dialect", "keras", "--ran-with", "", "--patience", "3"], "no alternatives in torch's"),
    ],
)
def test_bad_input_gets_one_clear_line_and_exit_code_2(tmp_path, arguments, line):
    plain_run(tmp_path / "run", patience=2)
    result = plateau_watch("replay", tmp_path, *KERAS[:4], *arguments, code=2)
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert line in result.stderr


def test_help_shows_examples_that_work(hooked, keras_log):
    text = plateau_watch("replay", "--help").stdout
    assert "plateau-watch replay runs/ --as keras,optax" in text
    plateau_watch("replay", hooked, "--as", "keras,optax")
    example = "--metric val/loss --lr lr --dialect keras --ran-with patience=5"
    assert example in text
    plateau_watch("replay", keras_log[0], *example.split())
    assert json.loads(plateau_watch("replay", hooked, "--format", "json").stdout)["runs"]
