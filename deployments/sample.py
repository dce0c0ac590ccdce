"""Sample input for `make run`: whatever the flows offer as a sample, put into an inbox.

A flow's module may declare ``sample(folder)``, which writes a small real or formula-made input of its kind.
"""

import sys
from pathlib import Path

from flows._settings import apply_prefect_environment

NEXT_STEPS = """
Now with your own data:

  cp your-file .nightloom/inbox/                       # ENVI, NumPy, Zarr, GeoTIFF, FITS, HDF5, MATLAB ... told apart by content
  .venv/bin/nightloom doctor your-file                 # what it is and how it would be read
  .venv/bin/nightloom run nightly                      # what is known already is not computed again
  .venv/bin/nightloom run denoise -p source=your-file -p method=hyres
  .venv/bin/nightloom runs ls --where "flow = 'denoise'"

and in the browser:  make up
"""


def fill(folder: Path) -> list[str]:
    """Put every flow's sample into ``folder``; samples that are there already stay as they are."""
    apply_prefect_environment()
    from flows._catalogue import flow_names, load

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name in flow_names():
        sample = getattr(load(name).module, "sample", None)
        if sample is not None:
            written += sample(folder)
    return written


def main() -> None:
    """``python -m deployments.sample FOLDER`` or ``--next-steps``."""
    if sys.argv[1:] == ["--next-steps"]:
        print(NEXT_STEPS)
        return
    for line in fill(Path(sys.argv[1])):
        print(f"sample input: {line}")


if __name__ == "__main__":
    main()
