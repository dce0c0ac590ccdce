"""What a stranger reads first: the Croissant description for machines, the datasheet for people."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from storage.dataset_files import DATA, INDEX, MANIFEST

if TYPE_CHECKING:
    import pandas as pd

CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""Croissant 1.0 fixes these words; its validator compares them."""

TYPES = {"i": "sc:Integer", "u": "sc:Integer", "f": "sc:Float", "b": "sc:Boolean"}


def croissant(facts: Mapping[str, Any], index: "pd.DataFrame", sums: Mapping[str, str]) -> dict[str, Any]:
    """Croissant 1.0 description: the index as records; the arrays, for which Croissant has no encoding, by the manifest."""
    columns = [_column(name, index[name].dtype.kind) for name in index.columns]
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": facts["id"].replace("/", "-"),
        "description": facts["description"],
        "version": f"{facts['number']}.0.0",
        "datePublished": facts["published"],
        "license": facts["license"],
        "url": facts["uri"],
        "citeAs": f"{facts['id']}, version {facts['version_id']}",
        "distribution": [
            _file(
                INDEX,
                "application/x-parquet",
                sums[INDEX],
                "one row per sample; record is its place along the first axis of the arrays",
            ),
            _file(
                MANIFEST,
                "application/json",
                sums[MANIFEST],
                f"SHA-256 of every file, those of the Zarr v3 group {DATA} among them",
            ),
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "samples",
                "name": "samples",
                "key": {"@id": "samples/id"},
                "field": columns,
            }
        ],
    }


def _file(name: str, encoding: str, checksum: str, description: str) -> dict[str, str]:
    kind = {"@type": "cr:FileObject", "@id": name, "name": name, "description": description}
    return {**kind, "contentUrl": name, "encodingFormat": encoding, "sha256": checksum}


def _column(name: str, kind: str) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"samples/{name}",
        "name": name,
        "dataType": TYPES.get(kind, "sc:Text"),
        "source": {"fileObject": {"@id": INDEX}, "extract": {"column": name}},
    }


def datasheet(
    facts: Mapping[str, Any],
    index: "pd.DataFrame",
    arrays: Mapping[str, Any],
    sources: Sequence[Mapping[str, Any]],
    gates: Sequence[Any],
) -> str:
    """What is in a version, from which runs, how it was split and checked, and what is known to be missing."""
    counts = sorted(Counter(zip(index["split"].tolist(), index["label"].tolist(), strict=True)).items())
    simulated = int(index["simulated"].sum())
    lines = [
        f"# {facts['id']}",
        "",
        facts["description"],
        "",
        f"Version id `{facts['version_id']}`; made by run `{facts['run']}` from code `{facts['code_version']}`; "
        + (f"built upon v{facts['parent']:03d}." if facts["parent"] else "the first version."),
        "",
        "## What is in it",
        "",
        f"{len(index)} samples in {index['group'].nunique()} groups, {facts['added']} of them new in this version; {simulated} are simulated.",
        "",
        "| split | label | samples | groups |",
        "|---|---|---|---|",
        *(f"| {s} | {lab} | {n} | {_groups(index, s, lab)} |" for (s, lab), n in counts),
        "",
        f"Arrays of `{DATA}`, one sample per step along the first axis, `record`:",
        "",
        "| array | axes | type | unit | |",
        "|---|---|---|---|---|",
        *(
            f"| `{name}` | {' × '.join(f'{d} {n}' for d, n in zip(f.dims, f.shape, strict=True)) or '–'} | {f.dtype} "
            f"| {f.attrs.get('units', '')} | {f.attrs.get('long_name', '')} |"
            for name, f in arrays.items()
        ),
        "",
        "## Where it comes from",
        "",
        "| product | new here | offered | taken |",
        "|---|---|---|---|",
        *(f"| `{s['uri']}` | {'yes' if s['new'] else ''} | {s['offered']} | {s['taken']} |" for s in sources),
        "",
        "## What was left out",
        "",
        *([f"* {reason}: {n} candidates" for reason, n in facts["left_out"].items()] or ["Nothing."]),
        *(f"* {skip['uri']}: {skip['reason']}" for skip in facts["skipped"]),
        *(
            ["", f"{facts['dead']} records are removed: they are in the arrays still, but not in the index."]
            if facts["dead"]
            else []
        ),
        "",
        "## How it was split",
        "",
        f"By group ({facts['group_meaning']}); groups that share near-duplicates are never apart. A group keeps its split in all versions. "
        "Statistics are those of the training samples alone.",
        "",
        "## What was checked",
        "",
        *(f"* {gate}" for gate in gates),
        "",
        "## Known gaps",
        "",
        *(f"* {gap}" for gap in facts["gaps"]),
        "",
    ]
    return "\n".join(lines)


def _groups(index: "pd.DataFrame", split: str, label: str) -> int:
    return index[(index["split"] == split) & (index["label"] == label)]["group"].nunique()
