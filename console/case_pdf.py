"""A case as printable A4 pages: what happened, by which rule, who was sent and why, told, and what they did.

Needs [reports]. The same case at the same moment makes the same bytes. A sign that the font lacks is printed as its
code point, never left out.
"""

import io
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

from PIL import Image as Pictures
from PIL import ImageOps
from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, Image, KeepTogether, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from alerts.case_file import CaseFile
from alerts.fonts import FONT
from alerts.measurements import Language
from console.case_sections import Grid, Pairs, sections
from console.case_words import moment, said, without_mobiles

_FONT = "NotoSansSC"
_MARGIN = 15 * mm
_WIDTH = A4[0] - 2 * _MARGIN
_LONGEST = 1_200  # characters of a cell, so that a row fits a page
_PHOTO_PIXELS = 900
_TALLEST = A4[1] * 0.42
_RULED, _SHADED, _RED = HexColor("#a1a1aa"), HexColor("#f4f4f5"), HexColor("#b91c1c")


class Picture(NamedTuple):
    """An image as it is kept, and what stands below it."""

    content: bytes
    said: str


class Extras(NamedTuple):
    """What a case file shows beside the rows: curves and photos, and why there are no curves."""

    curves: Sequence[Picture] = ()
    photos: Iterable[Picture] = ()
    no_curves: str = ""


def render(case: CaseFile, extras: Extras, language: Language, phones: bool, to: Path) -> None:
    """Write the case file; personal phone numbers are masked unless `phones`."""
    _register()
    number = case.ticket["number"]
    document = SimpleDocTemplate(
        str(to),
        pagesize=A4,
        leftMargin=_MARGIN,
        rightMargin=_MARGIN,
        topMargin=18 * mm,
        bottomMargin=16 * mm,
        title=f"{said(language, 'title')} {number}",
        author="Shouwang",
        invariant=1,
    )

    def frame(canvas: Canvas, _document: Any) -> None:
        _frame(canvas, case, language)

    document.build(_story(case, extras, language, phones), onFirstPage=frame, onLaterPages=frame)


def printable(text: str) -> str:
    """The text with the code point of each sign that the font lacks; line ends become spaces.

    >>> printable("瓦斯\\U0001f525 ok")
    '瓦斯[U+1F525] ok'
    """
    known = _signs()
    return "".join(sign if ord(sign) in known else f"[U+{ord(sign):04X}]" for sign in " ".join(text.split()))


@cache
def _font() -> Any:
    return TTFont(_FONT, str(FONT))


@cache
def _signs() -> frozenset[int]:
    return frozenset(_font().face.charToGlyph)


def _register() -> None:
    if _FONT not in pdfmetrics.getRegisteredFontNames():
        pdfmetrics.registerFont(_font())
        pdfmetrics.registerFontFamily(_FONT, _FONT, _FONT, _FONT, _FONT)


def _style(size: float, **more: Any) -> ParagraphStyle:
    return ParagraphStyle(
        f"s{size}{sorted(more)}", fontName=_FONT, fontSize=size, leading=size * 1.4, wordWrap="CJK", **more
    )


_BODY, _SMALL = _style(9), _style(7.5)
_HEAD = _style(12, spaceBefore=5 * mm, spaceAfter=2 * mm, keepWithNext=1)
_TITLE = _style(18, spaceAfter=1 * mm)
_DRILL = _style(12, textColor=_RED, spaceAfter=2 * mm)


def _paragraph(text: str, style: ParagraphStyle, language: Language = "zh") -> Paragraph:
    if len(text) > _LONGEST:
        text = text[:_LONGEST] + said(language, "cut")
    return Paragraph(escape(printable(text)), style)


def _story(case: CaseFile, extras: Extras, language: Language, phones: bool) -> list[Flowable]:
    story: list[Flowable] = [
        _paragraph(f"{said(language, 'title')}　{case.ticket['number']}", _TITLE),
        _paragraph(_heading(case, language, phones), _BODY),
    ]
    if case.ticket["source"] == "drill":
        story.append(_paragraph(said(language, "drill"), _DRILL))
    for section in sections(case, language, phones):
        story.append(_paragraph(said(language, section.heading), _HEAD))
        story += [_block(block, language) for block in section.blocks] or [_paragraph(said(language, "none"), _BODY)]
        if section.heading == "alerts":
            story += _pictures("curves", extras.curves, extras.no_curves, language, _WIDTH)
        if section.heading == "notices":
            story += _pictures("photos", extras.photos, said(language, "none"), language, _WIDTH * 0.62)
    return story


def _heading(case: CaseFile, language: Language, phones: bool) -> str:
    title = case.ticket["title"] if language == "zh" else case.ticket["title_en"] or case.ticket["title"]
    shown = title if phones else without_mobiles(title)
    return f"{shown}　{said(language, 'made')} {moment(case.at)}"


