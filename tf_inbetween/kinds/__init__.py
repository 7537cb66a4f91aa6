"""Kinds of frames: pictures, sound, text. A data set says which its frames are.

A kind is one object: what a frame is, how it is judged, shown, read and written, and which networks
and likelihoods fit it. To add one: a subclass of `Kind` in a file of its own, its row in `KINDS`
here, and one in `data_gen.kinds.KINDS`.
"""

from tf_inbetween.kinds.kind import Kind
from tf_inbetween.kinds.pictures import Pictures
from tf_inbetween.kinds.sound import Sound
from tf_inbetween.kinds.text import Text

__all__ = ["KINDS", "Kind"]

KINDS = {kind.name: kind for kind in (Pictures(), Sound(), Text())}
