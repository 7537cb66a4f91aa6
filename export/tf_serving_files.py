"""The files that TensorFlow Serving reads beside a model: versions, batching, monitoring.

    docker compose -f models/teapot/compose.yaml up

starts it with them, REST on port 8501 and gRPC on 8500 of this machine.
"""

from pathlib import Path

from frame_io.files import atomic_write

MODELS_CONFIG = """\
# Every version stays available, so that a label never points nowhere; move `stable` by hand.
model_config_list {{
  config {{
    name: "{name}"
    base_path: "/models/{name}"
    model_platform: "tensorflow"
    model_version_policy {{ all {{}} }}
    version_labels {{ key: "stable" value: {version} }}
  }}
}}
"""

# One thread: a second one would take the next few rows instead of leaving them to gather. And few
# sizes, because oneDNN keeps a cache for every one that it meets.
_SIZES = (1, 2, 4, 8, *range(16, 65, 8))
BATCHING_PARAMETERS = f"""\
max_batch_size {{ value: {_SIZES[-1]} }}
batch_timeout_micros {{ value: 1000 }}
max_enqueued_batches {{ value: 100 }}
num_batch_threads {{ value: 1 }}
""" + "".join(f"allowed_batch_sizes: {size}\n" for size in _SIZES)

MONITORING_CONFIG = """\
prometheus_config {
  enable: true
  path: "/monitoring/prometheus/metrics"
}
"""

COMPOSE = """\
services:
  serving:
    image: tensorflow/serving
    ports:
      - "127.0.0.1:8500:8500"  # gRPC
      - "127.0.0.1:8501:8501"  # REST
    volumes:
      - ".:/models/{name}:ro"
    command:
      - --model_config_file=/models/{name}/models.config
      - --allow_version_labels_for_unavailable_models
      - --enable_batching
      - --batching_parameters_file=/models/{name}/batching_parameters.txt
      - --monitoring_config_file=/models/{name}/monitoring.config
      - --rest_api_enable_cors_support  # For the demo page; take it out where no browser calls.
"""


def write(model_dir, name, version):
    """Writes the missing files; returns the names of those that exist.

    Args:
        model_dir: the folder of the versions.
        name: the model's.
        version: the one that the label `stable` points to, if there are no labels yet.
    """
    files = {
        "models.config": MODELS_CONFIG.format(name=name, version=version),
        "batching_parameters.txt": BATCHING_PARAMETERS,
        "monitoring.config": MONITORING_CONFIG,
        "compose.yaml": COMPOSE.format(name=name),
    }
    kept = [file for file in files if (Path(model_dir) / file).exists()]
    for file in files.keys() - set(kept):
        with atomic_write(Path(model_dir) / file) as beside:
            beside.write_text(files[file])
    return kept