def _block(block: Pairs | Grid | str, language: Language) -> Flowable:
    if isinstance(block, str):
        return _paragraph(block, _SMALL, language)
    if isinstance(block, Pairs):
        return _pairs(block, language)
    cells = [[_paragraph(text, _SMALL, language) for text in row] for row in (block.head, *block.rows)]
    widths = [_WIDTH * share / sum(block.shares) for share in block.shares]
    table = Table(cells, colWidths=widths, repeatRows=1, splitInRow=1)
    table.setStyle(TableStyle([*_LINES, ("BACKGROUND", (0, 0), (-1, 0), _SHADED)]))
    return table


def _pairs(block: Pairs, language: Language) -> Flowable:
    """Names and values, two of them a row; a long value has a row of its own."""
    cells: list[list[Any]] = []
    spans: list[Any] = []
    waiting: list[Any] = []
    for name, value in block.rows:
        pair = [_paragraph(name, _SMALL), _paragraph(value, _BODY, language)]
        if len(value) > 24:
            cells += [[*waiting, "", ""]] if waiting else []
            waiting = []
            spans.append(("SPAN", (1, len(cells)), (3, len(cells))))
            cells.append([*pair, "", ""])
        elif waiting:
            cells.append([*waiting, *pair])
            waiting = []
        else:
            waiting = pair
    cells += [[*waiting, "", ""]] if waiting else []
    table = Table(cells, colWidths=[_WIDTH * share for share in (0.15, 0.35, 0.15, 0.35)], splitInRow=1)
    table.setStyle(TableStyle([*_LINES, *spans]))
    return table


_LINES: tuple[Any, ...] = (
    ("GRID", (0, 0), (-1, -1), 0.4, _RULED),
    ("VALIGN", (0, 0), (-1, -1), "TOP"),
    ("LEFTPADDING", (0, 0), (-1, -1), 3),
    ("RIGHTPADDING", (0, 0), (-1, -1), 3),
    ("TOPPADDING", (0, 0), (-1, -1), 2),
    ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
)


def _pictures(heading: str, found: Iterable[Picture], without: str, language: Language, width: float) -> list[Flowable]:
    head = _paragraph(said(language, heading), _HEAD)
    story: list[Flowable] = []
    for each in found:
        size, content = _scaled(each.content)
        shrunk = min(1.0, _TALLEST * size[0] / (width * size[1]))
        image = Image(io.BytesIO(content), width * shrunk, width * shrunk * size[1] / size[0], hAlign="LEFT")
        shown = [image, _paragraph(each.said, _SMALL), Spacer(1, 3 * mm)]
        story.append(KeepTogether(shown if story else [head, *shown]))
    return story or [head, _paragraph(without, _BODY)]


def _scaled(content: bytes) -> tuple[tuple[int, int], bytes]:
    """As large as print needs, upright; the pack has the picture itself."""
    with Pictures.open(io.BytesIO(content)) as opened:
        if opened.format == "PNG" and max(opened.size) <= _PHOTO_PIXELS:
            return opened.size, content
        opened.draft("RGB", (_PHOTO_PIXELS, _PHOTO_PIXELS))
        picture = ImageOps.exif_transpose(opened).convert("RGB")
        picture.thumbnail((_PHOTO_PIXELS, _PHOTO_PIXELS))
        written = io.BytesIO()
        picture.save(written, "JPEG", quality=80)
        return picture.size, written.getvalue()


def _frame(canvas: Canvas, case: CaseFile, language: Language) -> None:
    canvas.saveState()
    canvas.setFont(_FONT, 8)
    head = f"{said(language, 'title')}　{case.ticket['number']}"
    if case.ticket["source"] == "drill":
        head += f"　{said(language, 'drill')}"
    canvas.drawString(_MARGIN, A4[1] - 11 * mm, printable(head))
    canvas.drawRightString(A4[0] - _MARGIN, 9 * mm, said(language, "page", page=canvas.getPageNumber()))
    canvas.drawString(_MARGIN, 9 * mm, f"{said(language, 'made')} {moment(case.at)}")
    canvas.restoreState()


def captions(case: CaseFile, language: Language, phones: bool) -> list[str]:
    """What stands below each photo: who sent it, when it was taken and came, where, its note and hash."""
    found = []
    for each in case.photos:
        place = "" if each["lng"] is None else f"　{each['lng']:.6f}, {each['lat']:.6f}"
        taken = f"{said(language, 'taken')} {moment(each['taken_at'])}" if each["taken_at"] else ""
        times = f"{taken}　{said(language, 'received')} {moment(each['received_at'])}".strip()
        who = case.name("person", each["who"])
        note = each["note"] if phones else without_mobiles(each["note"])
        found.append(f"{each['id']}　{who}　{times}{place}　{note}　SHA-256 {each['sha256']}")
    return found
