"""The report says what was found, why, and what to look at; and shows it."""

from html.parser import HTMLParser

import numpy as np

from tasks.denoise.quicklook import Spectra, draw
from tasks.denoise.report import page, warnings
from tests.denoise.scenes import noisy, scene

CLEAN = scene(40, 36, 12)
NOISY = noisy(CLEAN)
GOOD = {
    "noise_sigma": np.full(12, 0.03),
    "n_used_bands": 12,
    "residual_correlation_median": 0.01,
    "leakage_median": 0.05,
    "flagged_fraction": 0.0,
    "gain_db": 12.0,
    "n_component": 3,
}


def picture(rare=None):
    spectra = Spectra(np.linspace(400, 900, 12), np.full(12, 0.03), np.full(12, 0.006), CLEAN.mean((0, 1)), "1")
    rare = np.zeros((40, 36), bool) if rare is None else rare
    return draw(NOISY[..., spectra.shown], CLEAN[..., spectra.shown], rare, spectra)


def test_a_good_run_gives_no_warning():
    assert warnings(GOOD, 12) == []
    html = page(
        "scene.npy", "auto", "FastHyDe(rank=None)", ["the noise is much the same in all bands"], GOOD, picture()
    )
    for words in (b"Nothing stands out", b"auto chose it because", b"much the same", b"data:image/png;base64,"):
        assert words in html


def test_every_doubt_is_a_sentence():
    bad = GOOD | {
        "n_used_bands": 10,
        "residual_correlation_median": 0.4,
        "leakage_median": 0.3,
        "flagged_fraction": 0.002,
        "dead_fraction": 0.01,
        "gain_db": 1.0,
    }
    found = warnings(bad, 12)
    assert len(found) == 6
    for words in ("2 of 12 bands", "not white", "resembles", "rare material", "dead", "little noise"):
        assert any(words in sentence for sentence in found), words


def test_names_cannot_break_the_page():
    tags = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            tags.append(tag)

    Reader().feed(page("<script>x</script>", "hyres", "HyRes()", ["<b>"], GOOD, b"").decode())
    assert "script" not in tags and "b" not in tags


def test_rare_pixels_are_marked():
    rare = np.zeros((40, 36), bool)
    rare[20, 20] = True
    assert picture(rare) != picture()
