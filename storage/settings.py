"""Where things are: one prefix, read from the environment each time it is asked."""

import os
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "NIGHTLOOM_"


class Settings(BaseSettings):
    """Places and the cluster, from ``NIGHTLOOM_…``; everything defaults to a folder under ``home``."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True)

    home: Path = Field(Path(".nightloom"), description="folder of everything Nightloom keeps by default")
    store: str = Field("", description="root of the products: a path or an fsspec URI such as s3://bucket/night")
    database_url: str = Field("", description="SQLAlchemy URL of the run database")
    inbox: Path = Field(Path(), description="folder that the nightly run looks into")
    roots: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="where paths in parameters that come through the server may point, separated like PATH"
    )
    cluster: str = Field(
        "auto", description="auto, cpu, cuda, slurm, kubernetes, or a scheduler's tcp:// or tls:// address"
    )

    @field_validator("roots", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(filter(None, value.split(os.pathsep))) if isinstance(value, str) else value

    @model_validator(mode="before")
    @classmethod
    def _defaults_under_home(cls, values: dict) -> dict:
        home = Path(values.get("home") or ".nightloom").absolute()
        store = values.get("store") or str(home / "store")
        inbox = Path(values.get("inbox") or home / "inbox").absolute()
        return values | {
            "home": home,
            "store": store if "://" in store else str(Path(store).absolute()),
            "database_url": values.get("database_url") or f"sqlite:///{home / 'nightloom.db'}",
            "inbox": inbox,
            "roots": values.get("roots") or (str(inbox), store),
        }


def settings() -> Settings:
    """The settings now in force; read again when the environment or the working folder has changed."""
    return _read(tuple(sorted(item for item in os.environ.items() if item[0].upper().startswith(PREFIX))), os.getcwd())


@lru_cache(maxsize=8)
def _read(environment: tuple[tuple[str, str], ...], folder: str) -> Settings:
    return Settings()  # pyright: ignore[reportCallIssue] - every field has a default by the validator
