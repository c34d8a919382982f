"""A gateway's hour that is delivered at once, as the gate flags it, pages nobody but for what still burns."""

from detectors.words import Change
from ingest.words import Connected, Lost, Quality, RegistryChanged
from tests.detectors.stage import Device, Row, Stage, moment, short

AGED, CLOCK_OFF = int(Quality.AGED), int(Quality.CLOCK_OFF)
BACK = 4_200
"""When the gateway is back, in seconds; it fell away at 600."""
SITE = (
    Device("GAS-1", "gas"),
    Device("GAS-2", "gas"),
    Device("SMK-1", "smoke"),
    Device("NOI-1", "noise"),
    Device("DST-1", "dust"),
    Device("WTR-1", "water_depth"),
    Device("GAS-9", "gas", "GW-2"),
)
QUIET = {
    "GAS-1": ("gas_lel", 1.0),
    "GAS-2": ("gas_lel", 2.0),
    "NOI-1": ("laeq", 45.0),
    "DST-1": ("pm10", 40.0),
    "WTR-1": ("depth_cm", 0.5),
}


def hour_of(at: int) -> list[Row]:
    """What the devices measured at one moment of the hour: a leak that ended, one that goes on, noise, dust, water."""
    over, lasting = 1200 <= at < 2400, at >= 2400
    wobble = at / 9_999
    values = {
        "GAS-1": ("gas_lel", 62.0 if over else 1.0),
        "GAS-2": ("gas_lel", 55.0 if lasting else 2.0),
        "NOI-1": ("laeq", 95.0 if over else 45.0),
        "DST-1": ("pm10", 700.0 if over else 40.0),
        "WTR-1": ("depth_cm", 9.0 if over else 0.5),
    }
    return [Row(code, metric, at, value + wobble, BACK, AGED) for code, (metric, value) in values.items()]


def before(stage: Stage) -> None:
    """Ten minutes of everybody speaking, then the gateway falls away while another one goes on."""
    for at in range(0, BACK, 30):
        rows = [Row(code, metric, at, value + at / 9_999) for code, (metric, value) in QUIET.items() if at <= 600]
        stage.rows(Row("GAS-9", "gas_lel", at, 1 + at / 9_999), *rows)
        if at == 630:
            stage.event("gateway", "GW-1", "status", at, online=False)
        stage.tick(at)


def deliver(stage: Stage) -> None:
    """The hour at once, smoke that was and is no more among it, the gateway's and its devices' reports first."""
    stage.event("gateway", "GW-1", "status", BACK, online=True)
    stage.event("device", "GAS-1", "status", 630, BACK, online=False)
    stage.event("device", "SMK-1", "smoke_alarm", 1300, BACK, active=True, quality=AGED)
    for at in range(660, BACK - 600, 30):
        stage.rows(*hour_of(at))
    stage.event("device", "SMK-1", "smoke_alarm", 1400, BACK, active=False, quality=AGED)


def test_a_mixed_backlog_pages_only_for_what_still_burns() -> None:
    stage = Stage.of(*SITE)
    before(stage)
    assert [short(d)[:3] for d in stage.found] == [("OPENED", "GW-1", "gateway.offline")]
    deliver(stage)
    for at in range(BACK + 5, BACK + 25, 5):
        stage.read(at, 45 + at / 9_999, "NOI-1", "laeq")
        stage.tick(at)
    said = stage.found[1:]
    assert ("CLEARED", "GW-1", "gateway.offline") in [short(d)[:3] for d in said], "the silence ends"
    recorded = {(d.subject.id, d.rule) for d in said if d.change is Change.OPENED and not d.page}
    assert {("GAS-1", "gas.leak"), ("SMK-1", "smoke.alarm"), ("WTR-1", "flood.road")} <= recorded
    assert {code for code, _ in recorded} >= {"NOI-1", "DST-1"}
    (burning,) = [d for d in said if d.page and d.change is not Change.CLEARED]
    assert short(burning) == ("UPDATED", "GAS-2", "gas.leak", 4, 2400, True, "still_violated")
    assert burning.age == burning.at - moment(BACK - 630)
    assert stage.detector.open_episodes == 2, "all others are over but the dust's mean of an hour"


def test_a_backlog_whose_clock_is_off_is_judged_by_its_limits_as_any_other() -> None:
    stage = Stage.of(*SITE)
    for at in (0, 6):
        stage.rows(Row("GAS-1", "gas_lel", at - 600, 60.0 + at, received=at, quality=CLOCK_OFF))
    assert [short(d)[1:3] + short(d)[5:] for d in stage.found] == [("GAS-1", "gas.leak", True, "threshold")]


def test_a_restart_reports_no_silence_of_its_own_making() -> None:
    """Killed and started again: the snapshot, a loss as of the last tick, a registry read anew, a new session."""
    stage = Stage.of(*SITE)
    for at in range(0, 600, 30):
        rows = [Row(code, metric, at, value + at / 9_999) for code, (metric, value) in QUIET.items()]
        stage.rows(Row("GAS-9", "gas_lel", at, 1 + at / 9_999), *rows)
        stage.tick(at)
    stage.event("gateway", "GW-1", "clock", 590, active=True, value=400.0, limit=300.0)
    later = Stage(stage.registry, stage.rules, n=stage.n, now=stage.now)
    later.detector.restore(*stage.detector.snapshot())
    later.control(Lost(moment(600)), 9_000)
    later.control(RegistryChanged(1), 9_000)
    later.control(Connected(moment(9_001)), 9_001)
    assert later.event("gateway", "GW-1", "status", 9_001, online=True) == []
    assert later.event("gateway", "GW-1", "clock", 9_001, active=True, value=400.0, limit=300.0) == []
    for at in range(9_010, 9_400, 15):
        rows = [Row(code, metric, at, value + at / 9_999) for code, (metric, value) in QUIET.items()]
        later.rows(Row("GAS-9", "gas_lel", at, 1 + at / 9_999), *rows)
        later.tick(at)
    assert [d for d in later.found if d.subject.id != "SMK-1"] == []
