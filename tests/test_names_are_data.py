"""Names, texts and paths are data: nothing in them acts on a terminal, a spreadsheet or a page."""

import csv
import io
import json
import os
import re
import unicodedata
from dataclasses import replace

import pytest
from click.testing import CliRunner
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.console import Console
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from plateau_watch.commands import main
from plateau_watch.comparison import compare
from plateau_watch.events.logdir import discover
from plateau_watch.events.run_reader import read_run
from plateau_watch.recording import from_trace
from plateau_watch.render.as_csv import as_csv
from plateau_watch.render.as_json import as_json
from plateau_watch.render.as_markdown import as_markdown
from plateau_watch.render.json_text import json_text
from plateau_watch.render.printable import printable
from plateau_watch.render.terminal import print_report
from plateau_watch.report import NotReplayed, Report
from tests.event_files import event, simple, write_events
from tests.runs import hooked_run, plain_run

properties = settings(max_examples=60, deadline=None)

HOSTILE = [
    "\x1b[2J\x1b]0;owned\x07\x1b]8;;http://evil\x07",
    "\x9b31m\x90\x9d",
    "\u202egnp.exe\u2066\u200f\u061c\u200e",
    "line\nfeed\r\nand\tmore\x0b\x0c\x1c\x85\u2028\u2029",
    "[red]x[/red] [/] [link=http://evil]y[/link] :skull:",
    "<script>alert(1)</script> &lt;b&gt; <!-- ",
    "| a | b |\n|---|---|\n# h `code` ~~~ *b* _i_ [x](http://evil) ![y](z) http://e www.e.com",
    "=HYPERLINK(1)",
    ' +1;=cmd|"/c calc"!A1',
    "@SUM(1)",
    "\uff1d1+1",
    "-1",
    "caf\udce9 \ud83d",
    "\ufeff\u00ad\U000e0041zero\u200bwidth",
    "%s %(x)s {0} ${HOME} $(id)",
]

names = st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(), max_size=20))


def acts(text):
    """The characters of a text that act on a terminal; ends of lines are ours."""
    found = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    return {c for c in text if unicodedata.category(c) in found and c not in "\n\u200c\u200d"}


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    logdir = tmp_path_factory.mktemp("logs")
    hooked_run(logdir / "run", patience=2)
    (run,) = discover(logdir)
    return compare(from_trace(read_run(run).traces[0]))


def named(report, name):
    """A report in which everything that a log or a path can name bears a name."""
    recording = replace(
        report.recording, run=name, metric_tag=name, lr_tags=(name,), guesses=(name,)
    )
    schedules = [replace(each, label=name) for each in report.schedules[1:2]]
    run = replace(
        report,
        recording=recording,
        warnings=(name,),
        schedules=(report.schedules[0], *schedules),
    )
    return Report(
        logdir=name,
        runs=(run,),
        not_replayed=(NotReplayed(name, name, {name: 1}),),
        warnings=(name,),
    )


@given(name=st.text(st.characters(), max_size=50))
@properties
def test_printable_text_keeps_its_length_and_whatever_does_not_act(name):
    shown = printable(name)
    assert not acts(shown)
    assert "\n" not in shown
    assert len(shown) == len(name)
    assert all(after in (before, "?") for before, after in zip(name, shown, strict=True))


@pytest.mark.parametrize(
    "name", ["naïve 学習率 📉", "\u0645\u06cc\u200c\u062e\u0648", "👩\u200d🔬", "[a] <b> $"]
)
def test_text_of_any_script_is_printable_as_it_is(name):
    assert printable(name) == name


@pytest.mark.parametrize("colour", [None, "truecolor"])
@given(name=names, width=st.integers(40, 120), ascii_only=st.booleans())
@properties
def test_a_terminal_gets_no_sequence_but_our_own(report, colour, name, width, ascii_only):
    shown = io.StringIO()
    console = Console(
        file=shown,
        width=width,
        color_system=colour,
        force_terminal=bool(colour),
        legacy_windows=False,
    )
    print_report(named(report, name), console, explain=True, ascii_only=ascii_only)
    text = re.sub(r"\x1b\[[0-9;]*m", "", shown.getvalue()) if colour else shown.getvalue()
    assert not acts(text)
    plain = printable(name)
    if len(plain.split()) == 1 and len(plain) < 20 and plain == plain.strip():
        assert plain in text, "as it is, not as markup"


@given(name=names)
@properties
def test_csv_has_the_name_in_its_place_and_no_formula(report, name):
    text = as_csv(named(report, name))
    assert not acts(text)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == len(text.splitlines()) - 1 == 3, "one line a row"
    for cell in (rows[0]["run"], rows[1]["schedule"], rows[2]["run"], rows[2]["not_replayed"]):
        assert cell.removeprefix("'") == printable(name).removeprefix("'")
        assert not re.match(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]", cell)
    assert all(line.startswith('"') and line.endswith('"') for line in text.splitlines())


@given(name=names)
@example("\t=1+1")
@example("\r=1+1")
@properties
def test_a_cell_that_a_spreadsheet_would_run_is_a_text(report, name):
    row = next(csv.DictReader(io.StringIO(as_csv(named(report, name)))))
    if name.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r")):
        assert row["run"].startswith("'")


