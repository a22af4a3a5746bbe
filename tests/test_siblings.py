"""siblings: a run that fits in two ways is read as the other runs of the same tags are."""

from plateau_watch.config import PlateauConfig
from plateau_watch.detection import detect
from plateau_watch.siblings import settled_by_siblings
from tests.test_any_log import falling, logged, lrs_of

CONFIG = PlateauConfig(patience=2, factor=0.5)
OPEN = [1.0, 0.9, 0.8, 0.7, *[0.75] * 3, 0.6, 0.5]
"""One reduction, at the third bad step: with LRs logged before it or after, some patience fits."""


def detected(metric, run, meaning):
    lrs = lrs_of(metric, CONFIG)
    return detect(
        [
            logged("val_loss", metric, run=run),
            logged("lr", lrs[:-1] if meaning == "before" else lrs[1:], run=run),
        ]
    )


def meanings(found):
    return [each.recording.logged for each in found.fitted]


def test_a_sibling_that_fits_in_one_way_decides():
    for meaning in ("before", "after"):
        open_one = detected(OPEN, "short", meaning)
        telling = detected(falling(2), "long", meaning)
        assert sorted(meanings(open_one)) == ["after", "before"]
        assert meanings(telling) == [meaning]
        settled, same = settled_by_siblings([open_one, telling])
        assert meanings(settled)[0] == meaning
        assert sorted(meanings(settled)) == ["after", "before"]
        recording = settled.fitted[0].recording
        assert recording.config.patience == 2
        assert any(f"fits only as logged {meaning}" in line for line in recording.guesses)
        assert same is telling


def test_siblings_that_contradict_each_other_decide_nothing():
    found = [
        detected(OPEN, "short", "before"),
        detected(falling(2), "long", "before"),
        detected(falling(3), "longer", "after"),
    ]
    assert settled_by_siblings(found)[0] is found[0]


def test_a_run_of_other_tags_is_no_sibling():
    lrs = lrs_of(falling(2), CONFIG)
    other = detect([logged("val_loss", falling(2)), logged("other/lr", lrs[:-1])])
    found = [detected(OPEN, "short", "before"), other]
    assert settled_by_siblings(found)[0] is found[0]
