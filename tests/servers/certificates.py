"""A certificate for 127.0.0.1 and localhost that its own issuer signed."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certificate:
    chain: Path
    """Also the file of the authority to trust."""
    key: Path

    @classmethod
    def made(cls, folder: Path, *names: str) -> Certificate:
        """Readable by everybody: servers give up their rights before they read it."""
        found = cls(folder / "test.crt", folder / "test.key")
        alternative = ",".join(["DNS:localhost", "IP:127.0.0.1", *(f"DNS:{one}" for one in names)])
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
                *("-subj", "/CN=localhost", "-addext", f"subjectAltName={alternative}"),
                *("-addext", "basicConstraints=critical,CA:TRUE"),
                *("-keyout", str(found.key), "-out", str(found.chain)),
            ],
            check=True,
            capture_output=True,
        )
        found.chain.chmod(0o644)
        found.key.chmod(0o644)
        return found
