"""Every dashboard in every language as the JSON that Grafana reads from files."""

from collections.abc import Callable, Mapping
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.dispatch import dispatch_dashboard
from grafana.environment import environment_dashboard
from grafana.kit import Kit, Places
from grafana.platform import platform_dashboard
from grafana.roads import roads_dashboard
from grafana.site import site_dashboard
from grafana.town import town_dashboard
from grafana.words import LANGUAGES, Language, Words

DASHBOARDS: Mapping[str, Callable[[Kit], Dashboard]] = {
    "town": town_dashboard,
    "site": site_dashboard,
    "roads": roads_dashboard,
    "environment": environment_dashboard,
    "dispatch": dispatch_dashboard,
    "platform": platform_dashboard,
}
"""Each dashboard's code by its name, which is its file's and the middle of its uid."""


def dashboards(places: Places, language: Language) -> dict[str, Dashboard]:
    """All dashboards in a language, by name."""
    return {name: made(Kit(Words(language), places)) for name, made in DASHBOARDS.items()}


def dashboard_text(built: Dashboard) -> str:
    """The dashboard as the JSON text that Grafana reads from a file."""
    return JSONEncoder(sort_keys=True, indent=2, ensure_ascii=False).encode(built) + "\n"


def write_dashboards(folder: Path, places: Places | None = None) -> list[Path]:
    """Write every dashboard to `folder`/{zh,en}; the files written. Without `places` as they are shipped."""
    written = []
    for language in LANGUAGES:
        (folder / language).mkdir(parents=True, exist_ok=True)
        for name, built in dashboards(places or Places(), language).items():
            path = folder / language / f"{name}.json"
            path.write_text(dashboard_text(built), encoding="utf-8")
            written.append(path)
    return written
