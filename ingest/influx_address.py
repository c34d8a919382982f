"""Where an InfluxDB is, as the settings write it."""

import ssl
from typing import NamedTuple, Self
from urllib.parse import parse_qs, unquote, urlsplit

from ingest.store import StoreUnavailable

SCHEMES = ("influx+http", "influx+https")
_DEFAULT_PORTS = {"http": 8086, "https": 443}


class InfluxAddress(NamedTuple):
    """Where readings are kept: the server's base URL, the token to show there, the organisation and the bucket.

    For 1.x the token is `USER:PASSWORD` (anything where it asks for none) and the bucket is the database. `ca` is a
    file with the authorities that are trusted with TLS in place of the system's; "" for those.
    """

    base: str
    token: str
    org: str
    bucket: str
    ca: str = ""

    @classmethod
    def parse(cls, url: str) -> Self:
        """From `influx+http(s)://TOKEN@HOST[:PORT]/ORG/BUCKET[?ca=FILE]`; raises ValueError.

        >>> InfluxAddress.parse("influx+http://t0k%2Fen@influx.example/town/readings")
        InfluxAddress(base='http://influx.example:8086', token='t0k/en', org='town', bucket='readings', ca='')
        """
        parts = urlsplit(url)
        if parts.scheme not in SCHEMES:
            raise ValueError(f"must begin with {' or '.join(f'{scheme}://' for scheme in SCHEMES)}")
        segments = [unquote(segment) for segment in parts.path.split("/")[1:] if segment]
        if not parts.hostname or not parts.username or len(segments) != 2 or parts.fragment:
            raise ValueError("must be influx+http(s)://TOKEN@HOST[:PORT]/ORG/BUCKET, / : @ # ? in it in percent form")
        scheme = parts.scheme.removeprefix("influx+")
        options = parse_qs(parts.query, keep_blank_values=True)
        if options.keys() - {"ca"} or (options and scheme != "https"):
            raise ValueError("takes no option but ?ca=FILE, and that with influx+https:// only")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        token = unquote(parts.username) + (f":{unquote(parts.password)}" if parts.password else "")
        return cls(
            f"{scheme}://{host}:{parts.port or _DEFAULT_PORTS[scheme]}", token, *segments, *options.get("ca", [""])[-1:]
        )

    def trust(self) -> ssl.SSLContext | bool:
        """What certificates are verified against, as httpx takes it; raises StoreUnavailable for a file of no use."""
        try:
            return ssl.create_default_context(cafile=self.ca) if self.ca else True
        except OSError as error:
            raise StoreUnavailable(f"the store's ca={self.ca} can't be used: {error}") from error
