"""Photos of a ticket from the desk's page: kept as they came, refused when they are none."""

import io

import httpx
from PIL import Image

from tests.console.console_scene import Town, Visit


def picture(colour: str = "navy", kind: str = "PNG") -> bytes:
    held = io.BytesIO()
    Image.new("RGB", (40, 30), colour).save(held, kind)
    return held.getvalue()


def send(client: httpx.Client, number: str, *contents: bytes, note: str = "") -> httpx.Response:
    files = [("photos", (f"{n}.png", content, "image/png")) for n, content in enumerate(contents)]
    return client.post(f"/tickets/{number}/photos", files=files, data={"note": note})


def test_photos_are_kept_and_shown_as_they_came(town: Town, visit: Visit) -> None:
    town.alert()
    desk, number = visit("disp"), town.ticket()["number"]
    one, other = picture(), picture("red", "JPEG")
    assert send(desk, number, one, other, note="井盖<移位>").headers["location"] == f"/tickets/{number}?done=photo"
    page = desk.get(f"/tickets/{number}").text
    assert 'src="/photos/1/small"' in page
    assert 'src="/photos/2/small"' in page
    assert "井盖&lt;移位&gt;" in page
    shown = desk.get("/photos/2")
    assert (shown.content, shown.headers["content-type"]) == (other, "image/jpeg")
    assert shown.headers["x-content-type-options"] == "nosniff"
    assert visit().get("/photos/2").status_code == 303
    assert visit("g01").get("/photos/2").status_code == 403
    assert desk.get("/photos/3").status_code == 404
    for small in [desk.get("/photos/2/small") for _ in range(2)]:
        assert (small.headers["content-type"], small.content[:3]) == ("image/jpeg", b"\xff\xd8\xff")
    assert visit("g01").get("/photos/2/small").status_code == 403
    assert desk.get("/photos/3/small").status_code == 404


def test_what_is_no_photo_is_refused_and_says_why(town: Town, visit: Visit) -> None:
    town.alert()
    desk, number = visit("disp"), town.ticket()["number"]
    wrong = send(desk, number, b"\x89PNG\r\n\x1a\n but no picture")
    assert wrong.status_code == 409
    assert "不是 JPEG、PNG 或 WebP 图片" in wrong.text
    assert send(desk, number, bytes(4 * 1024 * 1024 + 1)).status_code == 409
    assert send(desk, number, bytes(13 * 1024 * 1024)).status_code == 413
    assert send(desk, "20000101-0001", picture()).status_code == 404


def test_an_ended_ticket_takes_no_more_photos(town: Town, visit: Visit) -> None:
    town.alert()
    desk, number = visit("disp"), town.ticket()["number"]
    assert desk.post(f"/tickets/{number}/moves/void", data={"opinion": "误建"}).status_code == 303
    assert 'data-action="photo"' not in desk.get(f"/tickets/{number}").text
    assert "工单已结束" in send(desk, number, picture()).text
