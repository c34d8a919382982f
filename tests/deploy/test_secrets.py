"""deploy/secrets.sh: what is there stays; a certificate is renewed by the town's own authority, or is told why not."""

import subprocess
from pathlib import Path

from tests.deploy.compose_file import ROOT


def secrets(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(ROOT / "deploy" / "secrets.sh"), str(folder), "mqtt.town.example"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_certificate_is_renewed_only_with_the_authoritys_key(tmp_path: Path) -> None:
    assert secrets(tmp_path).returncode == 0
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    for name in ("broker_cert", "broker_key"):
        (tmp_path / name).unlink()
    away = tmp_path / "broker_ca_key"
    away.rename(tmp_path.with_name("stick"))
    refused = secrets(tmp_path)
    assert refused.returncode == 1
    assert "请把它从 U 盘放回" in refused.stderr
    assert f"put it back into {tmp_path}" in refused.stderr
    tmp_path.with_name("stick").rename(away)
    assert secrets(tmp_path).returncode == 0
    after = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert {name for name in before if before[name] != after[name]} == {"broker_cert", "broker_key"}
    asked = ["openssl", "verify", "-CAfile", str(tmp_path / "broker_ca"), str(tmp_path / "broker_cert")]
    assert subprocess.run(asked, capture_output=True, check=False).returncode == 0
