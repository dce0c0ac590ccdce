"""Serve the explorer: `python -m deployments.explorer --port 4280`."""

import argparse
import os

from deployments.services import is_loopback
from storage.errors import BadInputError


def main() -> None:
    """Parse the command line and serve until stopped."""
    parser = argparse.ArgumentParser(prog="python -m deployments.explorer", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=4280)
    given = parser.parse_args()
    if not is_loopback(given.host) and not os.environ.get("NIGHTLOOM_EXPLORER_TOKEN"):
        raise BadInputError(
            f"the explorer would listen on {given.host} without a password; set NIGHTLOOM_EXPLORER_TOKEN"
        )
    import uvicorn

    from deployments.explorer.app import create_app

    # The token may stand in the first address a person opens: it must not stand in a log.
    uvicorn.run(create_app(given.host), host=given.host, port=given.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
