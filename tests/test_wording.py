import random
import string

import pytest

from holdfast import wording


@pytest.mark.parametrize("seed", range(30))
def test_wrapping_keeps_every_character_and_the_width(seed):
    draw = random.Random(seed)
    name = "".join(draw.choice(string.ascii_letters + "(,)+=. /ß字") for _ in range(draw.randrange(1, 120)))
    width = draw.randrange(1, 50)
    lines = wording.wrap(name, width)
    assert "".join("".join(lines).split()) == "".join(name.split())
    assert max(map(len, lines)) <= width


def test_names_break_between_arguments_not_inside_them():
    assert wording.wrap("r3f(weight=5.0, sigma=0.01)+dps", 16) == ["r3f(weight=5.0,", "sigma=0.01)+dps"]


@pytest.mark.parametrize(("alpha", "said"), [(0.05, "95 %"), (0.025, "97.5 %"), (0.01, "99 %"), (0.0221, "97.79 %")])
def test_confidence_level_belongs_to_alpha(alpha, said):
    assert wording.level(alpha) == said


@pytest.mark.parametrize("delta", [5.0, 1.0, 0.5, 0.3, 0.1, 0.02])
def test_differences_that_matter_can_be_read(delta):
    digits = wording.decimals(delta)
    assert wording.points(70.0, digits) != wording.points(70.0 + delta / 2, digits)
    assert wording.points(70.0, digits) != wording.points(70.0 + delta, digits)


def test_the_sign_of_an_interval_end_survives_rounding():
    assert wording.interval(0.04, 1.26) == "[+0.0, +1.3]"
    assert wording.interval(-0.04, 1.26) == "[−0.0, +1.3]"
    assert wording.interval(0.0, 1.26) == "[0.0, +1.3]"
    assert wording.interval(None, 1.0) == ""


@pytest.mark.parametrize("bad", ["\x1b[31m", "\x9b31m", "\r", "\x00", "\u202e", "\u2066", "a\nb"])
def test_nothing_that_drives_a_terminal_passes(bad):
    cleaned = wording.clean(f"x{bad}y")
    assert cleaned.startswith("x")
    assert cleaned.endswith("y")
    assert not set(cleaned) & set("\x1b\x9b\r\x00\u202e\u2066\n")


@pytest.mark.parametrize(
    ("seconds", "said"), [(None, "–"), (3.14, "3.1 s"), (48.2, "48 s"), (744, "12.4 min"), (11160, "3.1 h")]
)
def test_durations_have_a_fitting_unit(seconds, said):
    assert wording.duration(seconds) == said
