"""Every convention with options and messages that it can read; what the generic checks, and people, try it with."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ingest.formats.hj212_frames import framed
from ingest.formats.sparkplug_payload import Tag, birth, data, device_death, node_death

GATEWAY = "GW-0001"
T = 1_790_000_000_000


class Example(NamedTuple):
    """Options that suit the messages (topic, payload), and options of which each has a fault."""

    options: Mapping[str, Any]
    messages: Sequence[tuple[str, bytes]]
    faulty: Sequence[Mapping[str, Any]] = ()


_FAULTY_FIELDS = ({"fields": 7}, {"fields": {"t": {"scale": 2}}}, {"feilds": {}})
_FAULTY_TOPICS = ({"topic": "#"}, {"topic": "sw/v1/x"}, {"topic": 7}, {"topic": ["a/b", "a/#/b"]})
_FIELDS = {"t": {"metric": "cable_temp", "scale": 0.1}, "mode": {"metric": "mode", "values": {"auto": 1, "true": 2}}}
_HJ212 = b"QN=20260921221320123;ST=22;CN=%s;PW=123456;MN=DUST1;Flag=5;%sCP=&&%s&&"

EXAMPLES = {
    "v1": Example(
        {},
        [
            ("sw/v1/GW-0001/telemetry", b'{"readings":[{"device":"A","t":1790000000000,"values":{"gas_lel":3.2}}]}'),
            ("sw/v1/GW-0001/A/telemetry", b'{"values":{"gas_lel":3.2,"on":true,"bad":"text"}}'),
            ("sw/v1/GW-0001/A/event", b'{"type":"smoke_alarm","attributes":{"active":true}}'),
            ("sw/v1/GW-0001/status", b"online"),
        ],
    ),
    "senml": Example(
        {"fields": _FIELDS},
        [
            ("senml/GW-0001/up", b'[{"bn":"A/","bt":1790000000,"n":"t","v":215},{"n":"on","vb":true},{"n":"x"}]'),
            ("senml/GW-0001/up", b'[{"n":"urn:dev:mac:0024befffe804ff1:t","v":1,"t":-3.5},{"n":"A/mode","vs":"auto"}]'),
        ],
        (*_FAULTY_TOPICS, *_FAULTY_FIELDS, {"device": ["A"]}),
    ),
    "hj212": Example(
        {"fields": {"a34004.avg_hour": "pm25_hour"}, "reply_topic": "hj212-down/{device}"},
        [
            ("hj212/GW-0001", framed(_HJ212 % (b"2011", b"", b"DataTime=20260921221320;a34004-Rtd=35,a34004-Flag=N"))),
            ("hj212/GW-0001", framed(_HJ212 % (b"2061", b"", b"DataTime=20260921220000;a34004-Avg=35,a34004-Flag=D"))),
            ("hj212/GW-0001", framed(_HJ212 % (b"2011", b"PNUM=2;PNO=1;", b"DataTime=20260921221320;LA-Rtd=51"))),
            ("hj212/GW-0001", framed(_HJ212 % (b"2011", b"PNUM=2;PNO=2;", b"LA-Rtd=51"))[:60]),
        ],
        (*_FAULTY_TOPICS, *_FAULTY_FIELDS, {"reply_topic": "down/#"}),
    ),
    "json": Example(
        {
            "topic": "tele/{device}/SENSOR", "time": "Time", "time_format": "local",
            "fields": {**_FIELDS, "ENERGY.Power": "power"},
            "events": {"smoke": {"type": "smoke_alarm", "active": [True, "ON"]}},
            "online": {"topic": "tele/{device}/LWT", "online": "Online", "offline": "Offline"},
        },
        [
            ("tele/A/SENSOR", b'{"Time":"2026-09-21T22:13:20","ENERGY":{"Power":12},"t":215,"mode":"auto"}'),
            ("tele/A/SENSOR", b'{"Time":"2026-09-21T22:13:20","smoke":"ON","mode":true,"t":null}'),
            ("tele/A/LWT", b"Offline"),
        ],
        ({}, *({"topic": "a/{device}", "fields": {"a": "b"}} | fault for fault in (
            *_FAULTY_TOPICS, *_FAULTY_FIELDS, {"topic": "a/b"}, {"time_format": "unix"}, {"events": []},
            {"events": {"smoke": {"type": "x"}}}, {"online": {"topic": "a/b"}}, {"online": "yes"}, {"device_field": 1},
        ))),
    ),
    "thingsboard": Example(
        {"prefix": "GW-0001", "fields": _FIELDS},
        [
            ("GW-0001/v1/gateway/telemetry", b'{"A":[{"ts":1790000000000,"values":{"t":215,"mode":"auto","x":"y"}}]}'),
            ("GW-0001/v1/gateway/telemetry", b'{"A":[{"laeq":51}],"B":[{"on":true}]}'),
            ("GW-0001/v1/gateway/connect", b'{"device":"A"}'),
            ("GW-0001/v1/gateway/disconnect", b'{"device":"A"}'),
        ],
        (*_FAULTY_FIELDS, {"prefix": "a/+"}),
    ),
    "chirpstack": Example(
        {"application": "1", "fields": _FIELDS},
        [
            (
                "application/1/device/0101010101010101/event/up",
                b'{"time":"2026-09-21T22:13:20.123456789+08:00","deviceInfo":{"devEui":"0101010101010101"},'
                b'"object":{"t":215,"probe":{"temp":21.5},"text":"y"}}',
            ),
            (
                "application/1/device/0101010101010101/event/status",
                b'{"time":"2026-09-21T22:13:20+08:00","deviceInfo":{"devEui":"0101010101010101"},"batteryLevel":75.5}',
            ),
            (
                "application/1/device/0101010101010101/event/join",
                b'{"time":"2026-09-21T22:13:20+08:00","deviceInfo":{"devEui":"0101010101010101"}}',
            ),
        ],
        (*_FAULTY_FIELDS, {"application": "a/b"}, {"prefix": "#"}),
    ),
    "sparkplug_b": Example(
        {"fields": _FIELDS},
        [
            ("spBv1.0/shouwang/NBIRTH/GW-0001", birth([Tag("t", 21.5)], seq=0, t=T, bd_seq=4)),
            ("spBv1.0/shouwang/DBIRTH/GW-0001/A", birth([Tag("gas_lel", 3.25, alias=1)], seq=1, t=T)),
            ("spBv1.0/shouwang/DDATA/GW-0001/A", data([Tag("gas_lel", 61.5, alias=1)], seq=2, t=T + 30_000)),
            ("spBv1.0/shouwang/DDEATH/GW-0001/A", device_death(3, T + 60_000)),
            ("spBv1.0/shouwang/NDEATH/GW-0001", node_death(4)),
        ],
        (*_FAULTY_FIELDS, {"group": "a/b"}, {"node": "+"}),
    ),
}  # fmt: skip
