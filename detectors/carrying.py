"""How state over series, devices and gateways becomes the columns of a snapshot and moves to another registry."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from detectors.columns import SERIES
from detectors.compound import Compounds, Member, MemberKey, SiteKey, Standing
from detectors.drift import MEAN, NOTHING, STATE, Kept
from detectors.events import EventEpisode, Key
from detectors.faults import PLATFORM, Fault, FaultKey
from detectors.flapping import FlapKey, Flapping, Flaps, Loss
from detectors.hearing import Devices

Columns = dict[str, npt.NDArray[Any]]
_State = TypeVar("_State", bound=Devices)

KEPT_OF_SERIES = tuple(name for name in SERIES.names or () if name not in ("device", "profile", "busy"))


def moved(state: _State, codes: Sequence[str], index: Mapping[str, int]) -> _State:
    """State over `codes` as state over a registry's `index`; what is new there is unheard of."""
    new: _State = type(state).unheard(len(index))
    to = np.array([index.get(code, -1) for code in codes], np.int64)
    kept = to >= 0
    for column in fields(state):
        getattr(new, column.name)[to[kept]] = getattr(state, column.name)[kept]
    return new


def announced(state: Devices, codes: Sequence[str]) -> Iterator[tuple[str, int]]:
    """(code, onset) of every open episode."""
    for place in np.flatnonzero(state.told).tolist():
        yield codes[place], int(state.onset[place])


def columns_of(name: str, state: Devices, codes: Sequence[str]) -> Columns:
    """A snapshot's columns of `state`, each named `name.column`; the codes as bytes, a line each."""
    columns: Columns = {f"{name}.{column.name}": getattr(state, column.name).copy() for column in fields(state)}
    return {**columns, f"{name}.codes": lines(codes)}


def state_of(name: str, kind: type[_State], columns: Columns) -> tuple[_State, list[str]]:
    """The inverse of `columns_of`; a column that an older snapshot lacks is as of nothing heard."""
    state: _State = kind.unheard(len(columns[f"{name}.heard"]))
    for column in fields(state):
        if (kept := columns.get(f"{name}.{column.name}")) is not None:
            getattr(state, column.name)[:] = kept
    return state, texts(columns[f"{name}.codes"])


def lines(codes: Sequence[str]) -> npt.NDArray[np.uint8]:
    """Codes as bytes, a line each.

    >>> texts(lines(["GAS-0001", "GAS-0002"]))
    ['GAS-0001', 'GAS-0002']
    """
    return np.frombuffer("\n".join(codes).encode(), np.uint8)


def texts(column: npt.NDArray[np.uint8]) -> list[str]:
    """The inverse of `lines`."""
    return column.tobytes().decode().split("\n") if len(column) else []


def series_columns(series: npt.NDArray[Any]) -> Columns:
    """A snapshot's columns of the series."""
    return {f"series.{name}": series[name].copy() for name in KEPT_OF_SERIES}


def series_of(columns: Columns) -> npt.NDArray[Any]:
    """The inverse of `series_columns`; the devices are the registry's to fill in."""
    series = np.zeros(len(columns["series.last_at"]), SERIES)
    for name in KEPT_OF_SERIES:
        series[name] = columns[f"series.{name}"]
    return series


def packed(episodes: Mapping[Key, EventEpisode]) -> npt.NDArray[np.uint8]:
    """Event episodes as bytes."""
    return np.frombuffer(msgspec.msgpack.encode(list(episodes.items())), np.uint8)


def unpacked(column: npt.NDArray[np.uint8]) -> dict[Key, EventEpisode]:
    """The inverse of `packed`."""
    return dict(msgspec.msgpack.decode(column.tobytes(), type=list[tuple[Key, EventEpisode]]))


def packed_faults(standing: Mapping[FaultKey, Fault]) -> npt.NDArray[np.uint8]:
    """Standing faults as bytes."""
    return np.frombuffer(msgspec.msgpack.encode(list(standing.items())), np.uint8)


def unpacked_faults(column: npt.NDArray[np.uint8]) -> dict[FaultKey, Fault]:
    """The inverse of `packed_faults`; older snapshots hold only the platform's, by (part, rule)."""
    kept = msgspec.msgpack.decode(column.tobytes(), type=list[tuple[tuple[str, ...], Fault]])
    return {FaultKey(*((PLATFORM, *key) if len(key) == 2 else key)): fault for key, fault in kept}


def kept_columns(kept: Kept) -> Columns:
    """A snapshot's columns of drift."""
    columns: Columns = {"drift.numbers": kept.numbers, "drift.series": kept.series, "drift.rule": kept.rule}
    columns |= {f"drift.mean.{name}": kept.means[name].copy() for name in _named(MEAN)}
    columns |= {f"drift.state.{name}": kept.states[name].flatten() for name in _named(STATE)}
    return {**columns, "drift.rules": lines(kept.rules), "drift.clock": np.array([kept.minute, kept.hour], np.int64)}


def kept_of(columns: Columns) -> Kept:
    """The inverse of `kept_columns`; older snapshots hold nothing of drift."""
    if "drift.clock" not in columns:
        return NOTHING
    numbers, series = columns["drift.numbers"], columns["drift.series"]
    means, states = np.zeros(len(numbers), MEAN), np.zeros(len(series), STATE)
    for name in _named(MEAN):
        means[name] = columns[f"drift.mean.{name}"]
    for name in _named(STATE):
        states[name] = columns[f"drift.state.{name}"].reshape(states[name].shape)
    minute, hour = columns["drift.clock"].tolist()
    return Kept(numbers, means, series, columns["drift.rule"], texts(columns["drift.rules"]), states, minute, hour)


def _named(columns: np.dtype[Any]) -> list[str]:
    return [name for name in columns.names or () if name != "fill"]


def packed_links(flaps: Flaps, compounds: Compounds) -> Columns:
    """A snapshot's columns of what hangs together: flapping gateways and compounds, as bytes."""
    parts: dict[str, dict[Any, Any]] = {
        "losses": flaps.losses,
        "flapping": flaps.episodes,
        "members": compounds.members,
        "compounds": compounds.standing,
    }
    return {
        name: np.frombuffer(msgspec.msgpack.encode(sorted(part.items(), key=_first)), np.uint8)
        for name, part in parts.items()
    }


def _first(pair: tuple[Any, Any]) -> Any:
    return pair[0]


Links = tuple[dict[str, list[Loss]], dict[FlapKey, Flapping], dict[MemberKey, Member], dict[SiteKey, Standing]]


def unpacked_links(columns: Columns) -> Links:
    """The inverse of `packed_links`: losses, flapping, members and compounds; older snapshots hold nothing of them."""
    losses = _pairs(columns, "losses", list[tuple[str, list[Loss]]])
    flapping = _pairs(columns, "flapping", list[tuple[FlapKey, Flapping]])
    members = _pairs(columns, "members", list[tuple[MemberKey, Member]])
    return (
        dict(losses),
        dict(flapping),
        dict(members),
        dict(_pairs(columns, "compounds", list[tuple[SiteKey, Standing]])),
    )


def _pairs(columns: Columns, name: str, kind: Any) -> Any:
    return msgspec.msgpack.decode(columns[name].tobytes(), type=kind) if name in columns else []
