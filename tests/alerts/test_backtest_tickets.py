"""A backtest's tickets are made by the decision that makes the real ones."""

import time

from alerts.backtest_tickets import count_tickets, with_tickets
from alerts.ticket_decisions import JoinPolicy
from alerts.town_view import DevicePlace, Site, TownView
from core.clock import DAY, HOUR, MINUTE
from detectors.backtest_result import Episode, Lead, Listing, Result, Row, Side
from detectors.rules import load_packs

RULES = load_packs().rules
LNG, LAT = 120.4, 31.4
NEAR = 0.001
"""Degrees of about a hundred metres."""


def town(*devices: tuple[str, str, float]) -> TownView:
    """Devices, each with its site and how many degrees east it stands."""
    sites = {site for _, site, _ in devices}
    places = {code: Site(code, "site", code, code, LNG, LAT, None, 1, "", "", "", None) for code in sites}
    standing = {
        code: DevicePlace(code, code, "gas", site, "GW-1", LNG + east, LAT, None) for code, site, east in devices
    }
    return TownView(1, places, {}, standing, {}, {}, {}, {}, {})


TOWN = town(("A", "S1", 0.0), ("B", "S1", 0.5), ("C", "S2", NEAR), ("D", "S3", 1.0))


def episode(device: str, told: int, end: int | None, rule: str = "gas.leak", paged: bool = True) -> Episode:
    return Episode(rule, device, TOWN.devices[device].site, 3, told, told, end, 30.0, paged)


def tickets(*episodes: Episode) -> dict[str, int]:
    return dict(count_tickets(episodes, RULES, TOWN, JoinPolicy()))


def test_alerts_of_one_hazard_share_a_ticket_at_a_site_while_it_lives() -> None:
    assert tickets(episode("A", 0, HOUR), episode("B", MINUTE, 2 * HOUR)) == {"S1": 1}
    assert tickets(episode("A", 0, HOUR), episode("B", 2 * HOUR, None)) == {"S1": 2}
    assert tickets(episode("A", 0, HOUR), episode("A", MINUTE, HOUR, "electrical.residual_current")) == {"S1": 2}


def test_a_ticket_lives_until_the_last_of_its_alerts_is_over() -> None:
    chain = [episode("A", 0, HOUR), episode("B", 50 * MINUTE, 3 * HOUR), episode("A", 2 * HOUR, 4 * HOUR)]
    assert tickets(*chain) == {"S1": 1}


def test_alerts_near_each_other_share_a_ticket_within_the_window() -> None:
    assert tickets(episode("A", 0, DAY), episode("C", 10 * MINUTE, DAY)) == {"S1": 1}
    assert tickets(episode("A", 0, DAY), episode("C", 40 * MINUTE, DAY)) == {"S1": 1, "S2": 1}
    assert tickets(episode("A", 0, DAY), episode("D", 10 * MINUTE, DAY)) == {"S1": 1, "S3": 1}


def test_what_pages_nobody_makes_no_ticket_and_old_ones_are_let_go() -> None:
    assert tickets(episode("A", 0, None, paged=False)) == {}
    assert tickets(*(episode("A", day * DAY, day * DAY + HOUR) for day in range(0, 40, 2))) == {"S1": 20}


def test_the_result_has_both_sides_by_site() -> None:
    rows = {"S1": Row(today=2, tried=1), "S2": Row(tried=1)}
    empty = (Listing(0, []), Listing(0, []), Lead(), rows, {}, [], [])
    result = Result(0, DAY, 10, 1.0, Side(), Side(), *empty)
    today = count_tickets([episode("A", 0, HOUR), episode("D", 0, HOUR)], RULES, TOWN)
    found = with_tickets(result, today, count_tickets([episode("C", 0, HOUR)], RULES, TOWN))
    assert (found.today.tickets, found.tried.tickets) == (2, 1)
    assert [(row.tickets_today, row.tickets_tried) for row in found.by_site.values()] == [(1, 0), (0, 1)]


def test_many_alerts_are_counted_in_time_by_what_lives_and_not_by_what_was() -> None:
    many = town(*((f"D{place}", f"S{place}", 0.01 * place) for place in range(2000)))
    said = [
        Episode("gas.leak", f"D{n % 2000}", f"S{n % 2000}", 3, n * MINUTE, n * MINUTE, n * MINUTE + HOUR, 30.0, True)
        for n in range(20_000)
    ]
    began = time.process_time()
    assert count_tickets(said, RULES, many, JoinPolicy()).total() == 20_000
    assert time.process_time() - began < 10
