"""Secrets by file: a setting named …_file, or SHOUWANG_…_FILE in the environment, is a file that holds the value."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import SecretStr

SUFFIX = "_file"
OPENING = {"broker": "broker_password", "database": "database_password", "store": "store_token"}
"""What opens the server at a URL, where it does not stand in the URL itself."""
_SERVERS = frozenset({"mqtt", "mqtts", "postgresql+psycopg", "influx+http", "influx+https"})


def from_environment(variables: Mapping[str, str], prefix: str, problems: list[str]) -> dict[str, str]:
    """The values, by their variables' names in lower case without the suffix, that files named in `variables` hold."""
    given = {name.lower(): (name, value) for name, value in variables.items()}
    found: dict[str, str] = {}
    for key, (name, path) in given.items():
        if not key.startswith(prefix.lower()) or not key.endswith(SUFFIX) or not path:
            continue
        meant = key.removesuffix(SUFFIX)
        if meant in given and given[meant][1]:
            problems.append(
                f"environment: {name}: {given[meant][0]} 也有值，请只留一个 · is there too: keep one of them"
            )
        else:
            _take(found, meant, Path(path), f"environment: {name}", problems)
    return found


def from_table(table: Mapping[str, Any], file: Path, problems: list[str], place: str = "") -> dict[str, Any]:
    """A table of the settings file with what its …_file keys point to; relative paths are relative to the file."""
    plain = {key: value for key, value in table.items() if not (key.endswith(SUFFIX) and isinstance(value, str))}
    for key, value in plain.items():
        if isinstance(value, dict):
            plain[key] = from_table(value, file, problems, f"{place}{key}.")
    for key in table.keys() - plain.keys():
        meant, where = key.removesuffix(SUFFIX), f"{file}: {place}{key}"
        if meant in plain:
            problems.append(f"{where}: {meant} 也有值，请只留一个 · is there too: keep one of them")
        else:
            _take(plain, meant, file.parent / table[key], where, problems)
    return plain


def _take(into: dict[str, Any], key: str, file: Path, where: str, problems: list[str]) -> None:
    try:
        text = file.read_text(encoding="utf-8-sig").strip()  # some editors begin a file with a mark
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "no text"
        problems.append(f"{where}: {file} 读不出来（{why}），请改正路径或权限 · can't be read: mend its path or rights")
        return
    if not text:
        problems.append(f"{where}: {file} 是空的，请写入内容，或去掉这一项 · is empty: fill it, or leave this out")
        return
    into[key] = text


def opened(given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with each password and token in the URL that it opens. Raises ValueError."""
    whole = dict(given)
    for key, secret_key in OPENING.items():
        if secret := _plain(given.get(secret_key)):
            whole[key] = with_secret(_plain(given.get(key)), secret, secret_key, alone=key == "store")
    return whole


def _plain(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value or "")


def with_secret(url: str, secret: str, name: str, alone: bool = False) -> str:
    """The URL with a password behind its user name, or, `alone`, with a token in its place. Raises ValueError.

    >>> with_secret("mqtts://town@broker.example?ca=/etc/ca.pem", "s3c/ret", "broker_password")
    'mqtts://town:s3c%2Fret@broker.example?ca=/etc/ca.pem'
    """
    parts = urlsplit(url)
    if parts.scheme not in _SERVERS:
        raise ValueError(f"{name}: 没有它能打开的服务器地址 · there is no server's URL that it could open")
    if parts.password or (alone and parts.username):
        raise ValueError(f"{name}: 地址里也写了，请只留一个 · one stands in the URL too: keep one of them")
    if not alone and not parts.username:
        raise ValueError(f"{name}: 请在主机名前写上 用户@ · the URL names no user: write USER@ before its host")
    user = quote(secret, safe="") if alone else f"{parts.username}:{quote(secret, safe='')}"
    return urlunsplit(parts._replace(netloc=f"{user}@{parts.netloc.rpartition('@')[2]}"))
