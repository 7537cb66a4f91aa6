"""Kinds of frames: pictures, sound, text. Each data set has one kind.

A kind is one object that says what a frame is, how to measure, show, read and write it, and which
networks and likelihoods fit it. To add one, subclass `Kind` in a file of its own, and add rows to
`KINDS` here and to `data_gen.kinds.KINDS`.
"""

from tf_inbetween.kinds.kind import Kind
from tf_inbetween.kinds.pictures import Pictures
from tf_inbetween.kinds.sound import Sound
from tf_inbetween.kinds.text import Text

__all__ = ["KINDS", "Kind"]

KINDS = {kind.name: kind for kind in (Pictures(), Sound(), Text())}
