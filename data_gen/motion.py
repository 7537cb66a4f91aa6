"""Motion at an even pace, as plain functions of numbers: lines, rotations, walls and chains.

Rotations are unit quaternions (w, x, y, z): w = cos(a/2), and (x, y, z) is sin(a/2) times the axis.
q and -q are the same rotation.
"""

import numpy as np


def line(start, end, frames):
    """Goes straight from one point to another at an even pace.

    Args:
      start, end: [P].
      frames: K, at least 2.

    Returns:
      float64 [K, P]; the first row is start, the last one end.
    """
    t = np.linspace(0.0, 1.0, frames)[:, None]
    return (1 - t) * np.asarray(start, np.float64) + t * np.asarray(end, np.float64)


def uniform_rotation(rng):
    """Draws a rotation evenly from all of SO(3): a normal vector in four dimensions, normalised.

    Returns:
      float64 [4], a unit quaternion with w >= 0.
    """
    quaternion = rng.normal(size=4)
    quaternion /= np.linalg.norm(quaternion)
    return quaternion if quaternion[0] >= 0 else -quaternion


def slerp(start, end, frames):
    """Turns from one rotation to another about one axis, the shorter way, at an even pace.

    K. Shoemake, Animating Rotation with Quaternion Curves, SIGGRAPH 1985.

    Args:
      start, end: [4], unit quaternions.
      frames: K, at least 2.

    Returns:
      float64 [K, 4], unit quaternions without a jump of sign; the first is start, the last is end
      or -end.
    """
    start, end = np.asarray(start, np.float64), np.asarray(end, np.float64)
    if start @ end < 0:
        end = -end
    half_angle = 2 * np.arctan2(np.linalg.norm(end - start), np.linalg.norm(end + start))
    t = np.linspace(0.0, 1.0, frames)[:, None]
    if half_angle < 1e-6:
        quaternions = (1 - t) * start + t * end
    else:
        quaternions = np.sin((1 - t) * half_angle) * start + np.sin(t * half_angle) * end
    return quaternions / np.linalg.norm(quaternions, axis=-1, keepdims=True)


def quaternion_matrix(quaternion):
    """Returns the float64 [3, 3] matrix of a unit quaternion [4]."""
    w, x, y, z = quaternion
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def rotation(axis, degrees):
    """Returns the [3, 3] rotation about "x", "y" or "z", anticlockwise seen against the axis."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    matrix = np.eye(3)
    matrix[i, i] = matrix[j, j] = c
    matrix[j, i], matrix[i, j] = s, -s
    return matrix


def placed(matrix, position=(0.0, 0.0, 0.0), scale=1.0):
    """Returns the [4, 4] transform that scales, then rotates, then moves.

    Args:
      matrix: [3, 3].
      position: [3].
      scale: one factor, or [3], one for each of the solid's own axes.
    """
    transform = np.eye(4)
    transform[:3, :3] = np.asarray(matrix) * scale
    transform[:3, 3] = position
    return transform


def reflect(path, low, high):
    """Folds a straight path into the room between two walls.

    A point that flies straight on through mirror images of the room is the one that bounces in it,
    so a path at an even pace stays at an even pace.

    Args:
      path: any shape, where the points would be without walls.
      low, high: the walls, low < high; broadcast against path.

    Returns:
      float64, the shape of path, within [low, high].
    """
    width = np.asarray(high, np.float64) - low
    folded = np.mod(path - np.asarray(low, np.float64), 2 * width)
    return low + width - np.abs(folded - width)


def forward_kinematics(angles, lengths):
    """Where the joints of a chain in a plane are.

    Args:
      angles: [N] degrees. The first is that of link 0 from straight up, clockwise; each further one
        is that of a link from the direction of the link before it.
      lengths: [N], of the links.

    Returns:
      joints: float64 [N + 1, 2], (right, up), from the base at (0, 0) to the tip.
      headings: float64 [N] degrees, of each link from straight up, clockwise.
    """
    headings = np.cumsum(np.asarray(angles, np.float64))
    radians = np.radians(headings)
    steps = np.stack([np.sin(radians), np.cos(radians)], -1) * np.asarray(lengths)[:, None]
    return np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)]), headings
