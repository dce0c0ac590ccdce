"""The morning report names the file behind each run, once."""

from flows._report import Night, as_markdown
from storage.summary import ProductSummary, RunSummary


def summary(run: str) -> RunSummary:
    picture = ProductSummary(id="p", name="quicklook.png", kind="picture", uri=f"/store/{run}/quicklook.png")
    return RunSummary(run=run, flow="denoise", status="completed", products=[picture], metrics={"gain_db": 7.0})


def test_files_of_equal_content_share_a_row():
    night = Night()
    for run, file in [("one", "a.hdr"), ("two", "b.npy"), ("one", "copy of a.hdr"), ("one", "a.hdr")]:
        night.add(summary(run), file)
    text = as_markdown(night)
    assert "| a.hdr, copy of a.hdr | denoise | one |" in text
    assert [line for line in text.splitlines() if line.startswith("*")] == [
        "* `/store/one/quicklook.png`",
        "* `/store/two/quicklook.png`",
    ]


def test_a_name_cannot_break_the_table():
    night = Night()
    night.add(summary("one"), "夜 a|b\nc.npy")
    [row] = [line for line in as_markdown(night).splitlines() if "denoise" in line]
    assert row.startswith("| 夜 a\\|b\\nc.npy | denoise |")


def test_a_file_that_could_not_be_used_says_why():
    night = Night(quarantined=[{"path": "/inbox/x.mat", "flow": "ingest", "reason": "no array; save one"}])
    assert "* `x.mat` (ingest): no array; save one" in as_markdown(night)
