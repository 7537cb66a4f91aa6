"""Shots of footage: finds the cuts between them, from one frame to the next.

    for begins, frame in shots.marked(frames, shots.THRESHOLD):
        ...

A frame begins a new shot if it differs from the frame before by the threshold at least (mean over
pixels and channels at the frames' size, of 255) and by three times the mean of the two differences
before and the two after. Fades are not found.
"""

import collections

import numpy as np

THRESHOLD = 15.0
_OUTSTANDING = 3.0  # How many times the change around it a cut is.


def marked(frames, threshold):
    """Finds the cuts between shots.

    Args:
      frames: (anything, uint8 array) for every frame, in order.
      threshold: see the module; 0 finds none.

    Yields:
      Whether a shot begins here (the first frame begins none), and the frame. Three frames are held
      at most.
    """
    before, ahead, last = collections.deque(maxlen=2), collections.deque(), None

    def judged():
        change, frame = ahead.popleft()
        near = [*before, *(change for change, _ in ahead)]
        if change is None:
            return False, frame
        before.append(change)
        outstanding = not near or change >= _OUTSTANDING * np.mean(near)
        return bool(threshold and change >= threshold and outstanding), frame

    for frame in frames:
        pixels = frame[1].astype(np.int16)
        ahead.append((None if last is None else float(np.abs(pixels - last).mean()), frame))
        last = pixels
        if len(ahead) == 3:
            yield judged()
    while ahead:
        yield judged()
