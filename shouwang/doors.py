"""Who may come in from outside, by the settings."""

from console.doors import CardDoor, Doors, ReceiptDoor, SystemDoor
from shouwang.settings import Settings


def doors_of(settings: Settings) -> Doors:
    """Receipts of channels with a token, buttons of applications with a callback, and other platforms."""
    channels, systems, language = settings.channels.items(), settings.outside.items(), settings.language
    return Doors(
        receipts={
            name: ReceiptDoor(each.kind, each.token.get_secret_value())
            for name, each in channels
            if each.takes_receipts
        },
        cards={
            name: CardDoor(each.token.get_secret_value(), each.aes_key.get_secret_value(), each.corp_id, language)
            for name, each in channels
            if each.kind == "wecom_app" and each.calls_back
        },
        systems={name: SystemDoor(each.secret.get_secret_value().encode(), each.role) for name, each in systems},
    )
