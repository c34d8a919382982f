"""Passwords: hashed, verified, never guessable; a gateway's as Mosquitto itself would have hashed it."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from devices.credentials import Pbkdf2Hash, hash_generated, hash_password, new_password, verify
from tests.servers import program

DEAR = "$argon2id$v=19$m=65536,t=3,p=4$"


@pytest.mark.usefixtures("dear_passwords")
@pytest.mark.parametrize(("hashed", "form"), [(hash_password, DEAR), (hash_generated, "$7$101$")])
def test_only_the_right_password_fits(hashed: Callable[[str], str], form: str) -> None:
    kept = hashed("右边的门 7")
    assert kept.startswith(form)
    assert "门" not in kept
    assert verify(kept, "右边的门 7")
    assert not verify(kept, "右边的门 8")
    assert hashed("右边的门 7") != kept, "salted"


@pytest.mark.parametrize(
    "damaged",
    [
        "",
        "plain",
        "$argon2id$v=19$",
        pytest.param(hash_password("x")[:-9] + "!!!!", id="argon2 cut"),
        pytest.param(hash_generated("x")[:-9], id="cut"),
        pytest.param(hash_generated("x").replace("$7$101$", "$7$0$"), id="no rounds"),
        pytest.param(hash_generated("x").replace("$7$101$", "$7$9999999999$"), id="rounds without end"),
        pytest.param(hash_generated("x").replace("$7$101$", "$6$101$"), id="another kind"),
        pytest.param(hash_generated("x")[:-4] + "门门==", id="no base64"),
        "$7$101$$",
    ],
)
def test_an_empty_or_damaged_hash_fits_nothing(damaged: str) -> None:
    assert not verify(damaged, "")
    assert not verify(damaged, "x")


def test_new_passwords_are_long_and_differ() -> None:
    made = {new_password() for _ in range(100)}
    assert len(made) == 100
    assert {len(password) for password in made} == {24}


def test_a_gateways_hash_is_mosquittos_own(tmp_path: Path) -> None:
    """The same salt and password give the very line that `mosquitto_passwd` writes."""
    file, plain = tmp_path / "passwords", new_password()
    maker = program(["mosquitto_passwd"], "mosquitto")
    subprocess.run([maker, "-c", "-b", file, "GW-1", plain], check=True, capture_output=True)
    code, _, written = file.read_text(encoding="utf-8").strip().partition(":")
    theirs = Pbkdf2Hash.parse(written)
    assert theirs is not None
    assert (code, len(theirs.salt)) == ("GW-1", 12)
    assert str(Pbkdf2Hash.of(plain, theirs.salt)) == written
    assert verify(written, plain)
