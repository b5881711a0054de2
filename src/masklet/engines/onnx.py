"""Exported graphs in ONNX Runtime: on the CPU, or by any execution provider that is installed with it."""

from functools import lru_cache
from typing import Any

from masklet import machine
from masklet.engines.graphs import INPUTS, Exported, Floats, GraphEngine
from masklet.errors import CheckpointError, EngineError, needing

QUIET = 3
"""ONNX Runtime logs errors only; what fails is raised besides."""

CPU = "CPUExecutionProvider"


class OnnxEngine(GraphEngine):
    """A folder of ONNX graphs.

    Args:
        exported: The folder.
        device: "cpu", or the short name of an execution provider, such as "cuda", "tensorrt", "coreml" or "dml", with
            a number behind a colon if there are several devices. None takes CUDA if it is there.
        threads: For each function; None for as many as `machine.threads` says.

    Raises:
        EngineError: ONNX Runtime is not installed, or lacks the provider.
    """

    def __init__(self, exported: Exported, device: str | None = None, threads: int | None = None) -> None:
        with needing("onnx", str(exported.folder), EngineError):
            import onnxruntime
        self.provider, number = _provider(device, onnxruntime.get_available_providers())
        super().__init__(exported, at_once={"attend_memory": 1} if self.provider == CPU else {})
        self._options = [{"device_id": number}] if number else None
        self._threads = threads or machine.threads()
        self._session = lru_cache(None)(self._opened)

    def run(self, name: str, count: int | None, inputs: list[Floats]) -> list[Floats]:
        """See `GraphEngine.run`."""
        return self._session(name, count).run(None, dict(zip(INPUTS[name], inputs, strict=True)))

    def _opened(self, name: str, count: int | None) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.log_severity_level = QUIET
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # the next frame is encoded beside it
        if count is not None:
            options.add_free_dimension_override_by_name("objects", count)
        path = self.exported.graph(name)
        try:
            return onnxruntime.InferenceSession(path, options, [self.provider], self._options)
        except Exception as error:  # its errors have no base of their own
            raise CheckpointError(f"{path} cannot be run by {self.provider}: {error}") from error


def _provider(device: str | None, available: list[str]) -> tuple[str, str]:
    """The execution provider of a device's name, and the device's number, empty if none is given."""
    short = {name.removesuffix("ExecutionProvider").lower(): name for name in available}
    kind, _, number = ("cuda" if "cuda" in short else "cpu" if device is None else device).lower().partition(":")
    if kind not in short:
        raise EngineError(
            f"device {device!r} is not here: this ONNX Runtime has {', '.join(sorted(short))}; give one of them, or "
            "install an ONNX Runtime with its execution provider"
        )
    return short[kind], number
