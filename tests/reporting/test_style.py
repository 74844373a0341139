"""One colour for one arm, and colours that can be told apart."""

import itertools
import subprocess
import sys

import numpy as np
import pytest

from medtl_core.evidence.record import to_frame
from medtl_core.evidence.reference_run import read_kept
from medtl_core.reporting.style import ARM_COLOURS, PALETTE, colour_of, colours_of, words
from medtl_core.settings import project_root


def kept_studies():
    frame = to_frame(read_kept(project_root() / "results" / "teach-cpu").all())
    chosen = frame[~frame["study"].isin(["checks"])]
    return {f"{n}/{s}": sorted(set(g["arm"])) for (n, s), g in chosen.groupby(["notebook", "study"])}


STUDIES = {name: arms for name, arms in kept_studies().items() if name.split("/")[1] not in ("probes",)}


@pytest.mark.parametrize("study", STUDIES)
def test_arms_of_a_study_keep_their_colours_and_differ(study):
    arms = [arm for arm in STUDIES[study] if not arm.startswith(("blocks.", "conv_", "stem"))]
    colours = colours_of(arms)
    assert len(set(colours.values())) == len(arms)
    assert {arm: colours[arm] for arm in arms if arm in ARM_COLOURS} == {
        arm: colour_of(arm) for arm in arms if arm in ARM_COLOURS
    }


def test_a_colour_is_the_same_in_another_process_and_whatever_stands_beside_it():
    code = "from medtl_core.reporting.style import colour_of; print(colour_of('mixup'), colour_of('full'))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.split() == [colour_of("mixup"), colour_of("full")]
    assert colours_of(["scratch", "full"])["full"] == colours_of(["full", "ttl"])["full"] == colour_of("full")


def test_two_arms_of_one_colour_are_told_apart_and_the_listed_one_keeps_it():
    twin = next(f"arm_{i}" for i in range(1000) if colour_of(f"arm_{i}") == colour_of("full"))
    colours = colours_of([twin, "full"])
    assert list(colours) == [twin, "full"]
    assert colours["full"] == colour_of("full") != colours[twin]


def test_twelve_arms_have_twelve_colours_and_more_do_not_fail():
    assert len(set(colours_of([f"a{i}" for i in range(12)]).values())) == 12
    assert len(colours_of([f"a{i}" for i in range(20)])) == 20


def lightness(colour):
    """CIE L* (0 black to 100 white) from sRGB, by the definition of IEC 61966-2-1."""
    values = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return 116 * np.cbrt(linear @ [0.2126, 0.7152, 0.0722]) - 16


def deuteranopic(colour):
    """Linear RGB as seen without the M cones (Machado et al. 2009, table for severity 1)."""
    seen = [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    values = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return np.clip(np.array(seen) @ linear, 0, 1)


def test_every_colour_stands_out_from_white():
    assert max(lightness(colour) for colour in PALETTE) < 75


def test_the_first_four_colours_differ_for_an_eye_without_green():
    for a, b in itertools.combinations(PALETTE[:4], 2):
        assert np.linalg.norm(deuteranopic(a) ** (1 / 2.2) - deuteranopic(b) ** (1 / 2.2)) > 0.15


def test_names_in_words():
    assert words("linear_probe") == "linear probe"
    assert words("full", {"full": "fine-tuning"}) == "fine-tuning"
    assert words(64.0) == "64"
    assert words(0.5) == "0.5"
