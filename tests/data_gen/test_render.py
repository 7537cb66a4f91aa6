"""The renderer against pictures that can be worked out by hand, mostly of spheres."""

import dataclasses

import numpy as np
import pytest

from data_gen import meshes, render, scenes
from data_gen.scenes import Camera, Light, Part, View

RED, BLUE, WHITE, BLACK = (1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)
CAMERA = Camera(position=(0, -5, 0), target=(0, 0, 0), field_of_view=40)
GLOWING = View(CAMERA, Light((0, -1, 0), ambient=1.0, diffuse=0.0), BLACK)


def ball(centre=(0, 0, 0), scale=(1, 1, 1), colour=WHITE):
    transform = np.diag([*scale, 1.0])
    transform[:3, 3] = centre
    return Part("sphere", transform, colour)


def linear(picture):
    """The inverse of the sRGB encoding, IEC 61966-2-1."""
    s = picture / 255.0
    return np.where(s <= 0.04045, s / 12.92, ((s + 0.055) / 1.055) ** 2.4)


def srgb(value):
    value = np.clip(value, 0, 1)
    return 255 * np.where(value <= 0.0031308, 12.92 * value, 1.055 * value ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("radius", [0.5, 1.0, 1.4])
def test_silhouette_area(radius):
    """A ball of radius r at distance D covers a disc of radius r / sqrt(D^2 - r^2) at depth 1."""
    picture = render.Renderer(GLOWING, 64, 1, 8).render([ball(scale=[radius] * 3)])
    disc = np.pi * radius**2 / (5**2 - radius**2)
    frame = (2 * np.tan(np.radians(20))) ** 2
    assert linear(picture).mean() == pytest.approx(disc / frame, rel=5e-3)


def hit_on_unit_ball(row, column, size):
    """The point and normal that the ray through a pixel's centre meets first."""
    half = np.tan(np.radians(20))
    ray = np.array([((column + 0.5) / size * 2 - 1) * half, 1, (1 - (row + 0.5) / size * 2) * half])
    ray /= np.linalg.norm(ray)
    origin = np.array(CAMERA.position, float)
    b = origin @ ray
    t = -b - np.sqrt(b**2 - (origin @ origin - 1))
    return origin + t * ray, -ray


@pytest.mark.parametrize("light", [(1.0, -1.0, 1.0), (-2.0, -0.5, 0.3), (0.0, 1.0, 0.2)])
def test_lambert(light):
    size, ambient, diffuse, colour = 64, 0.05, 0.8, np.array([0.9, 0.5, 0.2])
    view = View(CAMERA, Light(light, ambient, diffuse), BLACK)
    picture = render.Renderer(view, size, 3, 1).render([ball(colour=tuple(colour))])
    to_light = np.array(light) / np.linalg.norm(light)
    for row, column in [(31, 31), (20, 25), (40, 44), (24, 40)]:
        normal, _ = hit_on_unit_ball(row, column, size)
        expected = srgb(colour * (ambient + diffuse * max(normal @ to_light, 0)))
        np.testing.assert_allclose(picture[row, column], expected, atol=2)


def test_highlight():
    """Blinn-Phong: white, strongest where the normal halves the angle between lamp and eye."""
    light = Light((1.0, -1.0, 1.0), 0.0, 0.0, specular=0.6, shininess=20.0)
    picture = render.Renderer(View(CAMERA, light, BLACK), 64, 3, 1).render([ball(colour=RED)])
    to_light = np.array(light.direction) / np.sqrt(3)
    for row, column in [(31, 31), (24, 38), (20, 40)]:
        normal, to_eye = hit_on_unit_ball(row, column, 64)
        halfway = (to_light + to_eye) / np.linalg.norm(to_light + to_eye)
        expected = srgb(0.6 * max(normal @ halfway, 0) ** 20)
        np.testing.assert_allclose(picture[row, column], [expected] * 3, atol=3)


def test_normals_of_a_stretched_ball():
    """They go by the inverse transpose: the ellipsoid (x/2)^2 + y^2 + z^2 = 1, seen off-centre."""
    view = View(CAMERA, Light((1.0, -1.0, 0.0), 0.0, 1.0), BLACK)
    picture = render.Renderer(view, 65, 1, 1).render([ball(scale=(2, 1, 1))])
    column = 45
    x = ((column + 0.5) / 65 * 2 - 1) * np.tan(np.radians(20))
    # (x t / 2)^2 + (t - 5)^2 = 1 for the distance t along y.
    a, b, c = x**2 / 4 + 1, -10.0, 24.0
    t = (-b - np.sqrt(b * b - 4 * a * c)) / (2 * a)
    normal = np.array([x * t / 4, t - 5, 0])
    normal /= np.linalg.norm(normal)
    expected = srgb(max(normal @ [1, -1, 0] / np.sqrt(2), 0))
    assert picture[32, column, 0] == pytest.approx(float(expected), abs=2)


def test_seen_from_inside():
    """From the middle of a ball its inside is lit by a lamp in there with us."""
    camera = dataclasses.replace(CAMERA, position=(0, -0.1, 0), target=(0, 1, 0))
    view = View(camera, Light((0, -1, 0), 0.0, 1.0), BLACK)
    picture = render.Renderer(view, 9, 1, 1).render([ball()])
    assert picture[4, 4, 0] >= 254
    away = View(camera, Light((0, 1, 0), 0.0, 1.0), BLACK)
    assert render.Renderer(away, 9, 1, 1).render([ball()])[4, 4, 0] == 0


@pytest.mark.parametrize("swap", [False, True])
def test_the_nearer_part_hides_the_farther(swap):
    """Whatever the order of the parts, and although the farther one is scaled up."""
    parts = [ball((0, -2, 0), [0.3] * 3, RED), ball((0, 2, 0), [1.5] * 3, BLUE)]
    picture = render.Renderer(GLOWING, 64, 3, 1).render(parts[::-1] if swap else parts)
    np.testing.assert_array_equal(picture[32, 32], [255, 0, 0])
    np.testing.assert_array_equal(picture[32, 44], [0, 0, 255])
    np.testing.assert_array_equal(picture[0, 0], [0, 0, 0])


def test_parts_that_pass_through_each_other():
    """Two equal balls side by side meet in the plane between them."""
    parts = [ball((-0.4, 0, 0), colour=RED), ball((0.4, 0, 0), colour=BLUE)]
    picture = render.Renderer(GLOWING, 64, 3, 1).render(parts)
    assert (picture[32, 12:32] == [255, 0, 0]).all()
    assert (picture[32, 32:52] == [0, 0, 255]).all()


def test_a_part_out_of_sight_leaves_the_background():
    view = dataclasses.replace(GLOWING, background=(0.0, 0.5, 0.0))
    renderer = render.Renderer(view, 16, 3, 2)
    empty = renderer.render([])
    np.testing.assert_array_equal(np.unique(empty.reshape(-1, 3), axis=0), [[0, 188, 0]])
    for centre in [(50, 0, 0), (0, 0, -50), (0, -20, 0)]:
        np.testing.assert_array_equal(renderer.render([ball(centre)]), empty)


def test_supersampling_converges():
    scene = scenes.get("teapot_1dof")
    parts = scene.parts([20.0])

    def picture(samples):
        return render.Renderer(scene.view, 64, 3, samples).render(parts).astype(float)

    truth = picture(16)
    errors = [np.sqrt(np.mean((picture(s) - truth) ** 2)) for s in (1, 2, 4, 8)]
    assert errors == sorted(errors, reverse=True)
    assert errors[2] < 1.0 < errors[0]


def test_grey_is_the_luminance():
    scene = scenes.get("teapot_1dof")
    parts = scene.parts([100.0])
    colour = render.Renderer(scene.view, 32, 3, 2).render(parts)
    grey = render.Renderer(scene.view, 32, 1, 2).render(parts)
    assert grey.shape == (32, 32, 1)
    expected = srgb(linear(colour) @ [0.2126, 0.7152, 0.0722])
    np.testing.assert_allclose(grey[..., 0], expected, atol=1.5)


def test_same_parts_same_bytes():
    scene = scenes.get("teapot_1dof")
    first, second = (
        render.Renderer(scene.view, 32, 3, 2).render(scene.parts([33.3])) for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)


def test_teapot_fills_the_frame_and_stands_upright():
    scene = scenes.get("teapot_1dof")
    renderer = render.Renderer(scene.view, 128, 3, 1)
    background = renderer.render([])[0, 0]
    seen = np.stack(
        [(renderer.render(scene.parts([a])) != background).any(-1) for a in range(0, 360, 10)]
    )
    columns = np.flatnonzero(seen.any(axis=(0, 1)))
    rows = np.flatnonzero(seen.any(axis=(0, 2)))
    assert 0.92 < np.ptp(columns) / 128 < 0.98
    assert columns[0] >= 2
    assert columns[-1] <= 125
    assert np.ptp(rows) / 128 > 0.6
    assert abs(rows.mean() - 63.5) < 3
    at_zero = seen[0]
    lid, belly = at_zero[rows[0] + 12].sum(), at_zero[rows[0] + 50].sum()
    assert lid < belly, "the lid is above the belly"
    spout = np.flatnonzero(at_zero[:, columns[-1] - 10 : columns[-1]].any(axis=1))
    assert spout.mean() < 63.5, "the spout's mouth is high, on the right at 0 degrees"


def test_front_and_back_of_the_teapot_differ():
    scene = scenes.get("teapot_1dof")
    renderer = render.Renderer(scene.view, 64, 1, 2)
    front, back = (renderer.render(scene.parts([a])).astype(float) for a in (270.0, 90.0))
    neighbour = renderer.render(scene.parts([271.0])).astype(float)
    assert np.mean((front - back) ** 2) > 10 * np.mean((front - neighbour) ** 2)


def test_bad_arguments():
    with pytest.raises(ValueError, match="channels must be 1 or 3, got 4"):
        render.Renderer(GLOWING, 8, 4)
    with pytest.raises(ValueError, match="at least 1"):
        render.Renderer(GLOWING, 0)
    with pytest.raises(ValueError, match=r"unknown mesh 'teapto'; valid: .*sphere, teapot"):
        render.Renderer(GLOWING, 8).render([Part("teapto", np.eye(4), WHITE)])


def test_sphere_mesh():
    vertices, normals, triangles = meshes.sphere(32)
    np.testing.assert_allclose(np.linalg.norm(vertices, axis=-1), 1)
    np.testing.assert_array_equal(vertices, normals)
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    face = np.cross(b - a, c - a)
    assert ((face * (a + b + c)).sum(-1) > 0).all(), "anticlockwise from outside, none degenerate"
    assert np.linalg.norm(face, axis=-1).sum() / 2 == pytest.approx(4 * np.pi, rel=0.02)
