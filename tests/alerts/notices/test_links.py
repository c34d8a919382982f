from math import log2

from sqlalchemy import Engine, select, update

from alerts.links import _ALPHABET, LIFETIME, link_code, resolve
from alerts.tables import link, person
from core.clock import HOUR
from core.database import reading, writing
from tests.alerts.notices.notice_rows import NOW, make_link, put_ticket, put_town


def _linked(engine: Engine) -> tuple[str, int]:
    with writing(engine) as connection:
        put_town(connection)
        ticket: int = put_ticket(connection)["id"]
        return make_link(connection, "P-01", ticket, NOW), ticket


def test_a_link_is_for_one_person_and_one_ticket_for_a_day(engine: Engine) -> None:
    code, ticket = _linked(engine)
    with reading(engine) as connection:
        assert resolve(connection, code, NOW) == ("P-01", ticket)
        assert resolve(connection, code, NOW + LIFETIME - 1) == ("P-01", ticket)
        assert resolve(connection, code, NOW + LIFETIME) is None
        assert resolve(connection, code + "a", NOW) is None
    assert LIFETIME == 24 * HOUR


def test_a_link_ends_with_its_persons_retirement(engine: Engine) -> None:
    code, _ = _linked(engine)
    with writing(engine) as connection:
        connection.execute(update(person).where(person.c.code == "P-01").values(retired=1))
        assert resolve(connection, code, NOW) is None


def test_a_code_has_60_bits_and_is_not_at_rest(engine: Engine) -> None:
    code, _ = _linked(engine)
    assert len(link_code(b"key", 1, NOW)) * log2(len(set(_ALPHABET))) >= 64
    with reading(engine) as connection:
        (row,) = connection.execute(select(link))
    assert code not in "".join(str(value) for value in row)


def test_links_that_ran_out_go_with_the_next_one(engine: Engine) -> None:
    old, ticket = _linked(engine)
    with writing(engine) as connection:
        new = make_link(connection, "P-01", ticket, NOW + LIFETIME)
        assert new != old
        assert len(connection.execute(select(link)).all()) == 1


def test_a_code_is_one_notices_alone_and_nobodys_without_the_key() -> None:
    given = [(b"key", 1, NOW), (b"key", 2, NOW), (b"key", 1, NOW + 1), (b"another", 1, NOW)]
    assert len({link_code(*each) for each in given}) == 4
    assert len({link_code(b"key", 1, NOW) for _ in range(3)}) == 1


def test_hostile_codes_resolve_to_nothing(engine: Engine) -> None:
    with reading(engine) as connection:
        assert [resolve(connection, code, NOW) for code in ("", "\ud800", "'; --", "x" * 10_000)] == [None] * 4
