"""A monitor's HJ 212 frames, through the real platform, against the permit that stands in the register."""

from pathlib import Path

from core.clock import MINUTE, local
from core.database import writing
from devices.credentials import issue_password
from devices.device_types import load_device_types
from devices.town import import_town
from ingest.formats.hj212_frames import framed
from shouwang.cli_town import SHEETS
from shouwang.settings import Settings
from shouwang.wiring import Platform, open_database
from tests.devices.town_folder import rewrite
from tests.servers import wait_until
from tests.shouwang.small_platform import found_town, gateway, rows, running, small_settings, workday

ALERTS = "SELECT subject_id, rule, severity, paged, value FROM alert WHERE rule LIKE 'emission.%' ORDER BY id"
MN = "3205A0000000000000000001"
FIELDS = '{"fields": {"a21026.zsrtd": "stack_so2"}}'
"""The permit is about values at reference oxygen."""


def outlet(settings: Settings, now: int) -> str:
    """Bring an outlet with a permit of 50 mg/m³ in; its gateway's password."""
    folder = settings.state.parent / "town"
    plain = {"lng": "", "lat": "", "component_code": "", "serial": "", "state_until": ""}
    its = {"code": "OUT-1", "name": "1号排口", "type": "outlet_air", "gateway": "GW-3", "site": "EN-1"}
    device = {**its, **plain, "state": "in_service", "attributes": f'{{"alias": "{MN}", "permit_so2": 50}}'}
    monitor = {"code": "GW-3", "name": "数采仪", "site": "EN-1", "format": "hj212", "attributes": FIELDS}
    rewrite(folder, "gateways.csv", lambda sheet: [*sheet, monitor])
    rewrite(folder, "devices.csv", lambda sheet: [*sheet, device])
    engine = open_database(settings)
    import_town(engine, folder, SHEETS, load_device_types(), now)
    with writing(engine) as connection:
        password = issue_password(connection, "GW-3")
    engine.dispose()
    return password


def frame(at: int, so2: float, flag: str = "N") -> bytes:
    """A real-time frame with the value at reference oxygen and, as monitors send it, the raw one beside it."""
    time = f"{local(at):%Y%m%d%H%M%S}"
    values = f"DataTime={time};a21026-Rtd=9.5,a21026-ZsRtd={so2},a21026-Flag={flag}"
    return framed(f"QN={time}000;ST=31;CN=2011;PW=123456;MN={MN};Flag=4;CP=&&{values}&&".encode())


def test_an_outlet_over_its_permit_by_the_mean_of_an_hour(tmp_path: Path) -> None:
    clock, settings = workday(10), small_settings(tmp_path)
    found_town(settings, clock)
    password = outlet(settings, clock.now())
    with running(settings, clock) as platform, gateway(settings, "GW-3", password) as monitor:
        now = clock.now()

        def say(minutes_ago: int, so2: float, flag: str = "N") -> None:
            payload = frame(now - minutes_ago * MINUTE, so2, flag)
            monitor.publish("hj212/GW-3", payload, qos=1).wait_for_publish(5)

        for minutes_ago in range(59, 1, -1):
            say(minutes_ago, 2000.0 if minutes_ago == 30 else 44.0, "D" if minutes_ago == 30 else "N")
        taken = "SELECT count(*) FROM alert"
        wait_until(lambda: kept(platform) == [44.0] * 57, "the hour in the store", 15)
        assert rows(platform, taken) == [(0,)], "a value that the monitor flags as faulty is no emission"
        say(1, 320.0)
        wait_until(lambda: bool(rows(platform, ALERTS)), "the alert", 10)
        ((subject, rule, severity, paged, _),) = rows(platform, ALERTS)
        assert (subject, rule, severity, bool(paged)) == ("OUT-1", "emission.so2", 2, True)
        say(0, 900.0)
        wait_until(lambda: rows(platform, ALERTS)[0][2] == 3, "the alarm", 10)
        ((title,),) = rows(platform, "SELECT title FROM ticket")
        assert title.startswith("二氧化硫超过许可限值")


def kept(platform: Platform) -> list[float]:
    """What the store holds of the outlet's SO2."""
    ((number,),) = rows(platform, "SELECT number FROM series WHERE device = 'OUT-1' AND metric = 'stack_so2'")
    assert platform.store
    return [float(value) for value in platform.store.range(number, 0, 2**60, 1000).mean]
