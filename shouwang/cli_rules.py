"""`shouwang rules`: are the packs sound, and which limits apply to a device."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from core.clock import DAY, HOUR, MINUTE, SECOND, SystemClock, local
from core.database import open_engine, reading
from detectors.explain import Explained, Origin, UnknownDevice, explain
from detectors.pack_files import Packs, read_packs
from detectors.rule import lowest
from detectors.rules import RuleErrors, RuleSet, load_version, newest_version
from detectors.sheets import sheets_in_force
from detectors.words import Severity
from devices.device_types import load_device_types
from devices.registry import load_registry
from shouwang import cli_rules_edit
from shouwang.diagnosis import database_is_missing
from shouwang.migrate import Standing, schema_state
from shouwang.settings import Settings
from shouwang.terminal import ConfigOption, errors, fail, out, settings_from, telling_errors

app = typer.Typer(no_args_is_help=True, help="Rules: check packs, explain a device's limits, edit them.")

LanguageOption = Annotated[str, typer.Option(help="zh or en; by default the platform's.")]
_PACKS = Annotated[list[Path] | None, typer.Argument(help="Packs, or folders of them, beside those of the settings.")]
_SEVERITY = {
    Severity.NOTICE: ("提示", "notice"),
    Severity.WARNING: ("预警", "warning"),
    Severity.ALARM: ("报警", "alarm"),
    Severity.CRITICAL: ("紧急", "critical"),
}
_HEADS = (
    ("规则", "rule"),
    ("限值", "limits"),
    ("来源", "from"),
    ("恢复", "recovery"),
    ("持续", "dwell"),
    ("状态", "standing"),
)
_SPANS = (("", ""), ("恢复持续 ", "off "), ("窗口 ", "in "), ("均值 ", "mean "))
_UNITS = ((DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (SECOND, "s"))


@app.command()
@telling_errors
def check(packs: _PACKS = None, config: ConfigOption = None) -> None:
    """Read the shipped packs, those of the settings, these and the sheets, as a start would.

    Every error is one line, status 2. A sheet that bears a file's name is left aside: the file is what it would become.
    """
    settings = settings_from(config)
    given = [path for path in packs or [] if not _is_within(path, settings.rules)]
    try:
        edited = {name: text for name, text in _sheets(settings).items() if name not in {path.stem for path in given}}
        found = read_packs([*settings.rules, *given], load_device_types(settings.device_types), edited)
    except RuleErrors as wrong:
        cli_rules_edit.tell_errors(wrong.errors)
        count = f"{len(wrong.errors)} error{'s' * (len(wrong.errors) > 1)}"
        errors.print(f"{count}: nothing of this would be in force", highlight=False)
        raise typer.Exit(2) from wrong
    _tell(found)


def _sheets(settings: Settings) -> dict[str, str]:
    """The sheets in force; none where there is no database of this program's schema yet."""
    if database_is_missing(settings):
        return {}
    engine = open_engine(settings.database_url)
    try:
        if schema_state(engine).standing is not Standing.CURRENT:
            return {}
        with reading(engine) as connection:
            return sheets_in_force(connection)
    finally:
        engine.dispose()


def _is_within(path: Path, folders: Sequence[Path]) -> bool:
    return any(path.resolve().is_relative_to(folder.resolve()) for folder in folders)


def _tell(found: Packs) -> None:
    rules = Counter(rule.source for rule in found.rules.values())
    overrides = Counter(override.source for rule in found.rules.values() for override in rule.overrides)
    out.print(f"{rules.total()} rules and {overrides.total()} overrides are fine", highlight=False)
    for source in sorted({*rules, *overrides}):
        told = f"  {source}: {rules[source]} rules, {overrides[source]} overrides"
        out.print(told, highlight=False, markup=False, soft_wrap=True)
    for rule, by, whose in found.replaced:
        out.print(f"{rule} of {by} replaces the one of {whose}", highlight=False, markup=False, soft_wrap=True)


@app.command("explain")
@telling_errors
def explain_(
    device: Annotated[str, typer.Argument(help="A device's code.")],
    language: LanguageOption = "",
    config: ConfigOption = None,
) -> None:
    """Which limits apply to a device by the rules in force, and where each comes from."""
    settings = settings_from(config)
    language = language_of(language, settings)
    engine = cli_rules_edit.database_of(settings)
    registry = load_registry(engine, load_device_types(settings.device_types))
    with reading(engine) as connection:
        version = newest_version(connection)
        rules = None if version is None else load_version(connection, version)
    engine.dispose()
    rules = rules or _installed(settings)
    try:
        found = explain(rules, registry, device, local(SystemClock().now()).date())
    except UnknownDevice as unknown:
        raise fail(str(unknown)) from unknown
    place = registry.device_index[device]
    _head(device, registry.type_code[place], registry.site[place], rules, language)
    out.print(_table(found, language))


