"""The paper's program as a user of Keras would first write it: three arrays, `fit`, nothing else.

Three encodings and three decodings a triplet; alpha is the slides' 5, and the likelihood a Normal
of scale 0.05.
"""

import keras
import numpy as np
from keras import layers, ops

from benchmarks.gate import Gate

_GAP, _ALPHA, _SCALE = 60, 5.0, 0.05


class PlainVAE(keras.Model):
    """A VAE over triplets: x is the list of the three frames, uint8 [B, H, W, C] each."""

    def __init__(self, image_size, channels, filters, dense_units, latent_dim):
        super().__init__()
        side = image_size // 2 ** len(filters)
        self.encoder = keras.Sequential(
            [
                layers.Rescaling(1 / 255),
                *(layers.Conv2D(w, 4, 2, "same", activation="silu") for w in filters),
                layers.Flatten(),
                layers.Dense(dense_units, activation="silu"),
                layers.Dense(2 * latent_dim),
            ]
        )
        self.decoder = keras.Sequential(
            [
                layers.Dense(dense_units, activation="silu"),
                layers.Dense(side * side * filters[-1], activation="silu"),
                layers.Reshape((side, side, filters[-1])),
                *(
                    layers.Conv2DTranspose(w, 4, 2, "same", activation="silu")
                    for w in filters[-2::-1]
                ),
                layers.Conv2DTranspose(channels, 4, 2, "same"),
            ]
        )
        self.noise = keras.random.SeedGenerator(0)

    def call(self, triplet):
        """Returns, for each of the three, the mean, the log variance and the decoded frame."""
        outputs = []
        for frame in triplet:
            mean, log_variance = ops.split(self.encoder(frame), 2, axis=-1)
            noise = keras.random.normal(ops.shape(mean), seed=self.noise)
            z = mean + ops.exp(log_variance / 2) * noise
            outputs.append((mean, log_variance, self.decoder(z)))
        return outputs

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The paper's: three VAE losses and the KL of the middle one to the average."""
        loss = 0.0
        for frame, (mean, log_variance, decoded) in zip(x, y_pred, strict=True):
            error = (ops.cast(frame, "float32") / 255 - decoded) / _SCALE
            loss += 0.5 * ops.mean(ops.sum(error**2, axis=(1, 2, 3)))
            kl = 0.5 * (mean**2 + ops.exp(log_variance) - 1 - log_variance)
            loss += ops.mean(ops.sum(kl, axis=-1))
        (m0, v0, _), (m1, v1, _), (m2, v2, _) = y_pred
        mean, variance = (m0 + m2) / 2, (ops.exp(v0) + ops.exp(v2)) / 2
        kl = 0.5 * (ops.log(variance) - v1 + (ops.exp(v1) + (m1 - mean) ** 2) / variance - 1)
        return loss + _ALPHA * ops.mean(ops.sum(kl, axis=-1))


def rivals(data, batch, network):
    """`fit` on triplets of the clip in a file of `benchmarks.canonical.save_batches`."""
    with np.load(data) as saved:
        clip = saved["clip"]
    first = np.random.default_rng(0).integers(len(clip), size=1024)
    triplet = [clip[(first + offset) % len(clip)] for offset in (0, _GAP // 2, _GAP)]
    model = PlainVAE(**network)
    model.compile(optimizer="adam")
    gate = Gate(
        lambda gate: model.fit(triplet, batch_size=batch, epochs=10**6, verbose=0, callbacks=[gate])
    )
    worth = {"steps": 1, "frames": 3 * batch, "triplets": batch}
    return {"plain Keras fit": (gate.let_through, worth)}
