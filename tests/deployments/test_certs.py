"""Certificates: a Dask cluster that speaks TLS with them, and nobody without."""

import pytest
from distributed import Client, LocalCluster
from distributed.security import Security

from deployments.certs import ROLES, make_certificates
from storage.errors import BadInputError


def test_only_who_has_a_certificate_reaches_the_cluster(tmp_path):
    files = make_certificates(tmp_path / "certs")
    assert {f.stat().st_mode & 0o777 for f in files} == {0o600}
    folder = tmp_path / "certs"
    options = {
        f"tls_{role}_{part}": str(folder / f"{role}.{end}")
        for role in ROLES
        for part, end in (("cert", "pem"), ("key", "key"))
    }
    known = Security(tls_ca_file=str(folder / "ca.pem"), require_encryption=True, **options)
    with LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        processes=False,
        protocol="tls",
        host="127.0.0.1",
        security=known,
        dashboard_address=None,
    ) as cluster:
        assert cluster.scheduler_address.startswith("tls://")
        with Client(cluster.scheduler_address, security=known) as client:
            assert client.submit(sum, [1, 2]).result(timeout=60) == 3
        stranger = make_certificates(tmp_path / "other")[0].parent
        forged = Security(
            tls_ca_file=str(stranger / "ca.pem"),
            tls_client_cert=str(stranger / "client.pem"),
            tls_client_key=str(stranger / "client.key"),
            require_encryption=True,
        )
        with pytest.raises(OSError):
            Client(cluster.scheduler_address, security=forged, timeout=3)


def test_certificates_in_use_are_not_overwritten(tmp_path):
    make_certificates(tmp_path / "certs")
    with pytest.raises(BadInputError, match="delete the folder"):
        make_certificates(tmp_path / "certs")
