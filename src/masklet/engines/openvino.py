"""Exported graphs in OpenVINO: processors and graphics of Intel, and processors of ARM."""

from functools import lru_cache
from threading import Lock
from typing import Any

from masklet import machine
from masklet.engines.graphs import INPUTS, OUTPUTS, SHARED, Exported, Floats, GraphEngine
from masklet.errors import CheckpointError, EngineError, needing


class OpenVinoEngine(GraphEngine):
    """A folder of OpenVINO graphs.

    Each count of objects is a compiled graph of its own, made when it is first needed: with a free count OpenVINO
    2026.4 answered wrongly.

    Args:
        exported: The folder.
        device: "cpu", "gpu", "npu" or "auto", with a number behind a point if there are several; None for the CPU.
        threads: For each function; None for as many as `machine.threads` says.

    Raises:
        EngineError: OpenVINO is not installed, or does not find the device.
    """

    def __init__(self, exported: Exported, device: str | None = None, threads: int | None = None) -> None:
        with needing("openvino", str(exported.folder), EngineError):
            import openvino
        self._core = openvino.Core()
        self.target = (device or "cpu").replace(":", ".").upper()
        if (here := [*self._core.available_devices, "AUTO"]) and self.target not in here:
            found = ", ".join(name.lower() for name in here)
            raise EngineError(f"device {device!r} is not here: OpenVINO finds {found}; give one of them")
        super().__init__(exported, at_once={"attend_memory": 1} if self.target == "CPU" else {})
        self._threads = threads or machine.threads()
        self._compiled = lru_cache(None)(self._made)

    def run(self, name: str, count: int | None, inputs: list[Floats]) -> list[Floats]:
        """See `GraphEngine.run`."""
        request, lock = self._compiled(name, count)
        with lock:
            request.infer(inputs, share_inputs=True)
            return [request.get_output_tensor(place).data.copy() for place in range(len(OUTPUTS[name]))]

    def _made(self, name: str, count: int | None) -> tuple[Any, Lock]:
        settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
        if self.target == "CPU":
            settings["INFERENCE_NUM_THREADS"] = self._threads
        path = self.exported.graph(name)
        try:
            model = self._core.read_model(path)
            if count is not None:
                each = [each for each in INPUTS[name] if each not in SHARED[name]]
                model.reshape({each: [count, *list(model.input(each).partial_shape)[1:]] for each in each})
            return self._core.compile_model(model, self.target, settings).create_infer_request(), Lock()
        except RuntimeError as error:
            raise CheckpointError(f"{path} cannot be run by OpenVINO on {self.target}: {error}") from error
