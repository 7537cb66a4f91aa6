"""What metrics.json of a run might hold."""


def measured(hit_rate, mse, steps=2, methods=("latent", "optical_flow")):
    """Metrics in which at t = 1/4 the timing error is smaller by half."""
    latent = {"hit_rate": hit_rate, "timing_error": 4.0, "timing_error_degrees": 2.0, "mse": mse}
    flow = {**latent, "hit_rate": 0.25}
    return {
        "steps": steps,
        "split": "test",
        "pairs": 2,
        "scene": "teapot_1dof",
        "loss": {"matching": "mixture"},
        "reconstruction": {"test": {"mse": 2 * mse, "elbo": 1e9 * mse}},
        "inbetween": [
            {
                "gap": gap,
                "gap_label": f"{gap}°",
                "t": t,
                "pairs": 2,
                "methods": {
                    name: {
                        **(flow if name == "optical_flow" else latent),
                        "timing_error_degrees": 4.0 * t,
                    }
                    for name in methods
                },
                "latent_geometry": {
                    "chord_deviation": gap / 40,
                    "kl_averaged": 1.0,
                    "kl_mixture": 0.5,
                },
            }
            for gap in (20, 60)
            for t in (0.25, 0.5)
        ],
    }
