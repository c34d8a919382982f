"""Photos are kept byte by byte, once, only whole pictures, so many and no larger."""

import hashlib
import io
import sys
from concurrent.futures import ThreadPoolExecutor, wait

import pytest
from PIL import Image

from alerts import photos, tables
from alerts.photos import content_of, keep, photos_of
from alerts.pictures_sent import MOST_BYTES, SMALL, media_type_of, read_picture, small_picture
from alerts.refusals import PhotoRefused
from alerts.words import Row
from core.database import reading, writing
from tests.alerts.desk_scene import LAT, LNG, Scene


def picture(kind: str = "JPEG", shade: int = 0) -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (40, 30), (shade, 90, 20)).save(made, kind)
    return made.getvalue()


@pytest.fixture
def accepted(scene: Scene) -> Scene:
    scene.detect("PLANT-1")
    scene.move("accept", "G17-01")
    return scene


def kept(scene: Scene, content: bytes, ticket: int = 1) -> Row:
    now, picture = scene.clock.now(), read_picture(content)
    with writing(scene.engine) as connection:
        return keep(connection, ticket, "G17-01", picture, now - 5, LNG, LAT, "阀门", now)


@pytest.mark.parametrize(("kind", "media_type"), [("JPEG", "image/jpeg"), ("PNG", "image/png"), ("WEBP", "image/webp")])
def test_a_photo_is_kept_as_it_came(accepted: Scene, kind: str, media_type: str) -> None:
    content = picture(kind)
    row = kept(accepted, content)
    assert (row["media_type"], row["stage"], row["who"], row["note"]) == (media_type, "accepted", "G17-01", "阀门")
    assert (row["taken_at"], row["received_at"]) == (accepted.clock.now() - 5, accepted.clock.now())
    assert (row["lng"], row["lat"]) == (LNG, LAT)
    assert row["sha256"] == hashlib.sha256(content).hexdigest()
    assert "content" not in row
    with reading(accepted.engine) as connection:
        assert content_of(connection, row["id"]) == (media_type, content)
        assert content_of(connection, 99) is None
        assert photos_of(connection, 1) == [row]
    said = accepted.rows(tables.ticket_log)[-1]
    assert (said["action"], said["details"]["sha256"]) == ("photo", row["sha256"])


def test_the_same_picture_twice_at_once_is_one(accepted: Scene) -> None:
    now = accepted.clock.now()
    with ThreadPoolExecutor(1) as pool:
        with writing(accepted.engine) as connection:
            first = keep(connection, 1, "G17-01", read_picture(picture()), now, LNG, LAT, "阀门", now)
            second = pool.submit(kept, accepted, picture())
            wait([second], 0.3)
        assert second.result(10)["id"] == first["id"]
    assert accepted.log.count("photo") == 1


def test_the_same_picture_sent_again_is_the_one_that_is_there(accepted: Scene) -> None:
    first = kept(accepted, picture())
    before = accepted.log
    assert kept(accepted, picture()) == first
    assert accepted.log == before


@pytest.mark.parametrize(
    "content",
    [b"", b"GIF89a", b"<svg/>", picture()[:60], picture("PNG")[:-20], b"\xff\xd8\xff" + b"0" * 500, b"%PDF-1.4"],
    ids=["nothing", "gif", "svg", "half a jpeg", "a png without its end", "a jpeg's first bytes", "pdf"],
)
def test_what_is_no_whole_picture_is_refused(accepted: Scene, content: bytes) -> None:
    with pytest.raises(PhotoRefused) as caught:
        kept(accepted, content)
    assert caught.value.reason == "no_picture"
    assert "photo" not in accepted.log


def test_a_picture_is_what_its_bytes_say_not_what_hides_behind_them() -> None:
    assert media_type_of(picture("GIF")) is None
    assert media_type_of(b"RIFF\x00\x00\x00\x00WAVE") is None


def test_so_large_and_so_many(accepted: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PhotoRefused) as caught:
        kept(accepted, picture() + b"0" * MOST_BYTES)
    assert (caught.value.reason, "4 MB" in caught.value.text) == ("too_large", True)
    monkeypatch.setattr(photos, "MOST_PHOTOS", 2)
    for shade in (40, 80):
        kept(accepted, picture(shade=shade))
    with pytest.raises(PhotoRefused, match="too_many"):
        kept(accepted, picture(shade=120))


def test_a_ticket_that_is_over_or_unknown_takes_none(accepted: Scene) -> None:
    with pytest.raises(PhotoRefused, match="unknown_ticket"):
        kept(accepted, picture(), 99)
    accepted.move("false_alarm", "DISP-1", cause="works")
    with pytest.raises(PhotoRefused, match="ticket_over"):
        kept(accepted, picture())


def test_without_the_extra_the_refusal_says_so(accepted: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    content = picture()
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(PhotoRefused) as caught:
        kept(accepted, content)
    assert "shouwang[reports]" in caught.value.text


def pixels(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content)).convert("RGB")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("size", [(4000, 1000), (300, 2000), (40, 30)])
def test_a_small_picture_is_small_and_never_larger_than_it_was(kind: str, size: tuple[int, int]) -> None:
    made = io.BytesIO()
    Image.new("RGB", size, "navy").save(made, kind)
    shown = pixels(small_picture(made.getvalue()) or b"")
    assert shown.width <= min(SMALL[0], size[0])
    assert shown.height <= min(SMALL[1], size[1])
    assert abs(shown.width / shown.height - size[0] / size[1]) < 0.2


def test_a_small_picture_stands_upright_and_says_nothing_of_where_it_was_taken() -> None:
    lying = Image.new("RGB", (400, 200), "red")
    lying.paste((0, 0, 255), (0, 0, 200, 200))  # the left half
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: its left is up
    exif[0x010E] = "a secret place"
    made = io.BytesIO()
    lying.save(made, "JPEG", exif=exif)
    content = small_picture(made.getvalue()) or b""
    shown = pixels(content)
    assert shown.height > shown.width
    top, bottom = shown.getpixel((60, 20)), shown.getpixel((60, shown.height - 20))
    assert isinstance(top, tuple)
    assert isinstance(bottom, tuple)
    assert (top[2] > 200, bottom[0] > 200) == (True, True)
    assert b"a secret place" not in content


def test_what_is_clear_is_white() -> None:
    made = io.BytesIO()
    Image.new("RGBA", (40, 30), (0, 0, 0, 0)).save(made, "PNG")
    assert pixels(small_picture(made.getvalue()) or b"").getpixel((5, 5)) == (255, 255, 255)


def test_no_transaction_is_open_while_a_picture_is_read(accepted: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = read_picture(picture())
    monkeypatch.setitem(sys.modules, "PIL", None)  # whatever opened a picture now would be refused
    with writing(accepted.engine) as connection:
        assert keep(connection, 1, "G17-01", looked, None, None, None, "", accepted.clock.now())["sha256"]
