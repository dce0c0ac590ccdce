"""From published products to what a dataset may take samples from: the arrays it wants, and what belongs together."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from storage.database import session
from storage.errors import BadInputError
from storage.product import Product
from storage.publish import MANIFEST
from storage.publish import verify as damaged_shards
from storage.stores import exists, join, open_group, read_bytes
from storage.tables import ProductRow


@dataclass(frozen=True)
class Offer:
    """One product to take samples from; see `tasks.dataset.samples.Source`."""

    id: str
    uri: str
    digest: str
    group: str
    stratum: str
    arrays: Mapping[str, Product]
    attrs: Mapping[str, Any] = field(default_factory=dict)


def offers(kind: str, rows: Sequence[ProductRow], hand: str = "") -> list[Offer]:
    """What the products ``rows`` offer to a dataset of ``kind``; grasps of this ``hand`` only, if it is named.

    Raises
    ------
    BadInputError
        If a product has vanished or is not what was published; it is named.
    """
    for row in rows:
        _refuse_changed(row)
    made = map(ORIGINS[kind].offer, rows)
    return [offer for offer in made if hand in ("", offer.attrs.get("hand"))]


def refuse_damaged(offered: Sequence[Offer]) -> None:
    """Compare every shard of what is about to be read with the digests it was published with."""
    for offer in offered:
        if wrong := damaged_shards(offer.uri):
            raise BadInputError(
                f"{offer.uri} is damaged: {len(wrong)} shards are missing or differ from what was published, first {wrong[0]}; "
                "run the flow that made it again with force, or leave it out with `where`"
            )


def _refuse_changed(row: ProductRow) -> None:
    import json

    if not exists(join(row.uri, MANIFEST)):
        raise BadInputError(
            f"{row.uri} has vanished from the store; run the flow that made it again with force, or leave it out with `where`"
        )
    digest = json.loads(read_bytes(join(row.uri, MANIFEST)))["digest"]
    if digest != row.digest:
        raise BadInputError(
            f"{row.uri} has digest {digest}, but {row.digest} was published; it was changed: leave it out with `where`, or make it again"
        )


def _denoise(row: ProductRow) -> Offer:
    clean = Product(row.uri)
    attrs = clean.group_attrs
    raw = attrs.get("inputs", {}).get("source", {})
    if not raw.get("uri") or not exists(raw["uri"]):
        source = raw.get("uri") or "a cube that it does not name"
        raise BadInputError(f"{row.uri} was denoised from {source}, which cannot be found; leave it out with `where`")
    noisy = Product(raw["uri"])
    arrays = {"noisy": noisy, "clean": clean}
    arrays |= {name: clean[name] for name in ("valid", "sigma") if name in clean}
    arrays |= {name: noisy[name] for name in ("bad_bands",) if name in noisy}
    if "band" in noisy and "nm" in str(noisy["band"].attrs.get("units", "")):
        arrays["wavelength"] = noisy["band"]
    scene = str(attrs.get("scene") or noisy.group_attrs.get("scene") or raw["digest"])
    return Offer(row.id, row.uri, row.digest, f"scene:{scene}", _sensor(noisy), arrays, _origin(noisy, attrs))


def _sensor(noisy: Product) -> str:
    """Cubes of one sensor have one number of bands; each split should have its part of every sensor."""
    name = noisy.group_attrs.get("sensor type", noisy.group_attrs.get("sensor", "sensor"))
    return f"{str(name)[:100]}, {noisy.shape[-1]} bands"


def _origin(product: Product, attrs: Mapping[str, Any]) -> dict[str, Any]:
    simulated = any(bool(a.get(name)) for a in (product.group_attrs, attrs) for name in ("simulated", "synthetic"))
    return {"simulated": simulated, "method": str(attrs.get("parameters", {}).get("method", ""))}


def _grasps(row: ProductRow) -> Offer:
    arrays = whole_group(row.uri)
    attrs = next(iter(arrays.values())).group_attrs
    thing = str(attrs.get("object", row.digest))
    about = {"simulated": True, "joints": attrs.get("joints", [])}
    about |= {name: attrs.get(name) for name in ("hand", "joint_limits")}
    return Offer(row.id, row.uri, row.digest, f"object:{thing}", str(attrs.get("hand")), arrays, about)


def _hands(uris: Sequence[str]) -> list[dict[str, Any]]:
    """A dataset for each hand."""
    return [{"hand": hand} for hand in sorted({str(Product(uri).group_attrs.get("hand")) for uri in uris})]


def _cutouts(row: ProductRow) -> Offer:
    arrays = whole_group(row.uri)
    rows = _candidate_rows(row)
    simulated = any(facts.get("simulated") for facts in rows.values())
    return Offer(
        row.id,
        row.uri,
        row.digest,
        row.digest,
        "simulated" if simulated else "observed",
        arrays,
        {"rows": rows, "simulated": simulated, "completeness": _completeness(row.run_id)},
    )


def _completeness(run_id: str) -> str | None:
    """Address of the recovery curve that the run published, if it injected pulses."""
    curve = select(ProductRow.uri).where(ProductRow.run_id == run_id, ProductRow.kind == "completeness")
    with session() as s:
        return s.scalar(curve.where(ProductRow.deleted.is_(None)))


def _candidate_rows(row: ProductRow) -> dict[int, dict[str, Any]]:
    """What is known of each candidate, by its place in the cutouts: the row, the injection it is, what a person said of it."""
    from storage.labels import labels
    from storage.search import Candidate, Injection

    with session() as s:
        found = s.scalars(select(Candidate).where(Candidate.run_id == row.run_id)).all()
        injected = {i.candidate_id: i for i in s.scalars(select(Injection).where(Injection.run_id == row.run_id))}
    decided = labels("candidates", [candidate.id for candidate in found])
    facts = {}
    for candidate in found:
        known = {c.key: getattr(candidate, c.key) for c in Candidate.__table__.columns}
        known["verdict"] = decided.get(candidate.id, {}).get("verdict")
        if truth := injected.get(candidate.id):
            known |= {f"injected_{name}": getattr(truth, name) for name in ("number", "dm", "width_s", "y", "x")}
            known |= {"injected_snr": truth.ideal_snr, "injection": truth.id, "simulated": True}
        facts[candidate.number - 1] = known
    return facts


def whole_group(uri: str) -> dict[str, Product]:
    """Every array of the group at ``uri``, by name."""
    return {name: Product(uri, name) for name, _ in open_group(uri).arrays()}


@dataclass(frozen=True)
class Origin:
    """What a kind of dataset is made of: products of which kind, what each offers, which datasets a night's ones ask for."""

    product: str
    offer: Callable[[ProductRow], Offer]
    series: Callable[[Sequence[str]], list[dict[str, Any]]] = lambda uris: [{}]


ORIGINS = {
    "denoise": Origin("clean_cube", _denoise),
    "cutouts": Origin("cutouts", _cutouts),
    "grasps": Origin("grasps", _grasps, _hands),
}
"""By the kind of dataset; `tasks.dataset.kinds.KINDS` says how samples of each are cut."""
