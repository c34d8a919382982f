"""Rejects are counted exactly, kept up to a limit, listed and replayed, on both databases."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine

from core.clock import HOUR, SECOND, ManualClock
from core.database import writing
from core.journal import START, Offset
from ingest.applied import read_applied, write_applied
from ingest.dead_letters import (
    CONSUMER,
    EXCERPT,
    KEPT_AN_HOUR,
    Kept,
    RejectTotal,
    ask_for_all,
    keep,
    list_dead_letters,
    mark_replayed,
    refused_again,
    replayable,
    show,
    totals,
)
from ingest.words import Message, Reject

NOW = ManualClock().now() // HOUR * HOUR


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    with writing(engine) as connection:
        yield connection


def reject(
    gateway: str = "GW-0001",
    reason: str = "unknown_device",
    at: int = NOW,
    payload: bytes = b"{}",
    readings: int = 1,
    retained: bool = False,
) -> Reject:
    return Reject(f"sw/v1/{gateway}/telemetry", payload, at, gateway, reason, "GAS-9999", readings, retained)


def numbered(rejects: list[Reject], first: int = 1) -> list[tuple[Offset, Reject]]:
    return [(Offset(0, n), each) for n, each in enumerate(rejects, first)]


def test_counts_by_gateway_and_reason(connection: Connection) -> None:
    rejects = [reject(readings=4), reject(), reject("GW-0002"), reject(reason="retained", readings=0)]
    assert keep(connection, numbered(rejects), Offset(0, 9)) == Kept(4, 0, 0)
    assert totals(connection, NOW) == [
        RejectTotal("GW-0001", "unknown_device", 2, 5),
        RejectTotal("GW-0001", "retained", 1, 0),
        RejectTotal("GW-0002", "unknown_device", 1, 1),
    ]
    assert read_applied(connection, CONSUMER) == Offset(0, 9)


def test_a_replay_counts_nothing_again(connection: Connection) -> None:
    first = numbered([reject(), reject()])
    keep(connection, first, Offset(0, 2))
    assert keep(connection, first, Offset(0, 2)) == Kept(0, 0, 2)
    assert keep(connection, [*first[1:], *numbered([reject()], 3)], Offset(0, 3)) == Kept(1, 0, 1)
    assert totals(connection, NOW) == [RejectTotal("GW-0001", "unknown_device", 3, 3)]
    assert len(list_dead_letters(connection)) == 3


def test_a_rolled_back_batch_leaves_no_trace(engine: Engine) -> None:
    def fail() -> None:
        with writing(engine) as connection:
            keep(connection, numbered([reject()]), Offset(0, 1))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with writing(engine) as connection:
        assert read_applied(connection, CONSUMER) == START
        assert totals(connection, 0) == []
        assert keep(connection, numbered([reject()]), Offset(0, 1)) == Kept(1, 0, 0)


def test_records_without_a_reject_move_the_offset(connection: Connection) -> None:
    assert keep(connection, [], Offset(0, 50)) == Kept(0, 0, 0)
    assert read_applied(connection, CONSUMER) == Offset(0, 50)


def test_beyond_the_limit_of_an_hour_only_the_count_grows(connection: Connection) -> None:
    flood = [reject() for _ in range(KEPT_AN_HOUR - 1)]
    keep(connection, numbered(flood), Offset(0, KEPT_AN_HOUR - 1))
    more = [reject(), reject(), reject(reason="nan"), reject("GW-0002"), reject(at=NOW + HOUR), reject()]
    assert keep(connection, numbered(more, KEPT_AN_HOUR), Offset(0, 2000)) == Kept(4, 2, 0)
    assert len(list_dead_letters(connection, limit=5000)) == KEPT_AN_HOUR + 3
    assert totals(connection, NOW)[0] == RejectTotal("GW-0001", "unknown_device", KEPT_AN_HOUR + 3, KEPT_AN_HOUR + 3)
    assert totals(connection, NOW + HOUR + 5) == [RejectTotal("GW-0001", "unknown_device", 1, 1)]


def test_lists_the_newest_first_and_filters(connection: Connection) -> None:
    rejects = [reject(at=NOW), reject("GW-0002", at=NOW + 1), reject(reason="nan", at=NOW + 2)]
    keep(connection, numbered(rejects), Offset(0, 3))
    assert [letter.received_at - NOW for letter in list_dead_letters(connection)] == [2, 1, 0]
    assert [letter.gateway for letter in list_dead_letters(connection, gateway="GW-0002")] == ["GW-0002"]
    assert [letter.reason for letter in list_dead_letters(connection, reason="nan")] == ["nan"]
    assert len(list_dead_letters(connection, since=NOW + 1)) == 2
    assert len(list_dead_letters(connection, limit=1)) == 1


def test_an_empty_message_is_a_letter_as_any_other(connection: Connection) -> None:
    keep(connection, [(Offset(0, 1), reject(payload=b""))], Offset(0, 1))
    (letter,) = list_dead_letters(connection)
    assert (letter.payload, letter.size) == (b"", 0)


def test_a_list_has_excerpts_and_show_the_whole(connection: Connection) -> None:
    payload = bytes(range(256)) * 40
    keep(connection, numbered([reject(payload=payload)]), Offset(0, 1))
    (listed,) = list_dead_letters(connection)
    assert (listed.payload, listed.size) == (payload[:EXCERPT], len(payload))
    shown = show(connection, listed.id)
    assert shown is not None
    assert shown.payload == payload
    assert (shown.topic, shown.detail) == ("sw/v1/GW-0001/telemetry", "GAS-9999")
    assert show(connection, listed.id + 1) is None


def test_any_text_a_topic_may_hold_is_kept(connection: Connection) -> None:
    odd = Reject("sw/\0v1", b"\0\xff", NOW, "网" * 100, "unknown_gateway", "what\0is '\"\u2028this; --", 0)
    assert keep(connection, numbered([odd, odd]), Offset(0, 2)) == Kept(2, 0, 0)
    assert keep(connection, numbered([odd], 3), Offset(0, 3)) == Kept(1, 0, 0)
    assert totals(connection, NOW) == [RejectTotal("网" * 64, "unknown_gateway", 3, 0)]
    assert list_dead_letters(connection)[0].payload == b"\0\xff"


def test_replays_in_order_of_arrival_and_once(connection: Connection) -> None:
    rejects = [reject(at=NOW + n, payload=b"%d" % n, retained=n == 3) for n in range(450)]
    rejects[7] = reject("GW-0002")
    rejects[8], rejects[9], rejects[10] = (reject(reason=why) for why in ("oversize", "flood", "disabled_gateway"))
    keep(connection, numbered(rejects), Offset(0, 450))
    found = list(replayable(connection, gateway="GW-0001"))
    expected = [n for n in range(450) if n not in {7, 8, 9, 10}]
    assert [message for _, message in found] == [
        Message("sw/v1/GW-0001/telemetry", b"%d" % n, NOW + n, n == 3) for n in expected
    ]
    mark_replayed(connection, [letter for letter, _ in found], NOW + SECOND)
    assert [message.topic for _, message in replayable(connection)] == ["sw/v1/GW-0002/telemetry"]
    assert {letter.replayed_at for letter in list_dead_letters(connection, "GW-0001", "unknown_device")} == {
        NOW + SECOND
    }


def test_letters_may_be_marked_while_they_are_read(connection: Connection) -> None:
    keep(connection, numbered([reject(payload=b"%d" % n) for n in range(401)]), Offset(0, 401))
    seen = []
    for letter, message in replayable(connection, reason="unknown_device", since=NOW):
        seen.append(int(message.payload))
        mark_replayed(connection, [letter], NOW)
    assert seen == list(range(401))
    assert list(replayable(connection)) == []


def test_consumers_have_offsets_of_their_own(connection: Connection) -> None:
    write_applied(connection, "safety", Offset(2, 7))
    write_applied(connection, "anomaly", Offset(0, 1))
    write_applied(connection, "safety", Offset(2, 2**40))
    assert read_applied(connection, "safety") == Offset(2, 2**40)
    assert read_applied(connection, "anomaly") == Offset(0, 1)
    assert read_applied(connection, CONSUMER) == START


@pytest.mark.parametrize(
    ("text", "found"), [("MTR_7", [2]), ("%", [3]), ("sw/v1/GW-0002", [1]), ("GAS-9999", [3, 2, 1]), ("nowhere", [])]
)
def test_letters_are_found_by_a_text_in_detail_topic_or_payload(
    connection: Connection, text: str, found: list[int]
) -> None:
    payloads = [b"{}", b'{"device":"MTR_7"}', b"100 %\0\xff"]
    rejects = [reject("GW-0002" if n == 0 else "GW-0001", payload=payload) for n, payload in enumerate(payloads)]
    keep(connection, numbered(rejects), Offset(0, 3))
    assert [letter.id for letter in list_dead_letters(connection, contains=text)] == found
    assert sorted(number for number, _ in replayable(connection, contains=text)) == sorted(found)


def test_pages_go_on_behind_the_last_one_known(connection: Connection) -> None:
    keep(connection, numbered([reject() for _ in range(5)]), Offset(0, 5))
    first = list_dead_letters(connection, limit=3)
    second = list_dead_letters(connection, limit=3, before=first[-1].id)
    assert [letter.id for letter in (*first, *second)] == [5, 4, 3, 2, 1]


def test_totals_are_filtered_too(connection: Connection) -> None:
    keep(connection, numbered([reject(), reject("GW-0002"), reject(reason="nan")]), Offset(0, 3))
    assert totals(connection, NOW, gateway="GW-0002") == [RejectTotal("GW-0002", "unknown_device", 1, 1)]
    assert totals(connection, NOW, reason="nan") == [RejectTotal("GW-0001", "nan", 1, 1)]


def test_what_was_replayed_and_refused_once_more_names_the_new_letter(connection: Connection) -> None:
    keep(connection, numbered([reject(at=NOW), reject(at=NOW + 1), reject(at=NOW + 2)]), Offset(0, 3))
    mark_replayed(connection, [1, 2], NOW + SECOND)
    keep(connection, [(Offset(0, 4), reject(at=NOW + 1, reason="unknown_metric"))], Offset(0, 4))
    assert refused_again(connection, list_dead_letters(connection)) == {2: 4}
    assert refused_again(connection, []) == {}


def test_all_that_can_be_replayed_is_asked_for_at_once(connection: Connection) -> None:
    rejects = [reject(), reject("GW-0002"), reject(reason="oversize"), reject(at=NOW - HOUR)]
    keep(connection, numbered(rejects), Offset(0, 4))
    mark_replayed(connection, [2], NOW)
    assert ask_for_all(connection, None, None, None, "GAS-9999", NOW + SECOND) == 2
    asked = {letter.id: letter.replay_asked_at for letter in list_dead_letters(connection)}
    assert asked == {1: NOW + SECOND, 2: None, 3: None, 4: NOW + SECOND}
    assert ask_for_all(connection, "GW-0001", "unknown_device", NOW, None, NOW + 2 * SECOND) == 1
