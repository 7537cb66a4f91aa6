"""The server and its options."""

import asyncio
import dataclasses
import ipaddress
from pathlib import Path

from export import credentials
from frame_io.errors import InputError

GRACE_S = 10.0  # For requests that run when the server is told to stop.


def _option(default, text, lower=None, upper=None):
    metadata = {"help": text, "lower": lower, "upper": upper}
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class Options:
    """The flags of the server, named as in TensorFlow Serving where it has them."""

    model_dir: str = _option(None, "The folder with the versions of the model: 1, 2, …")
    model_name: str = _option(
        None, "Default: the name in models.config, or else that of the folder."
    )
    host: str = _option("127.0.0.1", "The address to listen on; 0.0.0.0 for everyone.")
    rest_api_port: int = _option(8501, "Port of the REST API; 0 for any free one.", 0, 65535)
    port: int = _option(8500, "Port of the gRPC API; 0 for any free one.", 0, 65535)
    rest_api_enable_cors_support: bool = _option(False, "Allow requests from other origins (CORS).")
    enable_grpc_healthcheck_service: bool = _option(True, "Enable gRPC's health service.")
    file_system_poll_wait_seconds: float = _option(
        1.0, "Seconds between checks for new versions.", 0.01
    )
    enable_batching: bool = _option(True, "Batch the rows of several requests.")
    batching_parameters_file: str = _option(
        None, "Default: batching_parameters.txt in the model folder, if it is there."
    )
    monitoring_config_file: str = _option(
        None, "Default: monitoring.config in the model folder, if it is there."
    )
    max_request_mb: int = _option(16, "Size limit of a request, in MiB.", 1, 1024)
    max_image_pixels: int = _option(
        1 << 26, "Most pixels of all pictures in a request together.", 1, 1 << 28
    )
    max_batch: int = _option(None, "Most rows of a request. Default: max_batch_size.", 1)
    max_sequence: int = _option(
        256, "Largest size of a dimension after the first that a signature leaves open.", 1
    )
    max_items: int = _option(
        1024,
        "Largest product of the dimensions that a signature leaves open, of a request and of a"
        " batch: rows times frames of a sequence.",
        1,
    )
    ssl_certificate: str = _option(
        None, "PEM file of the certificate and those that signed it: HTTPS, and TLS for gRPC."
    )
    ssl_key: str = _option(None, "PEM file of the certificate's key.")
    token_file: str = _option(
        None, "A file with the token that clients must show: Authorization: Bearer TOKEN."
    )
    max_requests_per_second: float = _option(
        None, "Requests per second and address, bursts of one second's worth. Default: any.", 0.001
    )
    max_concurrent_requests: int = _option(256, "Concurrent predictions; more are rejected.", 1)
    max_buffered_mb: int = _option(512, "Requests and answers in memory, in MiB.", 1)
    max_connections: int = _option(512, "Open connections of each API.", 1)
    demo: bool = _option(False, "Also serve a demo page, at /.")


class Server:
    """A server, on the running event loop.

    Attributes:
        rest_port, grpc_port: where it listens, once started.

    Args:
        options: an `Options`.
        report: called with every line for the user.

    Raises:
        InputError: an option or a configuration file is wrong.
    """

    def __init__(self, options, report):
        folder = Path(options.model_dir)
        if not folder.is_dir():
            raise InputError(f"--model_dir={folder}: no such folder")
        self._tls = credentials.read_tls(options.ssl_certificate, options.ssl_key)
        token = credentials.read_token(options.token_file)
        # Here, so that a wrong flag is reported at once: these import TensorFlow.
        from export.server import (
            access,
            batching,
            grpc_api,
            metrics,
            predict,
            rest_api,
            server_config,
            tensor_specs,
            versions,
        )

        self._options = options
        self._report = report
        self._manager = versions.Manager(folder, options.model_name, report)
        path = options.batching_parameters_file or _existing(folder / "batching_parameters.txt")
        parameters = server_config.read_batching(path) if path else server_config.Batching()
        path = options.monitoring_config_file or _existing(folder / "monitoring.config")
        metrics_path = server_config.read_metrics_path(path) if path else server_config.METRICS_PATH
        counters = metrics.Metrics(self._manager.name)
        self._batcher = batching.Batcher(
            parameters, options.enable_batching, options.max_items, counters.ran
        )
        limits = tensor_specs.Limits(
            options.max_batch or parameters.max_batch_size, options.max_sequence, options.max_items
        )
        predictor = predict.Predictor(
            self._manager, self._batcher, limits, options.max_image_pixels
        )
        gate = access.Access(
            token,
            options.max_requests_per_second,
            options.max_concurrent_requests,
            options.max_buffered_mb,
        )
        shared = {
            "max_bytes": options.max_request_mb << 20,
            "max_connections": options.max_connections,
            "grace_s": GRACE_S,
            "tls": self._tls,
        }
        self._rest = rest_api.RestServer(
            predictor,
            counters,
            gate,
            **shared,
            metrics_path=metrics_path,
            cors=options.rest_api_enable_cors_support,
            demo=options.demo,
        )
        self._rpc = grpc_api.RpcServer(
            predictor,
            counters,
            gate,
            **shared,
            healthcheck=options.enable_grpc_healthcheck_service,
        )
        self._watch = None
        self.rest_port = self.grpc_port = None

    async def start(self):
        """Loads the model and listens.

        Raises:
            InputError: no version can be served, or a port cannot be had.
        """
        options = self._options
        await self._manager.poll()
        if not self._manager.available():
            raise InputError(self._manager.why_none())
        self.rest_port = await self._rest.start(options.host, options.rest_api_port)
        self.grpc_port = await self._rpc.start(options.host, options.port)
        seconds = options.file_system_poll_wait_seconds
        self._watch = asyncio.create_task(self._manager.watch(seconds))
        if warning := _exposed(options):
            self._report(warning)
        host = f"[{options.host}]" if ":" in options.host else options.host
        rest = f"{'https' if self._tls else 'http'}://{host}:{self.rest_port}"
        self._report(f"REST {rest}/v1/models/{self._manager.name}")
        self._report(f"gRPC {host}:{self.grpc_port}")
        if options.demo:
            self._report(f"page {rest}/")

    async def stop(self):
        """Stops listening, finishes running requests within `GRACE_S`, and frees the model."""
        await self._rpc.say_stopping()
        if self._watch:
            self._watch.cancel()
        await asyncio.gather(self._rest.stop(), self._rpc.stop())
        self._batcher.close()
        self._manager.close()

    @property
    def busy(self):
        """Whether a thread still works on something that was given up."""
        return self._manager.loading or self._batcher.running > 0


def _existing(path):
    return path if path.exists() else None


def _exposed(options):
    """The warning about a server that other machines can reach unprotected, or None."""
    dangers = {
        "TLS (--ssl_certificate, --ssl_key): traffic is not encrypted": options.ssl_certificate,
        "a token (--token_file): anyone can use the model": options.token_file,
    }
    missing = [text for text, given in dangers.items() if not given]
    if not missing or _is_loopback(options.host):
        return None
    where = options.host or "every address"
    return f"warning: listening on {where} without {'; without '.join(missing)}"


def _is_loopback(host):
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
