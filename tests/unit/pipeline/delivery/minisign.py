"""A verifier of minisign's signatures, written after its description, and the program itself."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def verifies(content: bytes, signature: str, key: str) -> bool:
    """Say whether a signature's file is a whole one of these bytes, by this public key's file."""
    try:
        public = base64.b64decode(key.split("\n")[1], validate=True)
        untrusted, its, trusted, whole, rest = signature.split("\n")
        told, of_all = base64.b64decode(its, validate=True), base64.b64decode(whole, validate=True)
        assert untrusted.startswith("untrusted comment: ")
        assert (rest, public[:2], told[:2], told[2:10]) == ("", b"Ed", b"ED", public[2:10])
        comment = trusted.removeprefix("trusted comment: ")
        assert comment != trusted
        verifier = Ed25519PublicKey.from_public_bytes(public[10:])
        verifier.verify(told[10:], hashlib.blake2b(content).digest())
        verifier.verify(of_all, told[10:] + comment.encode())
    except (InvalidSignature, ValueError, AssertionError, IndexError):
        return False
    return True


def program_verifies(folder: Path, name: str, key: str) -> bool:
    """Ask minisign whether a file has a good signature beside it."""
    program = shutil.which("minisign")
    if program is None:
        pytest.skip("minisign is not installed (Debian: minisign)")
    (folder / "the.pub").write_text(key)
    done = subprocess.run(
        [program, "-V", "-p", "the.pub", "-m", name], cwd=folder, capture_output=True, check=False, timeout=60
    )
    return done.returncode == 0
