"""The teapot against its definition: counts, exact normals, a closed lid."""

import numpy as np
import pytest

from data_gen import teapot

N = 8


@pytest.fixture(scope="module")
def pot():
    vertices, normals, _ = teapot.tessellate(N)
    points, parts = teapot.control_points()
    return (
        vertices.reshape(32, N + 1, N + 1, 3),
        normals.reshape(32, N + 1, N + 1, 3),
        points,
        parts,
    )


@pytest.mark.parametrize("n", [2, 3, 8])
def test_triangle_count(n):
    vertices, normals, triangles = teapot.tessellate(n)
    assert vertices.shape == normals.shape == (32 * (n + 1) ** 2, 3)
    assert len(triangles) == 64 * n**2 - 8 * n


def test_too_coarse():
    with pytest.raises(ValueError, match="at least 2, got 1"):
        teapot.tessellate(1)


def test_normals_have_unit_length(pot):
    np.testing.assert_allclose(np.linalg.norm(pot[1], axis=-1), 1, atol=1e-12)


def test_normals_match_finite_differences(pot):
    """At points off the grid's edge, from the Bézier sum itself, by central differences."""
    _, normals, points, _ = pot

    def surface(u, v):
        def basis(t):
            return np.array([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3])

        return np.einsum("i,j,pijx->px", basis(u), basis(v), points)

    h = 1e-5
    for i, j in [(1, 1), (3, 5), (4, 4), (7, 2)]:
        u, v = i / N, j / N
        along_u = (surface(u + h, v) - surface(u - h, v)) / (2 * h)
        along_v = (surface(u, v + h) - surface(u, v - h)) / (2 * h)
        normal = np.cross(along_v, along_u)
        normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
        np.testing.assert_allclose(normals[:, i, j], normal, atol=1e-7)


def test_normals_point_outward(pot):
    """Away from the axis on the body, and away from their own centre line on handle and spout."""
    vertices, normals, _, parts = pot
    for name in ("body", "lid", "bottom"):
        radial = (vertices[parts[name], ..., :2] * normals[parts[name], ..., :2]).sum(-1)
        assert (radial > -1e-9).mean() > 0.99, name
    assert (normals[parts["bottom"], ..., 2] < 1e-9).all()
    # The spout's lip turns inward, as it should.
    for name, share in (("handle", 0.99), ("spout", 0.8)):
        side = vertices[parts[name], ..., 1] * normals[parts[name], ..., 1]
        assert (side > -1e-9).mean() > share, name


def test_triangles_wind_with_the_normals():
    vertices, normals, triangles = teapot.tessellate(N)
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    agree = (np.cross(b - a, c - a) * normals[triangles].mean(axis=1)).sum(-1)
    assert (agree > 0).all()


def test_degenerate_normals_lie_on_the_axis(pot):
    vertices, normals, _, parts = pot
    for name, z in (("lid", 1.0), ("bottom", -1.0)):
        on_axis = np.linalg.norm(vertices[parts[name], ..., :2], axis=-1) < 1e-9
        assert on_axis.sum() >= N
        np.testing.assert_allclose(
            normals[parts[name]][on_axis], np.tile([0, 0, z], (on_axis.sum(), 1)), atol=1e-9
        )


def test_lid_is_closed(pot):
    """The lid's edge reaches the inner edge of the rim, at the same height."""
    vertices, _, _, parts = pot
    lid = vertices[parts["lid"]].reshape(-1, 3)
    rim = vertices[parts["rim"]].reshape(-1, 3)
    assert lid[:, 2].min() == pytest.approx(rim[:, 2].min(), abs=1e-6)

    def lowest_radii(points):
        lowest = points[points[:, 2] < points[:, 2].min() + 1e-9]
        radii = np.linalg.norm(lowest[:, :2], axis=-1)
        return np.sort(radii[radii < 1.45])

    np.testing.assert_allclose(lowest_radii(lid), lowest_radii(rim), rtol=1e-3)


def test_size(pot):
    vertices = pot[0].reshape(-1, 3)
    np.testing.assert_allclose(vertices.min(axis=0), [-3, -2, 0], atol=1e-9)
    assert vertices[:, 2].max() == pytest.approx(3.15 * 1.3)
