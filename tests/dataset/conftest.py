"""Published products to build datasets from, made without the flows that usually make them."""

import numpy as np
import pytest

from storage.layout import Coordinate, Layout, variable
from storage.parameters import Parameters
from storage.runs import recorded
from tests.dataset.building import without_server


class Given(Parameters):
    """Parameters of a run that stands in for a real flow."""

    source: str = ""
    seed: int = 0


def publish(flow, layout, arrays, source="", seed=0):
    """Publish a product of ``layout`` holding ``arrays``; return its address."""
    with recorded(flow, Given(source=source, seed=seed)) as run:
        if not run.repeated:
            product = run.create(layout.kind, layout)
            for name, values in arrays.items():
                product[name].write(tuple(slice(0, n) for n in values.shape), values)
            run.publish(product)
    return run.summary.products[0].uri


def cube_layout(kind, shape, **attrs):
    _n_y, _n_x, n_band = shape
    bands = {
        "band": Coordinate(("band",), np.linspace(400, 700, n_band), {"units": "nm"}),
        "sigma": Coordinate(("band",), np.full(n_band, 0.1)),
    }
    dims = ("y", "x", "band")
    arrays = {
        "cube": variable(dims, shape, "float32", units="1"),
        "valid": variable(dims, shape, "bool", fill_value=False),
    }
    return Layout(kind, arrays, bands, attrs)


@pytest.fixture
def scene(home):
    """Publish a raw cube and its denoised cube; return the clean cube's address."""

    def make(seed, shape=(24, 24, 6), nan_at=None, copy_of=None, **attrs):
        rng = np.random.default_rng(seed if copy_of is None else copy_of)
        clean = (3 + rng.random((6, 6, shape[2])).repeat(-(-shape[0] // 6), 0).repeat(-(-shape[1] // 6), 1))[
            : shape[0], : shape[1]
        ]
        clean = (clean + 0.01 * rng.standard_normal(shape)).astype("f4")
        if copy_of is not None:
            clean += (1e-3 * np.random.default_rng(seed).standard_normal(shape)).astype("f4")
        noisy = clean + (0.1 * np.random.default_rng(1000 + seed).standard_normal(shape)).astype("f4")
        valid = np.ones(shape, bool)
        valid[: shape[0] // 6, :2] = False
        noisy[~valid] = np.nan
        if nan_at is not None:
            clean[nan_at] = np.nan
        raw = publish("ingest", cube_layout("raw_cube", shape, **attrs), {"cube": noisy, "valid": valid}, seed=seed)
        return publish(
            "denoise", cube_layout("clean_cube", shape), {"cube": clean, "valid": valid}, source=raw, seed=seed
        )

    return make


@pytest.fixture
def build(home, monkeypatch):
    """The flow's body in this process: no server, no cluster."""
    return without_server(monkeypatch.setattr)


@pytest.fixture
def search(home):
    """Publish cutouts of a search with their candidates, one of them injected; return their address."""
    from storage.search import Candidate, Injection, cutouts

    def make(seed, n=6, n_channel=24, known=None, curve=True):
        rng = np.random.default_rng(seed)
        image = rng.standard_normal((n, 16, 16)).astype("f4")
        image[:, 8, 8] += 20
        image[0, :2] = np.nan
        arrays = {
            "image": image,
            "spectrum": rng.standard_normal((n, n_channel, 12)).astype("f4"),
            "dm_time": rng.standard_normal((n, 5, 12)).astype("f4"),
        }
        with recorded("search", Given(seed=seed)) as run:
            product = run.create("cutouts", cutouts(n, n_channel, 16, 12, 5, {}))
            for name, values in arrays.items():
                product[name].write(tuple(slice(0, k) for k in values.shape), values)
            run.publish(product)
            if curve:
                fraction = {"ideal_snr_fraction": variable(("bin",), (3,), "float64")}
                found = run.create("completeness", Layout("completeness", fraction, {}, {}))
                found["ideal_snr_fraction"].write((slice(0, 3),), np.ones(3))
                run.publish(found)
            for i in range(n):
                facts = {
                    "snr": 10.0 + i,
                    "trial_snr": 9.0,
                    "false_alarm_probability": 0.0,
                    "time_s": float(i),
                    "mjd": 60000.0 + seed,
                }
                facts |= {
                    "ref_freq_mhz": 1400.0,
                    "dm": 100.0 * i,
                    "width_s": 0.1,
                    "y": 10.0 * i,
                    "x": 5.0,
                    "members": 1,
                }
                facts |= {
                    "ra_deg": 10.0 * i,
                    "dec_deg": -30.0,
                    "known_source": known if i == 1 else None,
                    "simulated": False,
                }
                run.add_rows(Candidate(id=f"{seed:08d}{i:08d}", run_id=run.id, product_id="p", number=i + 1, **facts))
            truth = {"time_s": 2.1, "y": 21.0, "x": 5.0, "dm": 205.0, "width_s": 0.1, "scattering_s": 0.0}
            truth |= {"spectral_index": 0.0, "fluence": 1.0, "ideal_snr": 12.5, "found": True, "snr": 12.0}
            truth |= {"candidate_id": f"{seed:08d}{2:08d}"}
            run.add_rows(Injection(id=f"i{seed}", run_id=run.id, product_id="p", number=1, **truth))
        return run.summary.first("cutouts").uri

    return make


@pytest.fixture
def grasp(home):
    """Publish grasps of one object; return their address."""
    from storage.grasp import grasps

    def make(seed, thing, n=20, hand="allegro", dof=4, **attrs):
        rng = np.random.default_rng(seed)
        joints = tuple(f"j{i}" for i in range(dof))
        arrays = {
            "qpos": rng.standard_normal((n, 3, 7 + dof)).astype("f4"),
            "contact": 0.05 * rng.standard_normal((n, 4, 3)).astype("f4"),
        }
        arrays |= {name: rng.standard_normal((n, 4, 3)).astype("f4") for name in ("normal", "force")}
        arrays |= {
            "judged": np.arange(n) % 4 != 0,
            "success": np.arange(n) % 2 == 0,
            "penetration": np.full(n, 1e-3, "f4"),
        }
        arrays["penetration"][5] = 0.01
        arrays["qpos"][7] = arrays["qpos"][6] + 1e-4
        with recorded("grasp", Given(seed=seed)) as run:
            product = run.create("grasps", grasps(n, joints, 4, n, hand=hand, object=thing, **attrs))
            for name, values in ({k: np.zeros(product[k].shape, product[k].dtype) for k in QUIET} | arrays).items():
                product[name].write(tuple(slice(0, k) for k in values.shape), values)
            run.publish(product)
        return run.summary.first("grasps").uri

    return make


QUIET = ("leftover", "gap", "demerit", "tries", "self_penetration", "contact_number", "contact_distance", "q1", "qp")
