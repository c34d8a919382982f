"""Passwords: hashed, verified, never guessable."""

from collections.abc import Callable

import pytest

from devices.credentials import hash_generated, hash_password, new_password, verify


@pytest.mark.parametrize("hashed", [hash_password, hash_generated])
def test_only_the_right_password_fits(hashed: Callable[[str], str]) -> None:
    kept = hashed("右边的门 7")
    assert kept.startswith("$argon2id$")
    assert "门" not in kept
    assert verify(kept, "右边的门 7")
    assert not verify(kept, "右边的门 8")
    assert hashed("右边的门 7") != kept, "salted"


@pytest.mark.parametrize(
    "damaged", ["", "plain", "$argon2id$v=19$", pytest.param(hash_generated("x")[:-9] + "!!!!", id="cut")]
)
def test_an_empty_or_damaged_hash_fits_nothing(damaged: str) -> None:
    assert not verify(damaged, "")
    assert not verify(damaged, "x")


def test_new_passwords_are_long_and_differ() -> None:
    made = {new_password() for _ in range(100)}
    assert len(made) == 100
    assert {len(password) for password in made} == {24}
