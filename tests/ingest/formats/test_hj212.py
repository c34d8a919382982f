from itertools import pairwise
from typing import Any

import pytest

from core.clock import SECOND
from ingest.formats.hj212 import Hj212
from ingest.formats.hj212_frames import crc, framed
from ingest.formats.items import Answer, Item, Measured, Refused, Remember
from ingest.formats.options import OptionsRefused
from ingest.words import Message

_NOW = 1_790_000_000 * SECOND
_TIME = "20260921221320"
_T = 1_790_000_000_000
_VECTOR = b"QN=20160801085857223;ST=32;CN=1062;PW=100000;MN=010000A8900016F000169DC0;Flag=5;CP=&&RtdInterval=30&&"


def _data(cp: str, cn: int = 2011, flag: int = 4, more: str = "") -> bytes:
    return f"QN=20260921221320123;ST=22;CN={cn};PW=123456;MN=DUST1;Flag={flag};{more}CP=&&{cp}&&".encode()


_GOOD = _data(f"DataTime={_TIME};a34004-Rtd=35.2,a34004-Flag=N;a34002-Rtd=80")
_READ = [("DUST1", {"a34004": 35.2, "a34002": 80.0}, _T)]


class _Gateway:
    """A dialect with what it remembers from message to message."""

    def __init__(self, **options: Any) -> None:
        self.dialect, self.memory = Hj212("GW-0001", options), None
        self.now = _NOW

    def send(self, payload: bytes, topic: str = "hj212/GW-0001", replayed_from: int = 0) -> list[Item]:
        items = self.dialect.decode(Message(topic, payload, self.now, replayed_from=replayed_from), self.memory)
        for item in items:
            if isinstance(item, Remember):
                self.memory = self.dialect.unpack(self.dialect.pack(item.memory))
        return items


def _values(items: list[Item]) -> list[tuple[str, dict[str, float | bool], float | None]]:
    return [(item.device, item.values, item.t) for item in items if isinstance(item, Measured)]


def _refusals(items: list[Item]) -> list[tuple[str, str, int]]:
    return [(item.reason, item.detail, item.readings) for item in items if isinstance(item, Refused)]


def test_the_standards_own_vector() -> None:
    assert len(_VECTOR) == 101
    assert crc(_VECTOR) == 0x1C80
    assert framed(_VECTOR) == b"##0101" + _VECTOR + b"1C80\r\n"


def test_a_clean_frame_is_one_reading_and_nothing_is_remembered() -> None:
    items = _Gateway().send(framed(_GOOD))

    assert items == [Measured(*_READ[0])]


_CRC = b"%04X" % crc(_GOOD)
_LENGTH = b"%04d" % len(_GOOD)


@pytest.mark.parametrize(
    "payload",
    [
        framed(_GOOD).rstrip(),
        framed(_GOOD).rstrip() + b"\n",
        b"AT+OK\r\n\x00" + framed(_GOOD),
        b"##" + _LENGTH + _GOOD + _CRC.lower() + b"\r\n",
        b"##" + _LENGTH + _GOOD + b" " + _CRC + b"\r\n",
        b"##0007" + _GOOD + _CRC + b"\r\n",
        b"##9999" + _GOOD + _CRC + b"\r\n",
        b"##" + _GOOD + _CRC + b"\r\n",
        b"  \r\n" + framed(_GOOD) + b"\r\n\r\n",
    ],
    ids=["no end", "LF", "garbage", "lower case", "space", "too short", "too long", "no length", "blanks"],
)
def test_the_dirty_reality_is_read_where_the_check_sum_fits(payload: bytes) -> None:
    assert _values(_Gateway().send(payload)) == _READ


def test_several_frames_in_one_message_are_all_read() -> None:
    later = _data("DataTime=20260921221420;a34004-Rtd=36")

    assert _values(_Gateway().send(framed(_GOOD) + framed(later))) == [*_READ, ("DUST1", {"a34004": 36}, _T + 60_000)]


def test_a_wrong_check_sum_is_refused_with_both_and_the_next_frame_is_read() -> None:
    broken = framed(_GOOD).replace(b"35.2", b"99.9")
    items = _Gateway().send(broken + framed(_GOOD))

    found = crc(_GOOD.replace(b"35.2", b"99.9"))
    assert _refusals(items) == [("bad_crc", f"the check sum is {_CRC.decode()}, that of the data {found:04X}", 2)]
    assert _values(items) == _READ


