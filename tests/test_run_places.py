"""Places of what-if runs: inside, readable where that is safe, and never two for one."""

import re
import unicodedata
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from plateau_watch.events.run_places import LONGEST_NAME, places
from tests.event_files import properties

# What file systems make of a name. Two names that any of these makes one are one directory there.

FILE_SYSTEMS = {
    "bytes": lambda name: name,
    "Windows": lambda name: name.upper().rstrip(". "),
    "lower case": str.lower,
    "APFS": lambda name: unicodedata.normalize(
        "NFD", unicodedata.normalize("NFD", name).casefold()
    ),
    "composed": lambda name: unicodedata.normalize("NFC", name),
    "compatible": lambda name: unicodedata.normalize("NFKD", name).casefold(),
    "ignorables": lambda name: re.sub("[\u00ad\u200b-\u200f\ufe00-\ufe0f]", "", name).casefold(),
}

similar = st.text(
    "aAÀàÅÅåßẞsSKkIiİfiﬁ1¹.…_- ~/:\\\u017f\u0131\u0300\u030a\u200d\ufe0f\x00\udce9", max_size=6
)
"""Names from characters that some file system takes for others, or refuses."""

hostile = st.sampled_from(
    [
        *("", ".", "..", "../..", "/etc/passwd", "a/../../b", "//", "C:\\x"),
        *("CON", "con", "Aux.txt", "com¹", "nul .x", "A", "a.", "a..", "a ", "a"),
        *("ü", "u\u0308", "x" * 300, "X" * 300, "x" * 119 + ".x/b", "学" * 120),
    ]
)

names = st.one_of(hostile, similar, st.text(st.characters(), max_size=130))

lists = st.lists(names, max_size=12, unique=True).flatmap(
    # and names that look like the places of others
    lambda few: st.lists(
        st.sampled_from(["/".join(place) for place in places(few)] or ["a"]), max_size=4
    ).map(lambda more: [*few, *more])
)


@given(lists)
@example(["a:b", "a_b-" + "0" * 8])
@properties
def test_no_two_names_share_a_place_on_any_file_system(runs):
    for seen in FILE_SYSTEMS.values():
        found = [tuple(map(seen, place)) for place in places(runs)]
        assert len(set(found)) == len(runs)


@given(lists)
@properties
def test_every_place_is_one_that_every_file_system_takes_as_it_is(runs):
    for place in places(runs):
        for part in place:
            assert part.isprintable()
            assert not re.search(r'[<>:"/\\|?*]', part)
            assert part == part.strip(" .") != ""
            assert LONGEST_NAME < 143 >= len(part.encode()), "the shortest limit that is in use"
            assert not PureWindowsPath(part).is_reserved()
            assert "~" not in part
        path = PurePosixPath("/out").joinpath(*place)
        assert path.parts == ("/", "out", *place), "nothing in it leads elsewhere"


@given(lists, st.randoms())
@properties
def test_places_depend_on_the_names_and_not_on_their_order(runs, random):
    runs = list(dict.fromkeys(runs))
    shuffled = random.sample(runs, len(runs))
    assert dict(zip(runs, places(runs), strict=True)) == dict(
        zip(shuffled, places(shuffled), strict=True)
    )


@pytest.mark.parametrize(
    "name",
    [
        "lr=0.1,patience=3",
        "2024-01-01_12-00-00",
        "naïve 学習率",
        "a b",
        "A/b",
        "run@1700000000",
        "-x",
    ],
)
def test_a_plain_name_is_its_place(name):
    assert places([name]) == (tuple(name.split("/")),)


def test_a_log_directory_that_is_a_run_has_no_directory_of_its_own():
    assert places(["."]) == ((),)
    first, second = places([".", "."])
    assert first == ()
    assert re.fullmatch(r"run-[0-9a-f]{8}", *second)


@pytest.mark.parametrize(
    ("one", "other"),
    [("A", "a"), ("ü", "u\u0308"), ("straße", "STRASSE"), ("a/B", "a/b"), ("K", "\u212a")],
)
def test_of_two_names_that_are_one_somewhere_the_second_has_a_hash(one, other):
    found = {
        name: "/".join(place)
        for name, place in zip((one, other), places([one, other]), strict=True)
    }
    kept, changed = sorted(found, key=lambda name: found[name] != name)
    assert found[kept] == kept
    assert re.fullmatch(r".*-[0-9a-f]{8}", found[changed])


def test_a_name_made_to_look_like_anothers_place_gets_another_one():
    (place,) = places(["a:b"])
    assert places(["a:b", place[0]])[1] == place, "a plain name is kept"
    assert places(["a:b", place[0]])[0] != place


def test_a_name_twice_is_two_places():
    assert len({*places(["a", "a", "a:", "a:"])}) == 4
