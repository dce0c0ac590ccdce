"""One flow run of the service: Prefect's engine, with what Nightloom itself logs in the run's log in the UI.

Prefect gives the loggers of PREFECT_LOGGING_EXTRA_LOGGERS its handlers, but leaves them at the root's level, WARNING.
"""

import logging
import runpy

if __name__ == "__main__":
    logging.getLogger("nightloom").setLevel(logging.INFO)
    runpy.run_module("prefect.engine", run_name="__main__")
