"""Draws the parts of a scene by casting rays with Embree: the one file that imports the renderer.

A part that moves leaves its mesh, and so the search tree over its triangles, where it is: the
rays are moved into the part's coordinates instead. Their directions are not normalised on the
way, so a hit's distance means the same for every part and the nearest part wins.

Shading is Lambert + ambient + Blinn-Phong highlight from interpolated normals, two-sided, without
shadows. A pixel is the mean of samples x samples rays on a regular grid, taken in linear light,
and then encoded to sRGB (IEC 61966-2-1).
"""

import functools

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene

from data_gen import meshes

# Relative luminance of linear RGB, ITU-R BT.709.
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)


class Renderer:
    """Draws pictures of one view; everything that the frames share is computed once."""

    def __init__(self, view, image_size, channels=3, samples=4):
        """Prepares the rays.

        Args:
          view: camera, light and background.
          image_size: height and width in pixels, at least 1.
          channels: 3 for RGB, 1 for luminance.
          samples: rays along each side of a pixel, at least 1.

        Raises:
          ValueError: on a size, a number of channels or samples out of range.
        """
        if image_size < 1 or samples < 1:
            raise ValueError(
                f"image_size and samples must be at least 1, got {image_size} and {samples}"
            )
        if channels not in (1, 3):
            raise ValueError(f"channels must be 1 or 3, got {channels}")
        self._size, self._channels, self._samples = image_size, channels, samples
        camera, light = view.camera, view.light
        self._origin = np.array(camera.position, np.float64)
        forward = _unit(np.array(camera.target) - self._origin)
        right = _unit(np.cross(forward, (0.0, 0.0, 1.0)))
        up = np.cross(right, forward)
        half_width = np.tan(np.radians(camera.field_of_view) / 2)
        # World coordinates relative to the camera -> (column, row, depth), each pixel 1 wide.
        to_pixels = np.array(
            [[image_size / 2, 0, image_size / 2], [0, -image_size / 2, image_size / 2], [0, 0, 1]]
        )
        self._project = to_pixels @ np.stack([right / half_width, up / half_width, forward])

        grid = (np.arange(image_size * samples) + 0.5) * (2 / (image_size * samples)) - 1
        x, y = np.meshgrid(grid * half_width, -grid * half_width)
        rays = forward + x[..., None] * right + y[..., None] * up
        rays = rays.reshape(image_size, samples, image_size, samples, 3).swapaxes(1, 2)
        self._rays = np.ascontiguousarray(
            rays.reshape(image_size, image_size, samples**2, 3), np.float32
        )
        self._light, self._background = light, view.background
        self._aimed_at = None
        self._aim(tuple(light.direction))

    def _aim(self, direction):
        """Lights what is drawn next from a direction; the pictures of a clip share it."""
        if direction == self._aimed_at:
            return
        self._aimed_at = direction
        self._to_light = _unit(np.array(direction, np.float64)).astype(np.float32)
        self._halfway = _unit(self._to_light - _unit(self._rays))

    def render(self, parts, light=None, background=None):
        """Draws one picture.

        Args:
          parts: the solids, in any order.
          light: from the solids towards the lamp; None for the view's.
          background: linear RGB; None for the view's.

        Returns:
          uint8 [image_size, image_size, channels], sRGB-encoded.

        Raises:
          ValueError: on an unknown mesh.
        """
        self._aim(tuple(light or self._light.direction))
        background = np.array(background or self._background, np.float32)
        picture = np.tile(background, (self._size, self._size, 1))
        boxes = np.array([self._box(part) for part in parts], int).reshape(-1, 2, 2)
        top, left = boxes[:, 0].min(axis=0, initial=self._size)
        bottom, right = boxes[:, 1].max(axis=0, initial=0)
        rows, columns = slice(top, bottom), slice(left, right)
        colours = np.tile(background, (*self._rays[rows, columns].shape[:3], 1))
        nearest = np.full(colours.shape[:3], np.inf, np.float32)
        for part, ((first, start), (last, end)) in zip(parts, boxes, strict=True):
            # Writing to these parts of the arrays writes to the arrays.
            own = slice(first - top, last - top), slice(start - left, end - left)
            self._draw(part, slice(first, last), slice(start, end), colours[own], nearest[own])
        picture[rows, columns] = colours.mean(axis=2)
        if self._channels == 1:
            picture = picture @ _LUMINANCE[:, None]
        return _srgb(picture)

    def _box(self, part):
        """The [[top, left], [bottom, right]] pixels outside which the part cannot be seen."""
        corners = _prepared(part.mesh)[2]
        transform = np.asarray(part.transform, np.float64)
        corners = corners @ transform[:3, :3].T + transform[:3, 3]
        column, row, depth = self._project @ (corners - self._origin).T
        if depth.min() <= 0:
            return np.array([[0, 0], [self._size, self._size]])
        pixels = np.stack([row, column], axis=-1) / depth[:, None]
        box = [np.floor(pixels.min(axis=0)), np.ceil(pixels.max(axis=0))]
        return np.clip(box, 0, self._size).astype(int)

    def _draw(self, part, rows, columns, colours, nearest):
        """Casts the rays of some pixels at one part and keeps the hits that are nearest so far.

        colours and nearest are those pixels' own, and are written to.
        """
        scene, normals, _ = _prepared(part.mesh)
        inverse = np.linalg.inv(np.asarray(part.transform, np.float64))
        rays = self._rays[rows, columns].reshape(-1, 3) @ inverse[:3, :3].T.astype(np.float32)
        origin = inverse[:3, :3] @ self._origin + inverse[:3, 3]
        origins = np.empty_like(rays)
        origins[:] = origin
        hits = scene.run(origins, rays, output=True)
        is_nearest = (hits["primID"] >= 0) & (hits["tfar"] < nearest.reshape(-1))
        hit, where = np.flatnonzero(is_nearest), is_nearest.reshape(nearest.shape)
        nearest[where] = hits["tfar"][hit]

        a, b, c = np.moveaxis(normals[hits["primID"][hit]], 1, 0)
        u, v = hits["u"][hit, None], hits["v"][hit, None]
        normal = (1 - u - v) * a + u * b + v * c
        face = hits["Ng"][hit]
        # Seen from behind, whichever way round the triangle's corners are listed.
        behind = _dot(face, rays[hit]) * _dot(face, normal) > 0
        normal[behind] *= -1
        # Normals go from the part to the world by the inverse transpose.
        normal = _unit(normal @ inverse[:3, :3].astype(np.float32))

        light = self._light
        facing = np.maximum(normal @ self._to_light, 0)
        brightness = light.ambient + light.diffuse * facing
        colour = np.array(part.colour, np.float32) * brightness[:, None]
        if light.specular:
            halfway = self._halfway[rows, columns].reshape(-1, 3)[hit]
            gloss = np.maximum(_dot(normal, halfway), 0) ** light.shininess
            colour += (light.specular * gloss * (facing > 0))[:, None]
        colours[where] = colour


@functools.cache
def _prepared(name):
    """A mesh's search tree, its normals [T, 3 corners, 3] and its bounding box [8 corners, 3]."""
    vertices, normals, triangles = meshes.load(name)
    scene = EmbreeScene()
    TriangleMesh(scene, vertices.astype(np.float32), triangles.astype(np.int32))
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    corners = np.array(np.meshgrid(*zip(low, high, strict=True))).reshape(3, 8).T
    return scene, normals[triangles].astype(np.float32), corners


def _dot(a, b):
    return np.einsum("...i,...i->...", a, b)


def _unit(vectors):
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def _srgb(linear):
    """Encodes linear light to uint8, clipping what is outside [0, 1]."""
    linear = np.clip(linear, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return (encoded * 255 + 0.5).astype(np.uint8)
