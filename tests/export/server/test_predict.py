"""Pictures in a request: refused by their headers, before they are decoded, or taken."""

import io

import PIL.Image
import pytest
from request_bodies import b64, png_of


@pytest.mark.parametrize(
    ("pictures", "error"),
    [
        ([png_of(101, 100)], "have more than 10000 pixels, the server's --max_image_pixels"),
        ([png_of(100, 60), png_of(100, 60)], "have more than 10000 pixels"),
        ([png_of(40_000, 40_000)], "have more than 10000 pixels"),
        ([png_of(2**31 - 1, 2**31 - 1)], "have more than 10000 pixels"),
        ([png_of(10, 10)[:20]], "input 'image_bytes' has a PNG picture that cannot be read"),
        ([b"\xff\xd8\xff\xe0"], "input 'image_bytes' has a JPEG picture that cannot be read"),
        ([b"\xff\x0a"], "input 'image_bytes' has a JPEG XL picture"),
        ([b"BM" + bytes(10_000)], "have more than 10000 pixels"),
    ],
)
def test_pictures_that_are_refused_before_they_are_decoded(predict, pictures, error):
    columns = {"image_bytes": [b64(p) for p in pictures], "tag": [""] * len(pictures)}
    status, answer = predict(signature_name="strings", inputs=columns)
    assert status == 400
    assert error in answer["error"]


def test_pictures_that_are_taken(predict):
    contents = [png_of(100, 50), png_of(50, 100), b"", b"GIF", b"no picture"]
    columns = {"image_bytes": [b64(content) for content in contents], "tag": [""] * 5}
    assert predict(signature_name="strings", inputs=columns)[0] == 200
    for form in ("PNG", "JPEG", "WEBP", "BMP", "GIF"):
        content = io.BytesIO()
        PIL.Image.new("RGB", (100, 20)).save(content, form)
        columns = {"image_bytes": [b64(content.getvalue())], "tag": [""]}
        assert predict(signature_name="strings", inputs=columns)[0] == 200


def test_an_animated_gif_is_refused(predict):
    frames = [PIL.Image.new("RGB", (8, 8), color) for color in ("red", "blue", "green")]
    content = io.BytesIO()
    frames[0].save(content, "GIF", save_all=True, append_images=frames[1:])
    columns = {"image_bytes": [b64(content.getvalue())], "tag": [""]}
    status, answer = predict(signature_name="strings", inputs=columns)
    assert status == 400
    assert "has an animated GIF" in answer["error"]