@pytest.mark.parametrize("sizes", [(1,), (3,), (40,), (90, 100), (len(framed(_GOOD)) - 3,)])
def test_a_frame_in_several_messages_is_read_when_its_rest_comes(sizes: tuple[int, ...]) -> None:
    whole, gateway = framed(_GOOD), _Gateway()
    places = [0, *sizes, len(whole)]
    parts = [whole[begin:end] for begin, end in pairwise(places)]

    got = [item for part in parts for item in gateway.send(part)]

    assert _values(got) == _READ
    assert not _refusals(got)


def test_pieces_of_two_topics_do_not_mix() -> None:
    whole, gateway = framed(_GOOD), _Gateway()

    gateway.send(whole[:50], "hj212/GW-0001/a")
    assert gateway.send(whole[50:], "hj212/GW-0001/b")[0] == Refused(
        "not_decodable", "no frame: ## is missing", 0, whole[50:]
    )
    assert _values(gateway.send(whole[50:], "hj212/GW-0001/a")) == _READ


def test_a_beginning_whose_rest_never_came_is_refused() -> None:
    whole, gateway = framed(_GOOD), _Gateway()

    gateway.send(whole[:80])
    another = gateway.send(whole)
    assert _refusals(another) == [
        ("broken_frame", "the beginning of a frame: another frame began before its rest came", 0)
    ]
    assert _values(another) == _READ

    gateway.send(whole[:120])
    gateway.now += 61 * SECOND
    late = gateway.send(framed(_data("", cn=9015)), "hj212/GW-0001/other")
    assert _refusals(late) == [("broken_frame", "the beginning of a frame: its rest did not come within a minute", 1)]


def test_what_is_remembered_is_bounded() -> None:
    gateway = _Gateway()
    for number in range(100):
        gateway.send(b"##0900QN=1", f"hj212/GW-0001/{number}")
    assert gateway.memory is not None
    assert len(gateway.memory.partial) == 64

    assert [reason for reason, _, _ in _refusals(gateway.send(b"##9999" + b"x" * 20_000, "hj212/GW-0001/x"))] == [
        "broken_frame"
    ]


def test_only_flag_n_is_a_reading_and_a_missing_flag_is_n() -> None:
    cp = f"DataTime={_TIME};a34004-Rtd=35,a34004-Flag=n;a34002-Rtd=990,a34002-Flag=D;LA-Rtd=60"
    cp += ";a34001-Rtd=1,a34001-Flag=x"
    gateway = _Gateway()
    items = gateway.send(framed(_data(cp)))

    assert _values(items) == [("DUST1", {"a34004": 35, "LA": 60}, _T)]
    assert _refusals(items) == [
        ("flagged", "DUST1 a34002 has flag D (fault)", 1),
        ("flagged", "DUST1 a34001 has flag X (unknown)", 1),
    ]
    alone = next(item.payload for item in items if isinstance(item, Refused))
    assert alone is not None
    assert _refusals(gateway.send(alone)) == [("flagged", "DUST1 a34002 has flag D (fault)", 1)]


def test_averages_are_read_under_names_of_their_own_when_the_options_ask() -> None:
    hour = framed(_data(f"DataTime={_TIME};a34004-Min=1,a34004-Avg=35,a34004-Max=90,a34004-Flag=N", cn=2061))

    assert _Gateway().send(hour) == []
    mapped = _Gateway(fields={"a34004.avg_hour": "pm25_hour", "a34004.zsrtd": "pm25_standard"})
    assert _values(mapped.send(hour)) == [("DUST1", {"pm25_hour": 35}, _T)]
    real_time = framed(_data(f"DataTime={_TIME};a34004-Rtd=35,a34004-ZsRtd=36"))
    assert _values(mapped.send(real_time)) == [("DUST1", {"pm25_standard": 36}, _T)], "never two of one metric"
    both = _Gateway(fields={"a34004": "pm25", "a34004.zsrtd": "pm25_standard"})
    assert _values(both.send(real_time)) == [("DUST1", {"pm25": 35, "pm25_standard": 36}, _T)]
    raw_only = framed(_data(f"DataTime={_TIME};a34004-Rtd=35,a34002-Rtd=80"))
    assert _values(mapped.send(raw_only)) == [("DUST1", {"a34002": 80}, _T)]


def test_a_factors_own_sample_time_stands_before_the_reports() -> None:
    cp = f"DataTime={_TIME};a34004-SampleTime=20260921221000,a34004-Rtd=35;a34002-Rtd=80"

    assert _values(_Gateway().send(framed(_data(cp)))) == [
        ("DUST1", {"a34004": 35}, _T - 200_000),
        ("DUST1", {"a34002": 80}, _T),
    ]


