"""How Prefect is set wherever Nightloom starts it; must be in the environment before Prefect is imported."""

import os

from storage.settings import settings


def prefect_environment() -> dict[str, str]:
    """Settings of Prefect; what the user has set already is kept."""
    home = settings().home
    wanted = {
        "PREFECT_HOME": str(home / "prefect"),
        # The temporary server of a run without one has 20 s to start, too little for a busy machine.
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        # What our own logger says belongs into the run's log in the UI.
        "PREFECT_LOGGING_EXTRA_LOGGERS": "nightloom",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "PREFECT_CLI_PROMPT": "false",
        # Attempts 2, 4, 8 ... 128 s apart: a client that has met its server once waits four minutes for it, instead of one.
        "PREFECT_CLIENT_MAX_RETRIES": "7",
    }
    return {name: os.environ.get(name, value) for name, value in wanted.items()}


def apply_prefect_environment() -> None:
    """Put the settings into this process's environment; Prefect wants its home's parent to exist."""
    settings().home.mkdir(parents=True, exist_ok=True)
    os.environ.update(prefect_environment())
