"""What `keras_hooks` overrides is still there in Keras, and Keras still calls it."""

import inspect

import keras
import pytest

from tf_inbetween import keras_hooks


@pytest.mark.parametrize(
    ("owner", "name", "parameters"),
    [
        (keras.Model, "_maybe_symbolic_build", ["self", "iterator", "data_batch"]),
        (keras.Model, "make_train_function", ["self", "force"]),
        (keras.Model, "make_test_function", ["self", "force"]),
        (keras.optimizers.Optimizer, "_clip_gradients", ["self", "grads"]),
        (keras.optimizers.Optimizer, "_all_reduce_sum_gradients", ["self", "grads_and_vars"]),
        (keras.optimizers.Muon, "_should_use_adamw", ["self", "variable"]),
    ],
)
def test_keras_has_and_calls_what_is_overridden(owner, name, parameters):
    assert list(inspect.signature(getattr(owner, name)).parameters) == parameters
    sources = [inspect.getsource(each) for each in owner.__mro__ if "keras" in each.__module__]
    assert any(f"self.{name}(" in source for source in sources)


def test_each_private_name_of_the_module_is_one_of_those():
    tree = inspect.getsource(keras_hooks)
    private = {line.split("def ")[1].split("(")[0] for line in tree.splitlines() if "def _" in line}
    assert private == {
        "_steps",
        "_maybe_symbolic_build",
        "_clip_gradients",
        "_all_reduce_sum_gradients",
        "_should_use_adamw",
    }