def test_each_of_several_times_in_a_frame_has_its_own_values() -> None:
    first = f"DataTime={_TIME};a34004-Rtd=35;a34004-Flag=N"
    cp = f"{first};DataTime=20260921221420;a34004-Rtd=36,a34004-Flag=D;a34002-Rtd=80"
    items = _Gateway().send(framed(_data(cp)))
    assert _values(items) == [("DUST1", {"a34004": 35}, _T), ("DUST1", {"a34002": 80}, _T + 60_000)]
    ((reason, _, readings),) = _refusals(items)
    assert (reason, readings) == ("flagged", 1)


def test_a_time_that_is_none_is_told_and_the_values_are_kept() -> None:
    items = _Gateway().send(framed(_data("DataTime=2026-09-21;a34004-Rtd=35")))

    assert _values(items) == [("DUST1", {"a34004": 35}, None)]
    assert _refusals(items) == [("bad_time", "DUST1: 2026-09-21 is no YYYYMMDDhhmmss; stored at receipt", 0)]


def test_the_packets_of_one_report_share_the_first_ones_time() -> None:
    gateway = _Gateway()
    gateway.send(framed(_data(f"DataTime={_TIME};a34004-Rtd=35", flag=6, more="PNUM=3;PNO=1;")))
    second = gateway.send(framed(_data("a34002-Rtd=80", flag=6, more="PNUM=3;PNO=2;")))
    third = gateway.send(framed(_data("LA-Rtd=60", flag=6, more="PNUM=3;PNO=3;")))

    assert _values(second) == [("DUST1", {"a34002": 80}, _T)]
    assert _values(third) == [("DUST1", {"LA": 60}, _T)]
    assert gateway.memory is not None
    assert gateway.memory.times == {}


def test_texts_where_a_number_should_be_are_refused_one_by_one() -> None:
    data = _data(f"DataTime={_TIME};a34004-Rtd=,a34004-Flag=N;a34002-Rtd=80;LA-Rtd=XX").replace(
        b"XX", "故障".encode("gbk")
    )
    items = _Gateway().send(framed(data))

    assert _values(items) == [("DUST1", {"a34002": 80}, _T)]
    assert _refusals(items) == [
        ("wrong_type", "DUST1 a34004 must be a number, not text", 1),
        ("wrong_type", "DUST1 LA must be a number, not text", 1),
    ]


def test_heartbeats_and_commands_are_no_readings() -> None:
    assert _Gateway().send(framed(_data("", cn=9015))) == []
    assert _Gateway().send(framed(_VECTOR)) == []
    assert _Gateway().send(b"\r\n") == []


def test_who_asks_for_an_answer_gets_one_where_the_options_say() -> None:
    asking = framed(_data(f"DataTime={_TIME};a34004-Rtd=35", flag=5))

    assert not [item for item in _Gateway().send(asking) if isinstance(item, Answer)]
    gateway = _Gateway(reply_topic="hj212-down/{gateway}/{device}")
    answers = [item for item in gateway.send(asking) if isinstance(item, Answer)]
    expected = b"QN=20260921221320123;ST=91;CN=9014;PW=123456;MN=DUST1;Flag=4;CP=&&&&"
    assert answers == [Answer("hj212-down/GW-0001/DUST1", framed(expected))]
    assert not [item for item in gateway.send(framed(_GOOD)) if isinstance(item, Answer)]
    assert not [item for item in gateway.send(asking, replayed_from=1) if isinstance(item, Answer)]


def test_a_dead_letter_that_comes_again_leaves_alone_what_waits() -> None:
    whole, gateway = framed(_GOOD), _Gateway()
    gateway.send(whole[:80])

    again = gateway.send(whole[:120], replayed_from=1)
    assert _refusals(again) == [("broken_frame", "the beginning of a frame: its rest never came", 1)]
    assert _values(gateway.send(whole, replayed_from=1)) == _READ
    assert _values(gateway.send(whole[80:])) == _READ


def test_bytes_made_to_be_slow_are_not() -> None:
    for payload in (b"##9999" * 40_000, b"##" + b" " * 250_000, b"##" + b"&& " * 80_000, b"##0001&&" * 30_000):
        _Gateway().send(payload)


def test_bad_options_are_named() -> None:
    with pytest.raises(OptionsRefused) as refused:
        Hj212("GW-0001", {"reply_topic": "down/#", "reply_topik": "x"})

    assert refused.value.problems == (
        "reply_topic: 'down/#' must hold no + or #",
        "reply_topik: is no option; reply_topic?",
    )
