"""Rendering: frames per second by scene, against trimesh for the same pictures."""

import atexit
import itertools

from benchmarks.child import Child
from benchmarks.turns import ratio_of, take_turns
from data_gen import scenes

IMAGE_SIZE = 64


def measure(turns, seconds, names=tuple(scenes.SCENES)):
    """One process of this project's renderer, its pool, and trimesh, scene by scene."""
    groups, findings = {}, {}
    for name in names:
        with Child("benchmarks.rendering", scene=name) as child:
            results = take_turns(child.runs(), turns, seconds)
        title = f"{name}, {IMAGE_SIZE} x {IMAGE_SIZE}, 4 x 4 rays a pixel"
        groups[title] = {"unit": "frame", **results}
        if "trimesh" in results["rows"]:
            finding = ratio_of(results["rows"]["trimesh"])
            findings[f"{name}: the renderer against trimesh"] = finding
    return {"groups": groups, "findings": findings}


def pictures(name):
    """The pictures of a scene's first training clip, and its view."""
    scene = scenes.get(name)
    poses = scene.clip("train", 0, 0).poses
    look = scene.look("train", 0, 0, scene.parts(poses[0]))
    return [scene.picture(pose, look) for pose in poses], scene.view


def rivals(scene):
    """A step is one picture; the pool's processes are those of a build."""
    from benchmarks import trimesh_render
    from data_gen.pool import RenderPool, default_workers
    from data_gen.render import Renderer

    drawn, view = pictures(scene)
    renderer = Renderer(view, IMAGE_SIZE)
    pool = RenderPool(view, IMAGE_SIZE)
    atexit.register(pool.__exit__)
    forever = {name: itertools.cycle(drawn) for name in ("one", "pool", "trimesh")}

    def one(steps):
        for picture in itertools.islice(forever["one"], steps):
            renderer.render(picture.parts, picture.light, picture.background)

    def pooled(steps):
        for _ in pool.render(itertools.islice(forever["pool"], steps)):
            pass

    def plain(steps):
        for picture in itertools.islice(forever["trimesh"], steps):
            trimesh_render.draw(picture, view, IMAGE_SIZE)

    return {
        "the renderer, one process": (one, {}),
        f"the renderer, {default_workers()} processes": (pooled, {}),
        "trimesh": (plain, {}),
    }
