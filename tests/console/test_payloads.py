"""Any payload has a form in which it can be read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.payloads import excerpt, shown


@pytest.mark.parametrize(
    ("payload", "form"),
    [
        (b'{"t":1790000000000,"v":12345678901234567890.5}', "json"),
        ("消息".encode(), "text"),
        (b"##0101QN=1;CP=&&DataTime=1&&1C80\r\n", "text"),
        (b"\x08\x96\x01", "bytes"),
        (b"null\0", "bytes"),
        (b"", "empty"),
        (b"[" * 100_000, "text"),
    ],
)
def test_each_in_its_own_form(payload: bytes, form: str) -> None:
    assert shown(payload).form == form


def test_numbers_stay_as_they_were_sent() -> None:
    assert shown(b'{"v":1.10,"n":12345678901234567890123}').text == '{\n  "v": 1.10,\n  "n": 12345678901234567890123\n}'


@given(st.binary(max_size=200))
def test_nothing_fails(payload: bytes) -> None:
    assert isinstance(excerpt(payload), str)
    form, text = shown(payload)
    assert text or form in ("empty", "text", "json")
