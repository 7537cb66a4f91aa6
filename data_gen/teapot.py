"""The Utah teapot as a triangle mesh with exact normals.

The pot is Martin Newell's 32 bicubic Bézier patches (1975), here with two corrections: the height
is multiplied by 1.3, which gives back the original, taller pot (it was flattened for a display
with oblong pixels), and the lid is widened by 1.077, which closes the gap between lid and rim.

    S(u, v) = sum_ij B_i(u) B_j(v) P_ij,    n = dS/dv x dS/du

The pot stands on z = 0 with z up, the spout along +x and the handle along -x. Lengths are in the
units of the original data, in which the body has a radius of 2.
"""

import json
from pathlib import Path

import numpy as np

_PATCHES = Path(__file__).with_name("teapot_patches.json")
_HEIGHT = 1.3
_LID_WIDTH = 1.077


def control_points():
    """Returns the corrected control points and which patches belong to which part of the pot.

    Returns:
      points: float64 [32, 4, 4, 3], the control points P_ij of each patch.
      parts: the patches of "rim", "body", "handle", "spout", "lid" and "bottom".
    """
    data = json.loads(_PATCHES.read_text(encoding="utf-8"))
    parts = {name: slice(*bounds) for name, bounds in data["parts"].items()}
    patches = np.array(data["patches"]).reshape(32, 4, 4)
    points = np.array(data["control_points"], np.float64)[patches]
    points[..., 2] *= _HEIGHT
    points[parts["lid"], ..., :2] *= _LID_WIDTH
    return points, parts


def tessellate(n):
    """Cuts every patch into n x n squares of two triangles.

    Triangles that degenerate to a line, at the tip of the lid and at the centre of the bottom, are
    left out. Patches share no vertices, so creases between them stay sharp.

    Args:
      n: squares along each side of a patch, at least 2.

    Returns:
      vertices: float64 [32 (n+1)^2, 3].
      normals: float64 [32 (n+1)^2, 3], unit length, outward, from the derivatives of the patches.
      triangles: int32 [64 n^2 - 8 n, 3], anticlockwise seen from outside.

    Raises:
      ValueError: if n < 2.
    """
    if n < 2:
        raise ValueError(f"n must be at least 2, got {n}")
    points, parts = control_points()
    basis, slope = _bernstein(np.linspace(0.0, 1.0, n + 1))

    vertices = np.einsum("ui,vj,pijx->puvx", basis, basis, points)
    along_u = np.einsum("ui,vj,pijx->puvx", slope, basis, points)
    along_v = np.einsum("ui,vj,pijx->puvx", basis, slope, points)
    normals = np.cross(along_v, along_u)
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    # A patch side that shrinks to a point has no cross product there: the pot's axis is its normal.
    axis = np.zeros((32, 1, 1, 3))
    axis[parts["lid"], ..., 2] = 1.0
    axis[parts["bottom"], ..., 2] = -1.0
    normals = np.where(length > 1e-9, normals / np.maximum(length, 1e-9), axis)

    corner = np.arange(n)[:, None] * (n + 1) + np.arange(n)
    square = np.stack([corner, corner + 1, corner + n + 2, corner + n + 1], -1).reshape(-1, 4)
    square = (np.arange(32)[:, None, None] * (n + 1) ** 2 + square).reshape(-1, 4)
    triangles = np.concatenate([square[:, [0, 1, 2]], square[:, [0, 2, 3]]])
    vertices, normals = vertices.reshape(-1, 3), normals.reshape(-1, 3)
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=-1)
    return vertices, normals, triangles[area > 1e-12].astype(np.int32)


def _bernstein(t):
    """The four cubic Bernstein polynomials and their derivatives at t [N], each [N, 4]."""
    s = 1.0 - t
    basis = np.stack([s**3, 3 * t * s**2, 3 * t**2 * s, t**3], -1)
    slope = np.stack([-3 * s**2, 3 * s**2 - 6 * t * s, 6 * t * s - 3 * t**2, 3 * t**2], -1)
    return basis, slope
