"""One face for the two synchronous clients of tritonclient, where they differ only in form."""

import ml_dtypes
import numpy as np
import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException

# HTTP status and gRPC code of each outcome.
OUTCOMES = {
    "bad request": ("400", "StatusCode.INVALID_ARGUMENT"),
    "not found": ("404", "StatusCode.NOT_FOUND"),
    "queue full": ("429", "StatusCode.RESOURCE_EXHAUSTED"),
    "not implemented": ("501", "StatusCode.UNIMPLEMENTED"),
    "unavailable": ("503", "StatusCode.UNAVAILABLE"),
    "timed out": ("504", "StatusCode.DEADLINE_EXCEEDED"),
    "over memory": ("507", "StatusCode.RESOURCE_EXHAUSTED"),
}


class Client:
    """A client of one protocol; `raw` is tritonclient's own."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.raw.close()

    def input(self, name, array, datatype):
        made = self.module.InferInput(name, list(array.shape), datatype)
        made.set_data_from_numpy(array)
        return made

    def infer(self, model, arrays, outputs=None, **options):
        """Runs a request; `arrays` is {name: (array, datatype)}."""
        inputs = [self.input(name, *value) for name, value in arrays.items()]
        if outputs is not None:
            outputs = [self.module.InferRequestedOutput(name) for name in outputs]
        return self.raw.infer(model, inputs, outputs=outputs, **options)

    def occupy(self, model, count):
        """Starts a request that counts for long, and waits until the model's only instance runs it.

        Others then wait in the queue, and `timeout` (microseconds) removes them from it. Returns a
        function that waits for the long request's answer.
        """
        wait = self.send(model, {"n": steps(count)})
        for _ in range(1000):
            try:
                self.infer(model, {"n": steps(1)}, timeout=20_000)
            except InferenceServerException as error:
                assert error.status() == OUTCOMES["timed out"][self.column], error
                return wait
        raise AssertionError(f"{model} is never occupied")

    def refusal(self, outcome, call):
        """Calls; expects a refusal of this outcome. Returns its message."""
        try:
            call()
        except InferenceServerException as error:
            assert error.status() == OUTCOMES[outcome][self.column], error
            return error.message()
        raise AssertionError(f"not refused: {outcome}")


class Http(Client):
    module = tritonclient.http
    column = 0

    def __init__(self, server):
        self.raw = tritonclient.http.InferenceServerClient(server.http, concurrency=64)

    def dictionary(self, answer):
        return answer

    def send(self, model, arrays, **options):
        """Starts a request; returns a function that waits for its answer."""
        inputs = [self.input(name, *value) for name, value in arrays.items()]
        return self.raw.async_infer(model, inputs, **options).get_result


class Grpc(Client):
    module = tritonclient.grpc
    column = 1

    def __init__(self, server):
        self.raw = tritonclient.grpc.InferenceServerClient(server.grpc)

    def dictionary(self, answer):
        from google.protobuf.json_format import MessageToDict

        return MessageToDict(answer, preserving_proto_field_name=True)

    def send(self, model, arrays, **options):
        """Starts a request; returns a function that waits for its answer."""
        import queue

        answers = queue.Queue()
        inputs = [self.input(name, *value) for name, value in arrays.items()]
        self.raw.async_infer(model, inputs, lambda result, error: answers.put((result, error)),
                             **options)

        def wait():
            result, error = answers.get(timeout=60)
            if error is not None:
                raise error
            return result

        return wait


def values(datatype):
    """An array of two rows that holds the limits of a type."""
    if datatype == "BOOL":
        return np.array([[True, False, True], [False, False, True]])
    if datatype == "BYTES":
        return np.array([[b"", b"plain", "Stra\u00dfe \u2603".encode()], [b"a" * 70000, b"\"\\\n", b"0"]],
                        dtype=np.object_)
    if datatype in ("FP16", "FP32", "FP64"):
        kind = {"FP16": np.float16, "FP32": np.float32, "FP64": np.float64}[datatype]
        limits = np.finfo(kind)
        return np.array([[limits.max, limits.min, limits.tiny], [0.1, -0.0, 1.0]], dtype=kind)
    if datatype == "BF16":
        return np.array([[1.0, -2.5, 0.15625], [256.0, 0.0, -1.0]], dtype=ml_dtypes.bfloat16)
    kind = np.dtype(datatype.lower())
    limits = np.iinfo(kind)
    return np.array([[limits.max, limits.min, 0], [1, 2, 3]], dtype=kind)


def floats(*numbers):
    return (np.array(numbers, dtype=np.float32), "FP32")


def rows(*numbers):
    return (np.array([numbers], dtype=np.float32), "FP32")


def steps(count):
    return (np.array([count], dtype=np.int64), "INT64")
