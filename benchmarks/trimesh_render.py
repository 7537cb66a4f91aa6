"""The same pictures drawn the plain way with trimesh: its ray casting (on Embree) and its meshes.

For every picture the parts are moved and joined into one `trimesh.Trimesh`, and all rays of the
picture are cast at it by `mesh.ray`; shading, supersampling and encoding are those of
`data_gen.render`. A test holds the pictures against each other.
"""

import numpy as np
import trimesh

from data_gen import meshes


def draw(picture, view, image_size, samples=4):
    """Draws a `data_gen.scenes.Picture`: uint8 [image_size, image_size, 3]."""
    mesh, colours = joined(picture.parts)
    origin, rays = camera_rays(view.camera, image_size * samples)
    origins = np.broadcast_to(origin, rays.shape)
    triangle, ray, points = mesh.ray.intersects_id(
        origins, rays, multiple_hits=False, return_locations=True
    )
    weights = trimesh.triangles.points_to_barycentric(mesh.triangles[triangle], points)
    normals = np.einsum("nc,ncd->nd", weights, mesh.vertex_normals[mesh.faces[triangle]])
    normals = trimesh.unitize(normals)
    normals[np.sum(normals * rays[ray], axis=1) > 0] *= -1

    light = view.light
    to_light = trimesh.unitize(np.array(picture.light or light.direction, float))
    facing = np.maximum(normals @ to_light, 0)
    pixels = np.tile(np.array(picture.background or view.background, float), (len(rays), 1))
    pixels[ray] = colours[triangle] * (light.ambient + light.diffuse * facing)[:, None]
    halfway = trimesh.unitize(to_light - rays[ray])
    gloss = np.maximum(np.sum(normals * halfway, axis=1), 0) ** light.shininess
    pixels[ray] += (light.specular * gloss * (facing > 0))[:, None]
    pixels = pixels.reshape(image_size, samples, image_size, samples, 3).mean(axis=(1, 3))
    return srgb(pixels)


def joined(parts):
    """The parts in the world as one mesh, and the linear RGB of each of its triangles."""
    placed = []
    for part in parts:
        vertices, normals, faces = meshes.load(part.mesh)
        mesh = trimesh.Trimesh(vertices, faces, vertex_normals=normals, process=False)
        placed.append(mesh.apply_transform(np.asarray(part.transform, float)))
    colours = np.repeat(
        [part.colour for part in parts], [len(mesh.faces) for mesh in placed], axis=0
    )
    return trimesh.util.concatenate(placed), colours


def camera_rays(camera, count):
    """The camera's place [3] and unit rays [count * count, 3], rows from the top."""
    origin = np.array(camera.position, float)
    forward = trimesh.unitize(np.array(camera.target) - origin)
    right = trimesh.unitize(np.cross(forward, (0.0, 0.0, 1.0)))
    up = np.cross(right, forward)
    grid = ((np.arange(count) + 0.5) * 2 / count - 1) * np.tan(np.radians(camera.field_of_view) / 2)
    x, y = np.meshgrid(grid, -grid)
    rays = forward + x[..., None] * right + y[..., None] * up
    return origin, trimesh.unitize(rays.reshape(-1, 3))


def srgb(linear):
    """Linear light to sRGB (IEC 61966-2-1), uint8."""
    linear = np.clip(linear, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.uint8(255 * encoded + 0.5)
