"""Sections of the settings about readings: what is kept of them, who may send how many, and what is learnt of them."""

from pydantic import BaseModel, ConfigDict, Field

from alerts.proposals import ProposalSettings
from core.clock import DAY

_GIGABYTE = 2**30


class Section(BaseModel):
    """A part of the settings that knows every one of its names."""

    model_config = ConfigDict(extra="forbid")


class JournalSettings(Section):
    """How much the journal may hold, and how long it keeps what everybody has read."""

    quota_gb: float = Field(default=8, gt=0)
    reserve_gb: float = Field(default=1, ge=0)
    replay_hours: float = Field(default=24, ge=0)

    @property
    def quota_bytes(self) -> int:
        return int(self.quota_gb * _GIGABYTE)

    @property
    def reserve_bytes(self) -> int:
        return int(self.reserve_gb * _GIGABYTE)


class IngestSettings(Section):
    """What every gateway may send: messages (of a KiB) a second for good, and at once.

    More where its devices' own pace says so, or its attribute max_messages_per_s.
    """

    gateway_messages_per_s: float = Field(default=50, gt=0)
    gateway_burst: float = Field(default=20_000, ge=1)


class LearningSettings(Section):
    """How many tickets of false alarms within `days`, and of what share of those judged, propose a change of a rule."""

    false_alarms: int = Field(default=5, ge=2)
    days: int = Field(default=30, gt=0, le=365)
    share: float = Field(default=0.6, gt=0, le=1)

    @property
    def limits(self) -> ProposalSettings:
        return ProposalSettings(self.false_alarms, self.days * DAY, self.share)


class AnomalySettings(Section):
    """The models of normal: whether they read at all, and how many warnings an hour the town will bear."""

    enabled: bool = True
    per_hour: int = Field(default=6, gt=0, le=3600)
