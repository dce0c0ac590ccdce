"""FastHyDe: what it gains under each kind of noise, and that tiles and masks change nothing."""

import json
from pathlib import Path

import numpy as np
import pytest

from tasks.array.namespace import to_host
from tasks.array.statistics import tree_reduce
from tasks.array.tiling import tiles
from tasks.denoise import anscombe, denoise
from tasks.denoise.automatic import diagnose_cube
from tasks.denoise.fasthyde import FastHyDe
from tasks.denoise.streaming import project_cube, survey_cube
from tests.denoise.scenes import noisy, psnr, scene

CONFORMANCE = Path(__file__).parents[2].parent / "shared" / "conformance" / "denoise"


def test_beats_wavelets(xp):
    clean = scene(64, 64)
    cube = noisy(clean, 0.03)
    restored = to_host(denoise(xp.asarray(cube), "fasthyde"))
    assert restored.shape == clean.shape
    assert restored.dtype == np.float32
    assert psnr(clean, restored) > psnr(clean, denoise(cube, "hyres")) + 1


def test_knowing_that_bands_differ_helps():
    clean = scene(64, 64)
    cube = noisy(clean, np.geomspace(0.005, 0.1, clean.shape[2]))
    assert psnr(clean, denoise(cube, "fasthyde")) > psnr(clean, denoise(cube, "fasthyde", noise="iid")) + 3


def test_equal_noise_may_be_assumed():
    clean = scene(64, 64)
    cube = noisy(clean, 0.03)
    assert abs(psnr(clean, denoise(cube, "fasthyde")) - psnr(clean, denoise(cube, "fasthyde", noise="iid"))) < 0.5


@pytest.mark.parametrize("gain", [1.0, 0.25])
def test_counts(gain):
    clean = 60 * scene(64, 64)
    counts = np.random.default_rng(3).poisson(clean) * gain
    restored = denoise(counts, "fasthyde", noise="poisson", gain=gain) / gain
    plain = denoise(counts / gain, "fasthyde")
    error, other = np.abs(restored - clean).mean(), np.abs(plain - clean).mean()
    assert error < 1.02 * other
    assert abs((restored - clean).mean()) < 0.01 * clean.mean()


def test_the_inverse_is_unbiased():
    for mean in (0.5, 1.0, 3.0, 10.0, 300.0):
        k = np.arange(0, int(mean + 12 * np.sqrt(mean) + 20), dtype=float)
        logs = k * np.log(mean) - mean - np.concatenate([[0], np.cumsum(np.log(np.arange(1, k.size)))])
        expected = (np.exp(logs) * anscombe.stabilised(k[None, None].astype(np.float32), None, 1.0)[0, 0]).sum()
        back = anscombe.restored(np.array([[[expected]]], np.float32), 1.0)[0, 0, 0]
        assert abs(back - mean) < 0.02 * mean**0.5


def by_tiles(cube, edge):
    method = FastHyDe()
    model = survey_cube(cube, None)
    scores = project_cube(cube, None, model)
    wide = tiles(cube.shape[:2], edge, method.halo(model))
    plan = method.solve(tree_reduce([method.survey(scores[t.read], t, model, None) for t in wide], np.add), model, None)
    out = np.empty_like(cube)
    for t in reversed(wide):
        out[t.core] = method.restore(scores[t.read], t, model, plan)
    return out


@pytest.mark.parametrize("edge", [(30, 64), (17, 90)])
def test_the_answer_does_not_depend_on_tiles(edge):
    cube = noisy(scene(90, 170, 12, n_end=2), 0.03)
    whole = denoise(cube, "fasthyde")
    assert np.abs(by_tiles(cube, edge) - whole).max() <= 1e-5 * np.abs(whole).max()


def test_stripes_are_no_component():
    clean = scene(64, 64)
    cube = noisy(clean, 0.02)
    rng = np.random.default_rng(2)
    for band in (3, 9, 15):
        cube[:, rng.choice(64, 12, replace=False), band] += rng.uniform(-0.2, 0.2, 12).astype(np.float32)
    assert psnr(clean, denoise(cube, "fasthyde")) > psnr(clean, denoise(cube, "fasthyde", rank=6)) + 2


