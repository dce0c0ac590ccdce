"""Injection, periodicity and survey, one after the other as a person would run them."""

import numpy as np
import pytest

from flows.dataset import DatasetParams, dataset
from flows.injection import InjectionParams, injection
from flows.periodicity import PeriodicityParams, periodicity, targets
from flows.survey import SurveyParams, survey
from storage import query
from storage.database import session
from storage.dataset import version
from storage.dataset_files import read_index
from storage.errors import BadInputError
from storage.search import Exposure, Injection, next_sobol_index
from tests.search.oracle import DT, FREQS

SHAPE = (160, 8, 20, 20)


def test_injections_are_found_and_make_a_rate_limit(home, prefect_server, tmp_path):
    path = tmp_path / "noise.npz"
    np.savez(path, cube=np.random.default_rng(3).standard_normal(SHAPE, dtype=np.float32), freq_mhz=FREQS, tsamp_s=DT)
    found = injection(
        InjectionParams(source=str(path), n=8, snr_min=12, dm_max=1000, width_max_s=1.0, psf_fwhm=3.0, threshold=6)
    )
    assert found.metrics["completeness_snr_8"] > 0.7
    truths = query.frame(query.table(Injection))
    assert len(truths) == found.metrics["n_injected"]
    assert [p.kind for p in found.products] == ["completeness", "picture", "cutouts", "candidates"]

    made = dataset(DatasetParams(kind="cutouts", radius=0.0, link_radius=0.0))
    index = read_index(version("cutouts").folder).set_index("injected_number")
    assert len(index) == made.metrics["n_samples"] == found.metrics["n_found"]
    assert index["simulated"].all() and (index["label"] == "injection").all()
    for truth in truths[truths["found"]].itertuples():
        row = index.loc[truth.number]
        assert row[["injected_dm", "injected_snr", "injected_y", "snr"]].tolist() == [
            truth.dm,
            truth.ideal_snr,
            truth.y,
            truth.snr,
        ]
    assert next_sobol_index(0) == truths["sobol_index"].max() + 1

    with session() as s:
        s.add(exposure())
        s.commit()
    summary = survey(SurveyParams(where="threshold <= 7"))
    assert [p.kind for p in summary.products] == ["table", "picture", "picture"]
    assert summary.completeness == "measured by injection"
    assert np.isfinite(summary.metrics["best_limit"])

    folded = periodicity(PeriodicityParams(source=str(path), pixels="3 4", dms="0 50", threshold=8))
    assert folded.metrics["n_pixels"] == 2
    assert folded.metrics["n_periods"] == 0


def exposure():
    return Exposure(
        id="e", run_id="r", product_id="p", seconds=3600.0, n_pixel=400, area_deg2=1.0, ra_deg=83.6, dec_deg=22.0,
        mjd=60000.0, threshold=7.0, dm_max=1000.0, width_max_s=10.0, dt_s=DT, noise=0.1, units="Jy", n_channel=8,
        flagged_fraction=0.0, n_candidate=0, simulated=False,
    )  # fmt: skip


def test_what_cannot_be_done_gets_a_sentence(home):
    with pytest.raises(BadInputError, match="no exposure with a celestial position"):
        survey.fn(SurveyParams())
    params = PeriodicityParams(source="x", pixels="30 2")
    with pytest.raises(BadInputError, match="lies outside the image"):
        targets(params, None, (10, 4, 20, 20))
    with pytest.raises(BadInputError, match="expected 'y x, y x'"):
        targets(PeriodicityParams(source="x", pixels="3;4"), None, (10, 4, 20, 20))
    with pytest.raises(BadInputError, match="no pixels were given"):
        targets(PeriodicityParams(source="x"), "nothing", (10, 4, 20, 20))
