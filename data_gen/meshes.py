"""The solids that scenes may use, by name, as triangle meshes with a unit normal per vertex.

A new solid is one function that returns (vertices [V, 3], normals [V, 3], triangles [T, 3]) and
one row of `MESHES`. A mesh in a file becomes one by `add_file`.
"""

import functools
import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from data_gen import teapot

Mesh = tuple[np.ndarray, np.ndarray, np.ndarray]


def sphere(n=96):
    """The unit sphere about the origin, cut along n/2 circles of latitude and n meridians.

    Args:
      n: number of meridians, even and at least 4.

    Returns:
      vertices: float64 [V, 3], on the unit sphere.
      normals: float64 [V, 3], equal to the vertices.
      triangles: int32 [T, 3], anticlockwise seen from outside.
    """
    latitude, longitude = np.meshgrid(
        np.linspace(0, np.pi, n // 2 + 1), np.linspace(0, 2 * np.pi, n + 1), indexing="ij"
    )
    vertices = np.stack(
        [
            np.sin(latitude) * np.cos(longitude),
            np.sin(latitude) * np.sin(longitude),
            np.cos(latitude),
        ],
        axis=-1,
    ).reshape(-1, 3)
    corner = (np.arange(n // 2)[:, None] * (n + 1) + np.arange(n)).ravel()
    upper = np.stack([corner, corner + n + 1, corner + 1], -1)[n:]
    lower = np.stack([corner + 1, corner + n + 1, corner + n + 2], -1)[:-n]
    return vertices, vertices.copy(), np.concatenate([upper, lower]).astype(np.int32)


def torus(n=48, tube=0.38):
    """A ring about the z axis, of radius 1 to the middle of its tube.

    Args:
      n: cuts round the ring and half as many round the tube, even and at least 6.
      tube: radius of the tube, below 1.

    Returns:
      As for `sphere`, with exact normals.
    """
    ring, around = np.meshgrid(
        np.linspace(0, 2 * np.pi, n + 1), np.linspace(0, 2 * np.pi, n // 2 + 1), indexing="ij"
    )
    normals = np.stack(
        [np.cos(around) * np.cos(ring), np.cos(around) * np.sin(ring), np.sin(around)], axis=-1
    )
    centres = np.stack([np.cos(ring), np.sin(ring), np.zeros_like(ring)], axis=-1)
    return (
        (centres + tube * normals).reshape(-1, 3),
        normals.reshape(-1, 3),
        _grid(n, n // 2),
    )


def cube():
    """The cube from -1 to 1 along each axis, with sharp edges; as for `sphere`."""
    vertices, normals = [], []
    for axis in range(3):
        for side in (-1.0, 1.0):
            for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
                corner = np.empty(3)
                corner[[axis, (axis + 1) % 3, (axis + 2) % 3]] = side, a * side, b
                vertices.append(corner)
                normals.append(side * np.eye(3)[axis])
    first = 4 * np.arange(6)[:, None]
    triangles = (first[:, None] + np.array([[0, 1, 2], [0, 2, 3]])).reshape(-1, 3)
    return np.array(vertices), np.array(normals), triangles.astype(np.int32)


def cone(n=48):
    """A cone about the z axis, its base of radius 1 at z = -1, its tip at z = 1; as for `sphere`.

    Args:
      n: corners of the base, at least 3.
    """
    return _turned([(1.0, -1.0), (0.0, 1.0)], n, base=True)


def cylinder(n=48):
    """A closed cylinder of radius 1 about the z axis, from z = -1 to 1; as for `sphere`.

    Args:
      n: corners of its base, at least 3.
    """
    return _turned([(1.0, -1.0), (1.0, 1.0)], n, base=True, top=True)


def _turned(profile, n, base=False, top=False):
    """A side, from (radius, z) to (radius, z), turned about the z axis, and flat ends."""
    (r0, z0), (r1, z1) = profile
    angle = np.linspace(0, 2 * np.pi, n + 1)
    circle = np.stack([np.cos(angle), np.sin(angle), np.zeros_like(angle)], axis=-1)
    up = np.array([0.0, 0.0, 1.0])
    slant = (z1 - z0) * circle + (r0 - r1) * up
    slant /= np.linalg.norm(slant, axis=-1, keepdims=True)
    side = np.stack([r0 * circle + z0 * up, r1 * circle + z1 * up], axis=1).reshape(-1, 3)
    pieces = [(side, np.repeat(slant, 2, axis=0), _grid(n, 1))]
    corner = np.arange(n)
    for wanted, radius, z, way in ((base, r0, z0, -1), (top, r1, z1, 1)):
        if wanted:
            disc = np.concatenate([radius * circle + z * up, [z * up]])
            fan = np.stack([corner, corner + 1, np.full(n, n + 1)], axis=-1)[:, ::way]
            pieces.append((disc, np.tile(way * up, (len(disc), 1)), fan))
    first = np.cumsum([0, *(len(piece[0]) for piece in pieces)])
    triangles = [piece[2] + start for piece, start in zip(pieces, first[:-1], strict=True)]
    vertices = np.concatenate([piece[0] for piece in pieces])
    triangles = np.concatenate(triangles).astype(np.int32)
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=-1)
    return vertices, np.concatenate([piece[1] for piece in pieces]), triangles[area > 1e-12]


def _grid(rows, columns):
    """The triangles of a grid of (rows + 1) x (columns + 1) vertices, int32 [2 rows columns, 3]."""
    corner = (np.arange(rows)[:, None] * (columns + 1) + np.arange(columns)).ravel()
    below, beside = corner + columns + 1, corner + 1
    return np.concatenate(
        [np.stack([corner, below, beside], -1), np.stack([beside, below, below + 1], -1)]
    ).astype(np.int32)


MESHES: dict[str, Callable[[], Mesh]] = {
    "teapot": functools.partial(teapot.tessellate, 16),
    "sphere": sphere,
    "cube": cube,
    "torus": torus,
    "cone": cone,
    "cylinder": cylinder,
}
# The files behind the names that `add_file` gave.
FILES: dict[str, str] = {}


def load(name):
    """Returns the mesh of that name.

    Args:
      name: a row of `MESHES`.

    Returns:
      vertices: float64 [V, 3].
      normals: float64 [V, 3], unit length.
      triangles: int32 [T, 3].

    Raises:
      ValueError: if there is no mesh of that name; the message lists those there are.
    """
    if name not in MESHES:
        hint = "; a mesh of your own: --mesh=FILE" if name.startswith("mesh-") else ""
        raise ValueError(f"unknown mesh {name!r}; valid: {', '.join(sorted(MESHES))}{hint}")
    return MESHES[name]()


@functools.cache
def centring(name):
    """Returns the [4, 4] transform that moves a mesh to the origin and scales it to a unit ball.

    The middle of its bounding box comes to the origin, the vertex farthest from there to distance
    1.

    Args:
      name: a row of `MESHES`.

    Raises:
      ValueError: if there is no mesh of that name; the message lists those there are.
    """
    vertices = load(name)[0]
    centre = (vertices.min(axis=0) + vertices.max(axis=0)) / 2
    radius = np.linalg.norm(vertices - centre, axis=-1).max()
    transform = np.eye(4) / radius
    transform[:3, 3] = -centre / radius
    transform[3, 3] = 1.0
    return transform


@functools.cache
def outline(name, directions=256):
    """Returns the vertices that lie farthest out in evenly spread directions, float64 [N, 3].

    Few points whose projection is about as large as that of the whole mesh.

    Args:
      name: a row of `MESHES`.
      directions: how many.

    Raises:
      ValueError: if there is no mesh of that name; the message lists those there are.
    """
    vertices = load(name)[0]
    # A spiral from pole to pole that turns by the golden angle.
    step = np.arange(directions) + 0.5
    height, angle = 1 - 2 * step / directions, np.pi * (3 - np.sqrt(5)) * step
    across = np.sqrt(1 - height**2)
    spread = np.stack([across * np.cos(angle), across * np.sin(angle), height])
    return vertices[np.unique((vertices @ spread).argmax(axis=0))]


def add_file(path):
    """Makes a mesh in a file known under a name that tells its shape apart from others.

    It is centred and scaled to the unit ball; whatever parts it has become one; vertices in the
    same place become one, so that the normals are smooth. The y axis of glTF files, which points
    up, becomes the z axis.

    Args:
      path: of any mesh that trimesh loads, such as .glb, .obj, .stl or .ply.

    Returns:
      Its new row in `MESHES`, such as "mesh-bunny-0123abcd": the file's stem and a hash of the
      shape.

    Raises:
      ValueError: if trimesh is not installed, or the file holds no mesh.
      OSError: if the file cannot be read.
    """
    with open(path, "rb"):
        mesh = _from_file(os.fspath(path))
    shape = hashlib.sha256(b"".join(array.tobytes() for array in mesh)).hexdigest()
    name = f"mesh-{re.sub('[^a-z0-9]', '', Path(path).stem.lower())[:24]}-{shape[:8]}"
    MESHES[name], FILES[name] = lambda: mesh, os.path.abspath(path)
    return name


def _from_file(path):
    try:
        import trimesh
    except ImportError:
        raise ValueError(
            "a mesh of your own needs trimesh: pip install 'tf_inbetween[mesh]'"
        ) from None
    try:
        loaded = trimesh.load_mesh(path, process=False)
        vertices = np.array(loaded.vertices, np.float64).reshape(-1, 3)
        triangles = np.array(loaded.faces, np.int64).reshape(-1, 3)
    except Exception as error:  # trimesh's readers raise whatever comes up.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path}: cannot be read as a mesh: {reason}") from error
    if not np.isfinite(vertices).all():
        raise ValueError(f"{path}: the mesh has vertices that are not finite")
    if len(triangles) and (triangles.min() < 0 or triangles.max() >= len(vertices)):
        raise ValueError(f"{path}: the mesh has triangles with missing vertices")
    # Vertices that no triangle uses must not count in the size.
    used, triangles = np.unique(triangles, return_inverse=True)
    vertices, triangles = vertices[used], triangles.reshape(-1, 3)
    if len(vertices):
        centre = (vertices.min(axis=0) + vertices.max(axis=0)) / 2
        radius = np.linalg.norm(vertices - centre, axis=-1).max()
        vertices = (vertices - centre) / (radius or 1.0)
    vertices, same = np.unique(np.round(vertices, 6), axis=0, return_inverse=True)
    triangles = same.reshape(-1)[triangles]
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    face = np.cross(b - a, c - a)
    has_area = np.linalg.norm(face, axis=-1) > 1e-12
    triangles, face = triangles[has_area], face[has_area]
    if not len(triangles):
        raise ValueError(f"{path}: the mesh is empty: no triangle has an area")
    if Path(path).suffix.lower() in (".glb", ".gltf"):
        vertices, face = (np.stack([v[:, 0], -v[:, 2], v[:, 1]], -1) for v in (vertices, face))
    normals = np.zeros_like(vertices)
    for k in range(3):
        np.add.at(normals, triangles[:, k], face)
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    normals = np.where(length > 1e-12, normals / np.maximum(length, 1e-12), [0.0, 0.0, 1.0])
    return vertices, normals, triangles.astype(np.int32)