def test_masked_samples_have_no_influence_and_are_filled():
    clean = scene(64, 64)
    mask = np.random.default_rng(2).random(clean.shape) > 0.02
    mask[44:47, 44:47] = False
    cube = noisy(clean, 0.03)
    restored = denoise(cube, "fasthyde", mask=mask)
    assert np.array_equal(restored, denoise(np.where(mask, cube, np.float32(np.nan)), "fasthyde", mask=mask))
    assert np.sqrt(((restored - clean)[~mask] ** 2).mean()) < 0.02


@pytest.mark.parametrize(
    ("cube", "options", "words"),
    [
        (scene(16, 16, 8) - 1, {"noise": "poisson"}, "no negative value for Poisson"),
        (scene(16, 16, 8), {"noise": "shot"}, "expected one of band, iid, poisson"),
        (scene(16, 16, 8), {"noise": "poisson", "gain": 0.0}, "gain is 0.0"),
        (np.full((16, 16, 8), np.nan), {}, "NaN or infinite but not masked"),
        (scene(16, 16, 8), {"rank": 9}, "rank is 9, expected 1 to 8"),
        (np.random.default_rng(0).random((2, 3, 8)), {}, "6 pixels are valid"),
        (scene(16, 16, 8), {"mask": np.zeros(8, bool)}, "no sample valid"),
    ],
)
def test_one_clear_sentence(cube, options, words):
    with pytest.raises(ValueError, match=words) as caught:
        denoise(cube, "fasthyde", **options)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not CONFORMANCE.exists(), reason="no conformance data beside the checkout")
def test_at_least_as_good_as_hyde():
    for case in json.loads((CONFORMANCE / "manifest.json").read_text())["cases"]:
        clean, cube = (
            np.load(CONFORMANCE / case[k])[np.load(CONFORMANCE / case[k]).files[0]] for k in ("clean", "noisy")
        )
        (floor,) = [o["metrics"]["psnr"] for o in case["outputs"] if o["method"] == "FastHyDe"]
        assert psnr(clean, denoise(cube, "fasthyde")) >= floor


@pytest.mark.parametrize(("peak", "gain"), [(20, 1.0), (200, 0.01)])
def test_auto_finds_photon_noise_and_stabilises_it(peak, gain):
    truth = scene(64, 64, 24) * np.exp(np.linspace(-3, 0, 64))[None, :, None]
    counts = np.random.default_rng(3).poisson(truth * peak)
    cube = (counts * gain).astype(np.float32)
    _, found = diagnose_cube(cube, None)
    assert found.gain == pytest.approx(gain, rel=0.15)
    assert any("photons" in reason for reason in found.reasons)
    cube[5, 5, 5] = -gain  # elsewhere a value may be negative, which must not end the night
    auto, plain = (denoise(cube, name) / (gain * peak) for name in ("auto", "fasthyde"))
    assert psnr(truth, auto) > psnr(truth, plain) + 1


def test_auto_does_not_take_other_noise_for_photons():
    for sigma in (0.03, np.linspace(0.01, 0.1, 24)):
        assert diagnose_cube(noisy(scene(64, 64, 24), sigma), None)[1].gain is None


def test_photon_noise_is_told_in_the_unit_of_the_cube():
    truth = np.broadcast_to(np.linspace(50, 100, 24), (64, 64, 24))
    truth = truth * (0.9 + 0.2 * scene(64, 64, 24, n_end=2)[..., :1])
    cube = (np.random.default_rng(3).poisson(truth) * 0.5).astype(np.float32)
    method = FastHyDe(noise="poisson", gain=0.5)
    model = survey_cube(method.encode(cube, None), None)
    want = np.sqrt(truth.mean((0, 1))) * 0.5
    assert np.allclose(method.measured(model, model.sigma), want, rtol=0.05)
