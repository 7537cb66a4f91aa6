"""The configuration files of TensorFlow Serving: what they mean, and what is wrong in them."""

import pytest

from export.server.server_config import read_batching, read_models
from frame_io.errors import InputError


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("model_config_list {\n config { nam: 'a' } }", 'line 2: .* has no field named "nam"'),
        ("model_config_list { config {} config {} }", "2 models; this server serves one"),
        ("", "0 models; this server serves one"),
        ("custom_model_config {}", "only supported by TensorFlow Serving"),
    ],
)
def test_a_wrong_models_config(tmp_path, text, error):
    path = tmp_path / "models.config"
    path.write_text(text)
    with pytest.raises(InputError, match=f"^{path}: .*{error}"):
        read_models(path)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("max_batch_size { value: 8 }\nmax_batch { value: 8 }", 'line 2: .* named "max_batch"'),
        ("max_batch_size: 8", "line 1: "),
        ("max_batch_size { value: 0 }", "max_batch_size must be at least 1"),
        ("batch_timeout_micros { value: -1 }", "batch_timeout_micros must be at least 0"),
        (
            "max_batch_size { value: 8 } allowed_batch_sizes: 4",
            "the last of allowed_batch_sizes must be max_batch_size, 8; it is 4",
        ),
        (
            "max_batch_size { value: 4 } allowed_batch_sizes: 8 allowed_batch_sizes: 4",
            "allowed_batch_sizes must be positive and increase",
        ),
        ("pad_variable_length_inputs: true", "only supported by TensorFlow Serving"),
        ("enable_large_batch_splitting { value: true }", "only supported by TensorFlow Serving"),
    ],
)
def test_wrong_batching_parameters(tmp_path, text, error):
    path = tmp_path / "batching_parameters.txt"
    path.write_text(text)
    with pytest.raises(InputError, match=f"^{path}: .*{error}"):
        read_batching(path)


def test_the_documented_batching_parameters(tmp_path):
    path = tmp_path / "batching_parameters.txt"
    path.write_text(
        "# A comment\nmax_batch_size { value: 128 }\nbatch_timeout_micros { value: 0 }\n"
        "max_enqueued_batches { value: 1000000 }\nnum_batch_threads { value: 8 }\n"
        "thread_pool_name { value: 'pool' }\nallowed_batch_sizes: 1\nallowed_batch_sizes: 128\n"
    )
    parameters = read_batching(path)
    assert parameters.max_batch_size == 128
    assert parameters.batch_timeout_micros == 0
    assert parameters.max_enqueued_batches == 1_000_000
    assert parameters.num_batch_threads == 8
    assert parameters.allowed_batch_sizes == (1, 128)
