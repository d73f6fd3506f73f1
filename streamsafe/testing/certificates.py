"""A TLS certificate for localhost and 127.0.0.1, FOR TESTS ONLY.

Here live the certificate, its private key, and how to put them into files. The key is
public, so nothing that matters may ever trust it: give the certificate to ``verify=`` of one
client, never to a system's store. Made once with openssl, valid from 2020 to 2100.
"""

from __future__ import annotations

import os
import ssl
import tempfile

#: The private key that all the world can read.
TEST_ONLY_KEY = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg1lkymd57+kAoX3EY
bTvxJgOD9n56wMVCpI1gS4GMTGqhRANCAAQ6WpwHIIDajCC+GptJREDMx/442kQn
fjCoI9aPbgfNkhXcIqFbptKdHgH3Lm4/thAgfWHzi8Y5Czq1ynr5LC1p
-----END PRIVATE KEY-----
"""

#: Self-signed, so it is its own authority; for localhost, 127.0.0.1 and ::1.
TEST_ONLY_CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIB3zCCAYagAwIBAgIBATAKBggqhkjOPQQDAjA0MR4wHAYDVQQKDBVzdHJlYW1z
YWZlIHRlc3RzIG9ubHkxEjAQBgNVBAMMCWxvY2FsaG9zdDAgFw0yMDAxMDEwMDAw
MDBaGA8yMTAwMDEwMTAwMDAwMFowNDEeMBwGA1UECgwVc3RyZWFtc2FmZSB0ZXN0
cyBvbmx5MRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjOPQMB
BwNCAAQ6WpwHIIDajCC+GptJREDMx/442kQnfjCoI9aPbgfNkhXcIqFbptKdHgH3
Lm4/thAgfWHzi8Y5Czq1ynr5LC1po4GGMIGDMB0GA1UdDgQWBBRWvBAto+/LQnhb
Kae/dTRuyuQJ8zAsBgNVHREEJTAjgglsb2NhbGhvc3SHBH8AAAGHEAAAAAAAAAAA
AAAAAAAAAAEwDwYDVR0TAQH/BAUwAwEB/zAOBgNVHQ8BAf8EBAMCAoQwEwYDVR0l
BAwwCgYIKwYBBQUHAwEwCgYIKoZIzj0EAwIDRwAwRAIge7RoKDa09GiMGYJP9TgX
yH3EY65qMX7Rb1jWGvQJAcYCIC6/bIR0USIBGBIHaG4hf16xLsU2kYSbbiT7ovQM
IG4R
-----END CERTIFICATE-----
"""


def write_ca_file() -> str:
    """Write the certificate to a new temporary file and return its path; the caller removes it.

    The file is what a client wants as ``verify=``, ``REQUESTS_CA_BUNDLE`` or ``--cacert``.
    """
    return _write(TEST_ONLY_CERTIFICATE)


def server_context() -> ssl.SSLContext:
    """A context with which a test server speaks TLS under this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    path = _write(TEST_ONLY_KEY + TEST_ONLY_CERTIFICATE)
    try:
        context.load_cert_chain(path)  # it takes nothing but a file
    finally:
        os.unlink(path)
    return context


def _write(text: str) -> str:
    handle, path = tempfile.mkstemp(prefix="streamsafe-test-only-", suffix=".pem")
    with os.fdopen(handle, "w") as file:
        file.write(text)
    return path