def texts(tokens):
    """What a page shows of tokens, and which kinds of token there are."""
    shown, kinds = [], set()
    for token in tokens:
        kinds.add(token.type)
        for child in token.children or ():
            kinds.add(child.type)
        if token.type == "inline":
            shown.append("".join(child.content for child in token.children))
    return shown, kinds


@given(name=names)
@example("---")
@example("~~~")
@example("1. x")
@example("a\\|b")
@properties
def test_markdown_shows_the_name_and_nothing_else(report, name):
    text = as_markdown(named(report, name))
    assert not acts(text)
    page = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    shown, kinds = texts(page.parse(text))
    expected = printable(name).strip() or "?"
    assert shown[0] == expected
    assert f"note: {expected}" in shown
    assert f"{expected}: {expected}" in shown
    assert expected in shown[shown.index("leaves at") :], "in the table"
    assert not kinds & {
        *("html_block", "html_inline", "link_open", "image", "code_inline", "fence", "code_block"),
        *("em_open", "s_open", "hr", "blockquote_open", "ordered_list_open"),
    }


@given(name=names)
@properties
def test_json_is_valid_for_strict_parsers_and_keeps_what_is_text(report, name):
    text = as_json(named(report, name), full=True)
    assert text.isascii()
    assert not acts(text)
    document = json.loads(text)
    text.encode().decode("utf-8")
    run = document["runs"][0]["run"]
    run.encode()  # no lone surrogate
    if not any(0xD800 <= ord(character) < 0xE000 for character in name):
        assert run == document["logdir"] == document["warnings"][0] == name
        assert document["not_replayed"][0]["tags"] == {name: 1}


def test_json_spells_out_bytes_that_are_no_text_so_that_two_names_stay_two():
    assert json.loads(json_text(["caf\udce9", "caf\udcea", "\ud83d"])) == [
        "caf\\xe9",
        "caf\\xea",
        "\\ud83d",
    ]


# From files and directories to the screen.

DIRECTORIES = [
    b"\x1b[31mred\x07",
    b"caf\xe9\x9b2J",
    "\u202eevil\u2028".encode(),
    b"[red]x[bold]",
    b"=1+1 | <b> `x`",
    b"new\nline\r",
]


@pytest.fixture(scope="module")
def hostile_logs(tmp_path_factory):
    """Event files whose directories, tags, texts and hyper-parameters are all hostile."""
    directory = tmp_path_factory.mktemp("logs")
    logdir = directory / os.fsdecode(b"log\x1b[5mdir\xff\n")
    logdir.mkdir()
    tags = [tag.encode(errors="replace").decode() for tag in HOSTILE]
    for number, name in enumerate(DIRECTORIES):
        run = directory / "run"
        plain_run(run, metric_tag=f"val/loss{tags[number]}", patience=2 + 97 * (number % 2))
        stated = {f"patience{tags[number]}": 2, "scheduler": tags[number], "patience": 2}
        with SummaryWriter(str(run)) as writer:
            for summary in hparams(stated, {}):
                writer.file_writer.add_summary(summary)
            writer.add_text(f"config{tags[number]}", f"patience: 2\n{tags[number]}: 3")
        more = event(*(simple(f"t/{tag}", 1.0) for tag in tags))
        write_events(run / os.fsdecode(b"\x1b[0;31mevents.out.tfevents.1700000000\xff"), more)
        run.rename(logdir / os.fsdecode(name))
    hooked_run(directory / "hooked", patience=2).rename(logdir / "hooked")
    damaged = logdir / "hooked" / os.fsdecode(b"x\x1b[1m\x9b.tfevents.2")
    damaged.write_bytes(b"junk" * 20)  # to be complained of by its name
    return logdir


ACTS = "\x1b[31m\x07\u202ex"
"""click itself takes out the first of these, where no terminal reads it."""

COMMANDS = [
    ("replay",),
    ("replay", "--explain", "--ascii"),
    ("replay", "--format", "csv"),
    ("replay", "--format", "markdown"),
    ("replay", "--format", "json"),
    ("fit",),
    ("fit", "--format", "json"),
    ("explain", "--all"),
    ("runs",),
    ("runs", "--format", "json"),
    ("replay", "--run", ACTS),
    ("fit", "--metric", ACTS),
    ("explain", "--step", "999999"),
    ("replay", "--ran-with", f"{ACTS}=3"),
    ("replay", ACTS),
    ("replay", f"--{ACTS}"),
    (ACTS,),
    ("replay", "--format", ACTS),
    ("replay", "--as", ACTS),
    ("replay", "-o", f"/nowhere{ACTS}/x"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_command_sends_on_what_a_name_holds(hostile_logs, command):
    result = CliRunner(env={"COLUMNS": "100"}).invoke(
        main, [command[0], str(hostile_logs), *command[1:]]
    )
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    assert result.stdout + result.stderr
    assert not acts(result.stdout)
    assert not acts(result.stderr)
    if "--format" in command and "json" in command:
        assert json.loads(result.stdout)["runs"]


def test_what_lies_beside_a_directory_that_is_not_there_is_named_inertly(hostile_logs):
    result = CliRunner().invoke(main, ["replay", str(hostile_logs / "nowhere")])
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert "there are: " in line
    assert "red?" in line
    assert not acts(line)
