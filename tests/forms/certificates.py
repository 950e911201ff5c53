"""Certificates for tests, made by openssl."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Pair:
    certificate: Path
    key: Path


class Authority:
    """Signs certificates; `root` is what those who trust it are given."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self._pair = self_signed(folder, name, subject="/CN=the tests' authority")
        self.root = self._pair.certificate

    def pair(self, name: str, alternative: str = "IP:127.0.0.1,DNS:localhost", days: int = 2) -> Pair:
        """Args:
        alternative: subjectAltName.
        days: how long it is valid; a negative number for one that expired so long ago.
        """
        key, request, certificate = (self._folder / f"{name}.{end}" for end in ("key", "csr", "crt"))
        _openssl("req", "-newkey", *_KEY, "-nodes", "-keyout", key, "-out", request, "-subj", f"/CN={name}")
        extensions = self._folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={alternative}\n")
        _openssl(
            "x509", "-req", "-in", request, "-CA", self.root, "-CAkey", self._pair.key, "-CAcreateserial",
            "-days", days, "-extfile", extensions, "-out", certificate,
        )  # fmt: skip
        return Pair(certificate, key)


def self_signed(folder: Path, name: str, subject: str = "/CN=127.0.0.1") -> Pair:
    key, certificate = folder / f"{name}.key", folder / f"{name}.crt"
    _openssl(
        "req", "-x509", "-newkey", *_KEY, "-nodes", "-keyout", key, "-out", certificate, "-days", 2, "-subj", subject,
        "-addext", "subjectAltName=IP:127.0.0.1",
    )  # fmt: skip
    return Pair(certificate, key)


_KEY = ("ec", "-pkeyopt", "ec_paramgen_curve:P-256")


def _openssl(*words: object) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, stdin=subprocess.DEVNULL)
