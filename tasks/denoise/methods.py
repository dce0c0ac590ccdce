"""The denoising methods by the names people type; a method's module is imported when it is first used."""

from dataclasses import fields
from difflib import get_close_matches
from importlib import import_module
from importlib.util import find_spec
from typing import Any, get_type_hints

METHODS = {
    "auto": "tasks.denoise.automatic:Auto",
    "fasthyde": "tasks.denoise.fasthyde:FastHyDe",
    "fasthyin": "tasks.denoise.fasthyin:FastHyIn",
    "l1hymixde": "tasks.denoise.l1hymixde:L1HyMixDe",
    "hyres": "tasks.denoise.hyres:HyRes",
    "hyminor": "tasks.denoise.hyminor:HyMiNoR",
    "forpdn": "tasks.denoise.forpdn:FORPDN",
    "wsrrr": "tasks.denoise.wsrrr:WSRRR",
    "otvca": "tasks.denoise.otvca:OTVCA",
    "rctv": "tasks.denoise.rctv:RCTV",
    "onnx": "tasks.denoise.learned:Learned",
}
"""Typed name -> module:class. Its fields are the method's parameters."""


def available() -> list[str]:
    """Names of the methods whose module is there."""
    return sorted(name for name, where in METHODS.items() if find_spec(where.partition(":")[0]))


def option_types(name: str) -> dict[str, Any]:
    """The parameters of the method called ``name`` and their types; empty for an unknown one."""
    if name not in available():
        return {}
    factory = _factory(name)
    hints = get_type_hints(factory)
    return {parameter.name: hints[parameter.name] for parameter in fields(factory)}


def _factory(name: str) -> Any:
    module, _, kind = METHODS[name].partition(":")
    return getattr(import_module(module), kind)


def method(name: str, **params: Any) -> Any:
    """The method called ``name`` with its parameters.

    Raises
    ------
    ValueError
        For an unknown name or parameter.
    """
    if name not in available():
        near = get_close_matches(str(name), available(), 1, 0.0)
        raise ValueError(
            f'there is no method "{name}", expected one of {", ".join(available())}; did you mean "{near[0]}"?'
        )
    factory = _factory(name)
    known = {parameter.name for parameter in fields(factory)}
    unknown = sorted(set(params) - known)
    if unknown:
        accepted = ", ".join(sorted(known)) or "none"
        raise ValueError(f"{name} has no parameter {unknown[0]!r}, expected {accepted}; leave it out or correct it")
    return factory(**params)
