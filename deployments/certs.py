"""Certificates for Dask over TLS: one authority, and one certificate each for scheduler, workers and clients.

A Dask scheduler without TLS executes whatever anyone who can connect sends it.
"""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from storage.errors import BadInputError
from storage.settings import settings

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate, Name

ROLES = ("scheduler", "worker", "client")
DAYS = 825


def make_certificates(folder: Path | None = None, *, names: tuple[str, ...] = ("localhost", "scheduler")) -> list[Path]:
    """Write ``ca.pem`` and, for each role, ``<role>.pem`` and ``<role>.key``; the authority's key is kept nowhere."""
    folder = folder or settings().home / "certs"
    if (folder / "ca.pem").exists():
        raise BadInputError(
            f"{folder} holds certificates already; delete the folder to make new ones, then restart scheduler and workers"
        )
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    authority_key, authority = _authority()
    written = [_write(folder / "ca.pem", _pem(authority))]
    for role in ROLES:
        key, certificate = _issued(role, names, authority_key, authority)
        written += [_write(folder / f"{role}.pem", _pem(certificate)), _write(folder / f"{role}.key", _key_pem(key))]
    return written


def _authority() -> "tuple[EllipticCurvePrivateKey, Certificate]":
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("Nightloom cluster")
    builder = _builder(name, name, key).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    return key, _signed(builder, key)


def _issued(
    role: str, names: tuple[str, ...], signer: Any, authority: "Certificate"
) -> "tuple[EllipticCurvePrivateKey, Certificate]":
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    builder = _builder(_name(role), authority.subject, key).add_extension(alternatives, critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    return key, _signed(builder, signer)


def _builder(subject: "Name", issuer: "Name", key: "EllipticCurvePrivateKey") -> Any:
    from cryptography import x509

    today = datetime.now(UTC)
    builder = x509.CertificateBuilder(issuer_name=issuer, subject_name=subject, public_key=key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    return builder.not_valid_before(today - timedelta(days=1)).not_valid_after(today + timedelta(days=DAYS))


def _signed(builder: Any, key: "EllipticCurvePrivateKey") -> "Certificate":
    from cryptography.hazmat.primitives import hashes

    return builder.sign(key, hashes.SHA256())


def _name(text: str) -> "Name":
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(certificate: "Certificate") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)


def _key_pem(key: "EllipticCurvePrivateKey") -> bytes:
    from cryptography.hazmat.primitives import serialization

    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, data: bytes) -> Path:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
    return path
