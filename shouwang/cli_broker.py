"""`shouwang broker`: what a Mosquitto needs to know of the town, as files or live."""

from pathlib import Path
from typing import Annotated

import typer

from devices.device_types import load_device_types
from devices.registry import Registry, load_registry
from ingest.mqtt import BrokerAddress
from shouwang.broker_accounts import BrokerTown, broker_town
from shouwang.broker_control import DynamicSecurity
from shouwang.broker_export import (
    ACL,
    CONF,
    DYNAMIC,
    PASSWORDS,
    ExportRefused,
    Listener,
    MosquittoPlan,
    Tls,
    acl_lines,
    configuration,
    find_plugin,
    marked,
    password_lines,
    platform_password,
    write_files,
    write_once,
)
from shouwang.dynamic_security import SyncPlan, initial
from shouwang.settings import Settings
from shouwang.terminal import ConfigOption, errors, fail, out, settings_from, telling_errors
from shouwang.wiring import open_database

app = typer.Typer(no_args_is_help=True, help="The broker's accounts, rules and settings.")
_PLATFORM, _SECRET = "platform", "broker-platform.password"


@app.command("export")
@telling_errors
def export(
    mosquitto: Annotated[Path, typer.Option(file_okay=False, help="The folder to write to: the broker's own.")],
    config: ConfigOption = None,
    listen: Annotated[
        str | None, typer.Option(help="Address for gateways. Default: all with --tls, else this machine.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port for gateways. Default: 8883 with --tls, else 1883.")] = None,
    tls: Annotated[tuple[Path, Path] | None, typer.Option(metavar="CERT KEY", help="PEM files of the broker.")] = None,
    ca: Annotated[Path | None, typer.Option(help="PEM file of the authority that gateways trust.")] = None,
    platform_listen: Annotated[str, typer.Option(help="Address for the platform alone.")] = "127.0.0.1",
    platform_port: Annotated[int | None, typer.Option(help="Port for the platform alone. Default: the next.")] = None,
    platform_password_file: Annotated[
        Path | None, typer.Option(help="Where its password is kept, made if missing. Default: in the state folder.")
    ] = None,
    user: Annotated[str, typer.Option(help="The user that the broker runs as.")] = "mosquitto",
    hold_mb: Annotated[int, typer.Option(min=1, help="What it holds for the platform at most, in MB.")] = 1024,
    dynamic: Annotated[bool, typer.Option(help="Live accounts by Mosquitto's dynamic security plugin.")] = False,
    plugin: Annotated[Path | None, typer.Option(help="The plugin's file, when it is not where Debian has it.")] = None,
    force: Annotated[bool, typer.Option(help="Overwrite what was edited by hand.")] = False,
) -> None:
    """Write the files of a Mosquitto: TLS, who may connect, who may publish where, and how it holds messages."""
    settings = settings_from(config)
    gateways = Listener(port or (8883 if tls else 1883), listen if listen is not None else "" if tls else "127.0.0.1")
    plan = MosquittoPlan(
        mosquitto.absolute(),
        gateways,
        Listener(platform_port or gateways.port + 1, platform_listen),
        Tls(tls[0].absolute(), tls[1].absolute(), ca.absolute() if ca else None) if tls else None,
        user,
        hold_mb * 2**20,
        plugin=(plugin or find_plugin()) if dynamic or plugin else None,
    )
    if refusal := plan.refusal():
        raise fail(refusal)
    secret = platform_password_file or settings.state / _SECRET
    town = broker_town(_registry(settings), _PLATFORM, BrokerAddress.client_id)
    changed = write_plan(plan, town, platform_password(secret), force)
    _tell(plan, town, changed, secret)


def _registry(settings: Settings) -> Registry:
    engine = open_database(settings)
    registry = load_registry(engine, load_device_types(settings.device_types))
    engine.dispose()
    return registry


def write_plan(plan: MosquittoPlan, town: BrokerTown, password: str, force: bool = False) -> list[str]:
    """Write the plan's files; the plugin's own only where there is none yet, for the broker changes it itself."""
    files = {CONF: marked(configuration(plan))}
    if plan.plugin is None:
        files = {
            PASSWORDS: marked(password_lines(town, _PLATFORM, password)),
            ACL: marked(acl_lines(town, _PLATFORM)),
        } | files
        return write_files(plan, files, force)
    changed = write_files(plan, files, force)
    return changed + write_once(plan, DYNAMIC, initial(town, _PLATFORM, password), force)


def _tell(plan: MosquittoPlan, town: BrokerTown, changed: list[str], secret: Path) -> None:
    for problem in town.problems:
        errors.print(problem, style="yellow", markup=False, highlight=False, soft_wrap=True)
    admitted = sum(account.admitted for account in town.accounts.values())
    host, scheme = (plan.platform.address, "mqtt") if plan.platform.is_local else ("HOST", "mqtts")
    trust = f"?ca={plan.tls.ca}" if plan.tls and plan.tls.ca and scheme == "mqtts" else ""
    lines = [
        f"written    {', '.join(changed) or 'nothing: all was as it should be'} in {plan.folder}",
        f"gateways   {admitted} of {len(town.accounts)} may connect, port {plan.gateways.port}",
        f'platform   broker = "{scheme}://{_PLATFORM}:PASSWORD@{host}:{plan.platform.port}{trust}"',
        f"           its PASSWORD is in {secret}",
        f"start      mosquitto -c {plan.folder / CONF}",
    ]
    if plan.plugin:
        lines.append("later      `shouwang broker sync` brings changes to the running broker")
    else:
        lines.append("later      export again, then `kill -HUP` the broker (or `systemctl reload mosquitto`): it reads")
        lines.append("           passwords and rules anew; listeners and TLS only when it is started again")
    for line in lines:
        out.print(line, markup=False, highlight=False, soft_wrap=True)


@app.command("sync")
@telling_errors
def sync(
    config: ConfigOption = None,
    dry_run: Annotated[bool, typer.Option(help="Only tell what would be done.")] = False,
) -> None:
    """Make the accounts of a Mosquitto with dynamic security those of the registry, while it runs."""
    settings = settings_from(config)
    address = broker_address(settings)
    if address is None:
        raise fail("the embedded broker follows the registry by itself")
    registry = _registry(settings)
    with DynamicSecurity(address) as plugin:
        plan = plugin.plan(registry)
        if not dry_run:
            plugin.take(plan.steps)
    for problem in broker_town(registry, address.username, address.client_id).problems:
        errors.print(problem, style="yellow", markup=False, highlight=False, soft_wrap=True)
    _tell_plan(plan, dry_run)


def _tell_plan(plan: SyncPlan, dry_run: bool) -> None:
    for step in plan.steps:
        out.print(str(step), markup=False, highlight=False, soft_wrap=True)
    for code in plan.without_password:
        text = f"{code}: the broker does not know its password: `shouwang gateway password {code}` gives it a new one"
        errors.print(text, style="yellow", markup=False, highlight=False, soft_wrap=True)
    done = "nothing was changed: this was a preview" if dry_run else "done"
    out.print(done if plan.steps else "the broker's accounts are the registry's")


def broker_address(settings: Settings) -> BrokerAddress | None:
    """Where the platform's broker is; None for the embedded one. Raises ExportRefused for a URL that is none."""
    url = settings.broker.get_secret_value()
    if url.startswith("embedded:"):
        return None
    try:
        return BrokerAddress.parse(url)
    except ValueError as error:
        raise ExportRefused(str(error)) from error
