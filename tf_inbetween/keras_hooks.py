"""All private names of Keras that this project overrides, and why.

`tests/tf_inbetween/test_keras_hooks.py` fails when Keras changes one; pyproject.toml has an upper
bound for Keras until then.
"""

import keras
import tensorflow as tf


class ReplicatedModel(keras.Model):
    """A Keras model that several replicas train as one device would."""

    def make_train_function(self, force=False):
        """As in Keras; replicas run all of their steps, see `_steps`."""
        if self.distribute_strategy.num_replicas_in_sync == 1:
            super().make_train_function(force)
        elif force or self.train_function is None:
            self.train_function = self._steps(self.train_step)

    def make_test_function(self, force=False):
        """As `make_train_function`."""
        if self.distribute_strategy.num_replicas_in_sync == 1:
            super().make_test_function(force)
        elif force or self.test_function is None:
            self.test_function = self._steps(self.test_step)

    def _steps(self, step_function):
        """`steps_per_execution` steps of data without end.

        Keras runs several steps in conditions, in which replicas fail (as in keras issue 19246),
        and takes the mean of workers' metrics over axis 0, which a scalar has not (20585).
        """
        strategy = self.distribute_strategy
        step = tf.function(lambda batch: strategy.run(step_function, args=(batch,)))

        @tf.function
        def steps(iterator):
            for _ in tf.range(self.steps_per_execution - 1):
                step(next(iterator))
            metrics = step(next(iterator))
            return {
                name: strategy.reduce(tf.distribute.ReduceOp.MEAN, value, axis=None)
                for name, value in metrics.items()
            }

        return steps

    # No public hook: `fit` calls it under a strategy to build the model, and averages a batch, of
    # whole numbers too, over the replicas for it. The networks are built already.
    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Nothing to do."""


class SumFirst:
    """Sums the replicas' gradients before it clips them; Keras sums the clipped ones."""

    # No public hook lies between the gradients and their clipping.
    def _clip_gradients(self, grads):
        context = tf.distribute.get_replica_context()
        return super()._clip_gradients(context.all_reduce(tf.distribute.ReduceOp.SUM, grads))

    def _all_reduce_sum_gradients(self, grads_and_vars):
        return grads_and_vars  # They are summed already.


class MuonByShape(keras.optimizers.Muon):
    """Keras's Muon; a subclass says in `uses_adam` which variables are Adam's."""

    # The public argument `exclude_layers` chooses by name alone.
    def _should_use_adamw(self, variable):
        return self.uses_adam(variable)