def language_of(given: str, settings: Settings) -> str:
    """The language that is asked for, by default the platform's."""
    if given not in ("", "zh", "en"):
        raise fail(f"--language {given!r}: choose zh or en")
    return given or settings.language


def _installed(settings: Settings) -> RuleSet:
    """The packs as the next start would put them in force: none has been yet."""
    return RuleSet(0, read_packs(settings.rules, load_device_types(settings.device_types), {}).rules)


def _head(device: str, kind: str, site: str, rules: RuleSet, language: str) -> None:
    version = str(rules.version or ("未启用" if language == "zh" else "not yet in force"))
    said = f"{device}  类型 {kind}  点位 {site}  规则版本 {version}"
    if language == "en":
        said = f"{device}  type {kind}  site {site}  rules version {version}"
    out.print(said, highlight=False, markup=False, soft_wrap=True)


def _table(found: Sequence[Explained], language: str) -> Table:
    table = Table(*(head[language == "en"] for head in _HEADS), show_lines=True)
    for each in found:
        spans, status = _dwell(each, language), each.status(language)
        cells = (_name(each, language), *_limits(each, language), _recovery(each, language), spans, status)
        table.add_row(*(Text(cell) for cell in cells), style="" if each.in_force else "dim")
    return table


def _name(each: Explained, language: str) -> str:
    rule = each.rule
    standard = f"\n{rule.standard}-{rule.edition}".rstrip("-") if rule.standard else ""
    life = {"zh": "\n涉及生命安全", "en": "\nlife safety"}[language] if rule.life_safety_from else ""
    return f"{rule.id}\n{rule.title(language)}{standard}{life}"


def _limits(each: Explained, language: str) -> tuple[str, str]:
    """Two columns of the same lines: severity and limit, and the limit's origin."""
    rule, lines, origins = each.rule, [], []
    sign = "<" if rule.direction == "below" else ">" if rule.beyond else "≥"
    for severity, limit in sorted(each.terms.limits.items()):
        name = _SEVERITY[severity][language == "en"]
        plain = rule.kind in ("event", "silence", "frozen", "compound")
        lines.append(name if plain else f"{name} {sign} {limit:g} {rule.unit}".rstrip())
        origins.append(each.origins[f"limits.{severity.name.lower()}"].text(language))
    for severity, row in sorted(rule.table.items()):
        limits = ", ".join(f"{key}: {limit:g}" for key, limit in row.items())
        lines.append(f"{_SEVERITY[severity][language == 'en']} {rule.by} {limits} {rule.unit}".rstrip())
        origins.append(Origin(rule.source).text(language))
    return "\n".join(lines), "\n".join(origins)


def _recovery(each: Explained, language: str) -> str:
    if each.rule.latch:
        return ("人工解除", "latched")[language == "en"]
    limits = each.terms.limits
    return f"{each.terms.recovery:g}" if limits and each.terms.recovery != lowest(limits, each.rule.direction) else ""


def _dwell(each: Explained, language: str) -> str:
    terms = each.terms
    spans = (terms.dwell, terms.dwell_off, terms.window, each.rule.mean)
    parts = [f"{what[language == 'en']}{_span(span)}" for span, what in zip(spans, _SPANS, strict=True) if span]
    return "\n".join([*parts, " ".join(each.rule.hours), _baseline(each, language)]).strip()


def _baseline(each: Explained, language: str) -> str:
    """From what a distance is judged, and whether that is given or learnt."""
    rule = each.rule
    if not rule.baseline:
        return ""
    if each.base is not None:
        words = ("基准 {} {}（属性 {}）", "from {} {} (attribute {})")[language == "en"]
        return words.format(f"{each.base:g}", rule.unit, rule.baseline)
    words = ("基准取投用后前 {} 次读数（无属性 {}）", "from the first {} readings in service (no {})")[language == "en"]
    return words.format(rule.baseline_readings, rule.baseline)


def _span(span: int) -> str:
    unit, name = next(((unit, name) for unit, name in _UNITS if span % unit == 0), (SECOND, "s"))
    return f"{span / unit:g}{name}"


cli_rules_edit.add_to(app)
