"""What backup and restore say to a person: (Chinese, English)."""

from pathlib import Path

from core.clock import local
from shouwang.restore import Done

Words = tuple[str, str]

LEFT_OUT: dict[str, Words] = {
    "readings": (
        "不含     读数库（DuckDB 文件或 InfluxDB）：它有自己的备份办法，见 docs/operations.zh-CN.md",
        "left out   the readings store (a DuckDB file or InfluxDB): it is backed up by itself, see docs/operations.md",
    ),
    "outside_files": (
        "不含     消息代理的文件、证书，以及 PostgreSQL 的角色",
        "left out   the broker's files, certificates, and roles of a PostgreSQL server",
    ),
    "no_journal": ("不含     日志：平台还没有运行过", "left out   the journal: the platform has never run"),
}


def after_restore(done: Done, settings_file: Path | None) -> list[Words]:
    """What was done and what to do next."""
    restored = done.restored
    lines: list[Words] = []
    if settings_file:
        lines.append((f"设置     {settings_file}", f"settings   {settings_file}"))
    if done.aside:
        lines.append((f"原有     已移到 {done.aside}", f"before     what was there is in {done.aside}"))
    if done.own_journal:
        lines.append(
            (
                "日志     沿用本机的日志，它比备份里的新",
                "journal    this machine's own goes on: it is newer than the backup's",
            )
        )
    made = f"{local(restored.made_at):%Y-%m-%d %H:%M:%S}"
    if restored.journal == "head":
        lines.append(
            (
                f"位置     从日志末尾继续：{made} 之后到现在的读数不再判断，其间的告警和工单不会补上",
                f"position   at the journal's end: readings from {made} up to now are not judged again, and alerts and "
                "tickets of that time are not made up for",
            )
        )
    else:
        lines.append(
            (
                f"位置     从 {made} 起重放日志，通知关闭：告警和工单会重新生成，不通知任何人，控制台会说明",
                f"position   the journal is replayed from {made} with notices off: alerts and tickets rise, nobody is "
                "told, and the console says so",
            )
        )
    if restored.unsent:
        lines.append(
            (
                f"通知     备份时还在等待的 {restored.unsent} 条不再发送（可能早已发出），见各工单",
                f"notices    {restored.unsent} that waited when the backup was made are not sent (they may have been "
                "since): see their tickets",
            )
        )
    lines.append(
        (
            "下一步   shouwang doctor；先运行 shouwang run --roles ingest,store,detect,console，"
            "结掉已处置的工单，再开 dispatch",
            "next       shouwang doctor; then run the roles ingest,store,detect,console, close the tickets that were "
            "dealt with since, and start dispatch last",
        )
    )
    return lines
