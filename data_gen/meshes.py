"""The solids that scenes may use, by name, as triangle meshes with a unit normal per vertex.

A new solid is one function that returns (vertices [V, 3], normals [V, 3], triangles [T, 3]) and
one row of `MESHES`.
"""

import functools
from collections.abc import Callable

import numpy as np

from data_gen import teapot

Mesh = tuple[np.ndarray, np.ndarray, np.ndarray]


def sphere(n: int = 96) -> Mesh:
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


MESHES: dict[str, Callable[[], Mesh]] = {
    "teapot": functools.partial(teapot.tessellate, 16),
    "sphere": sphere,
}


def load(name: str) -> Mesh:
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
        raise ValueError(f"unknown mesh {name!r}; valid: {', '.join(sorted(MESHES))}")
    return MESHES[name]()
