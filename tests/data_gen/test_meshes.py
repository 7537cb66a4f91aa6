"""The solids: closed, outward, of the right area; and meshes of one's own."""

import sys

import numpy as np
import pytest
import trimesh

from data_gen import meshes, pool, scenes

SLANT = np.sqrt(5)


@pytest.fixture(autouse=True)
def forget_files(monkeypatch):
    monkeypatch.setattr(meshes, "MESHES", dict(meshes.MESHES))
    monkeypatch.setattr(meshes, "FILES", {})


def faces(mesh):
    vertices, _, triangles = mesh
    corners = vertices[triangles]
    return corners, np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])


@pytest.mark.parametrize(
    ("name", "area", "volume"),
    [
        ("sphere", 4 * np.pi, 4 / 3 * np.pi),
        ("cube", 24.0, 8.0),
        ("torus", 4 * np.pi**2 * 0.38, 2 * np.pi**2 * 0.38**2),
        ("cone", np.pi * (1 + SLANT), 2 / 3 * np.pi),
        ("cylinder", 6 * np.pi, 2 * np.pi),
    ],
)
def test_area_volume_and_sides(name, area, volume):
    """A closed surface, all its triangles anticlockwise, holds the volume the formula says."""
    mesh = meshes.load(name)
    corners, face = faces(mesh)
    assert np.linalg.norm(face, axis=-1).sum() / 2 == pytest.approx(area, rel=0.02)
    assert np.linalg.det(corners).sum() / 6 == pytest.approx(volume, rel=0.03)
    assert (np.linalg.norm(face, axis=-1) > 0).all()
    _, normals, triangles = mesh
    np.testing.assert_allclose(np.linalg.norm(normals, axis=-1), 1)
    assert (np.einsum("tki,ti->tk", normals[triangles], face) > 0).all(), "outward"


@pytest.mark.parametrize("name", sorted(meshes.MESHES))
def test_centring(name):
    vertices = meshes.load(name)[0]
    transform = meshes.centring(name)
    moved = vertices @ transform[:3, :3].T + transform[:3, 3]
    np.testing.assert_allclose(moved.min(axis=0), -moved.max(axis=0), atol=1e-12)
    assert np.linalg.norm(moved, axis=-1).max() == pytest.approx(1)


@pytest.mark.parametrize("name", sorted(meshes.MESHES))
def test_outline_is_about_as_wide_as_the_mesh(name):
    """From any side, within 2 % of the mesh's size."""
    vertices, outline = meshes.load(name)[0], meshes.outline(name)
    assert len(outline) <= 256
    directions = np.random.default_rng(0).normal(size=(3, 200))
    directions /= np.linalg.norm(directions, axis=0)
    short = (vertices @ directions).max(axis=0) - (outline @ directions).max(axis=0)
    assert (short >= 0).all()
    assert short.max() < 0.02 * np.ptp(vertices, axis=0).max()


@pytest.fixture
def brick(tmp_path):
    """A brick of 2 x 4 x 6 far from the origin, in several formats."""
    mesh = trimesh.creation.box((2, 4, 6))
    mesh.apply_translation((10, 20, 30))

    def save(name):
        mesh.export(tmp_path / name)
        return tmp_path / name

    return save


@pytest.mark.parametrize("name", ["My Brick.obj", "b.stl", "b.ply", "b.glb", "b.off"])
def test_mesh_of_ones_own(brick, name):
    known = meshes.add_file(brick(name))
    vertices, normals, triangles = meshes.load(known)
    assert (vertices.shape, triangles.shape) == ((8, 3), (12, 3)), "corners are shared"
    size = np.array([2, 6, 4] if name.endswith("glb") else [2, 4, 6]) / np.sqrt(4 + 16 + 36) * 2
    np.testing.assert_allclose(np.ptp(vertices, axis=0), size, atol=1e-5)
    np.testing.assert_allclose(vertices.min(axis=0), -vertices.max(axis=0), atol=1e-5)
    assert (normals * vertices > 0).all(), "at a corner, outward on each axis: smooth"
    corners, face = faces((vertices, normals, triangles))
    assert np.linalg.det(corners).sum() > 0
    assert len(face) == 12


def test_name_of_a_mesh_of_ones_own(brick):
    name = meshes.add_file(brick("My Brick.obj"))
    assert name.startswith("mesh-mybrick-")
    assert meshes.add_file(brick("My Brick.obj")) == name

    assert scenes.variant("teapot_2dof", mesh=name) == f"teapot_2dof_{name}"
    assert scenes.parse(f"teapot_2dof_{name}_light")[1] == {"mesh": name, "light": True}
    with pytest.raises(ValueError, match="'fast_motion' has no setting mesh"):
        scenes.variant("fast_motion", mesh=name)


@pytest.mark.parametrize("scene", ["teapot_1dof", "teapot_2dof", "teapot_6dof", "objects"])
def test_mesh_of_ones_own_in_a_scene(brick, scene):
    """Drawn by a worker as in this process, and not as the teapot is."""
    own = scenes.get(scenes.variant(scene, mesh=meshes.add_file(brick("b.ply"))))
    pose = own.clip("train", 0, 0).poses[0]
    drawn = []
    for workers in (0, 1):
        with pool.RenderPool(own.view, 32, 3, 1, workers) as renderers:
            drawn += list(renderers.render([scenes.Picture(own.parts(pose))]))
    np.testing.assert_array_equal(*drawn)
    with pool.RenderPool(own.view, 32, 3, 1, 0) as renderers:
        (teapot,) = renderers.render([scenes.Picture(scenes.get(scene).parts(pose))])
    assert (drawn[0] != teapot).any()
    edge = np.concatenate([drawn[0][0], drawn[0][-1], drawn[0][:, 0], drawn[0][:, -1]])
    assert len(np.unique(edge, axis=0)) == 1


def test_no_such_mesh_here():
    with pytest.raises(ValueError, match=r"unknown mesh 'mesh-b-01234567'; .*--mesh=FILE"):
        scenes.get("teapot_2dof_mesh-b-01234567").parts([0.0, 0.0])


@pytest.mark.parametrize(
    ("name", "contents", "message"),
    [
        ("empty.obj", b"", "empty.obj: "),
        (
            "flat.off",
            b"OFF\n3 1 0\n0 0 0\n1 0 0\n2 0 0\n3 0 1 2\n",
            "no triangle has an area",
        ),
        ("text.glb", b"hello", "text.glb: cannot be read as a mesh"),
        ("short.stl", b"solid x\nfacet", "short.stl: "),
        ("nan.off", b"OFF\n3 1 0\n0 0 0\n1 0 nan\n0 1 0\n3 0 1 2\n", "not finite"),
        ("mesh.xyzabc", b"?", "mesh.xyzabc: cannot be read as a mesh"),
        ("points.obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\n", "points.obj: "),
    ],
)
def test_broken_mesh(tmp_path, name, contents, message):
    path = tmp_path / name
    path.write_bytes(contents)
    with pytest.raises(ValueError, match=message) as raised:
        meshes.add_file(path)
    assert "\n" not in str(raised.value)
    assert not meshes.FILES


def test_missing_mesh(tmp_path):
    with pytest.raises(FileNotFoundError):
        meshes.add_file(tmp_path / "no.glb")


def test_without_trimesh(brick, monkeypatch):
    path = brick("b.obj")
    monkeypatch.setitem(sys.modules, "trimesh", None)
    with pytest.raises(ValueError, match=r"needs trimesh: pip install 'tf_inbetween\[mesh\]'"):
        meshes.add_file(path)
