"""The programs of the peers, as templates."""

LITSERVE_APP = """
import base64
import litserve, numpy, onnxruntime

class Model(litserve.LitAPI):
    def setup(self, device):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession({model!r}, options, providers=["CPUExecutionProvider"])

    def decode_request(self, request):
        return numpy.frombuffer(base64.b64decode(request["data"]), numpy.float32).reshape({shape!r})

    def predict(self, tensor):
        return self.session.run(None, {{{input!r}: tensor}})[0]

    def encode_response(self, output):
        return {{"data": base64.b64encode(output.tobytes()).decode()}}

if __name__ == "__main__":
    server = litserve.LitServer(Model(), accelerator="cpu", workers_per_device=2)
    server.run(host="127.0.0.1", port={port}, generate_client_file=False, log_level="warning")
"""

TRITON_MODEL = """
import sys
sys.path[:0] = {packages!r}
import numpy, onnxruntime
import triton_python_backend_utils as triton

class TritonPythonModel:
    def initialize(self, args):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession({model!r}, options, providers=["CPUExecutionProvider"])

    def execute(self, requests):
        responses = []
        for request in requests:
            tensor = triton.get_input_tensor_by_name(request, {input!r}).as_numpy()
            output = self.session.run([{output!r}], {{{input!r}: tensor}})[0]
            responses.append(triton.InferenceResponse([triton.Tensor({output!r}, output)]))
        return responses
"""

TRITON_CONFIG = """
backend: "python"
max_batch_size: 0
input [{{ name: "{input}", data_type: TYPE_FP32, dims: [{input_dims}] }}]
output [{{ name: "{output}", data_type: TYPE_FP32, dims: [{output_dims}] }}]
instance_group [{{ kind: KIND_CPU, count: 2 }}]
"""

MLSERVER_MODEL = """
import numpy, onnxruntime
from mlserver import MLModel
from mlserver.codecs import Base64Codec
from mlserver.types import InferenceResponse

class Model(MLModel):
    async def load(self):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession({model!r}, options, providers=["CPUExecutionProvider"])
        return True

    async def predict(self, payload):
        content = Base64Codec.decode_input(payload.inputs[0])[0]
        tensor = numpy.frombuffer(content, numpy.float32).reshape({shape!r})
        output = self.session.run(None, {{{input!r}: tensor}})[0]
        output = Base64Codec.encode_output("y", [output.tobytes()])
        return InferenceResponse(model_name=self.name, outputs=[output])
"""

BENTOML_SERVICE = """
import base64
import bentoml, numpy, onnxruntime

@bentoml.service(workers=2, http={{"port": {port}, "host": "127.0.0.1"}}, metrics={{"enabled": False}})
class Model:
    def __init__(self):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession({model!r}, options, providers=["CPUExecutionProvider"])

    @bentoml.api
    def predict(self, data: str) -> str:
        tensor = numpy.frombuffer(base64.b64decode(data), numpy.float32).reshape({shape!r})
        output = self.session.run(None, {{{input!r}: tensor}})[0]
        return base64.b64encode(output.tobytes()).decode()
"""

RAY_APP = """
import signal
import numpy, onnxruntime, ray
from ray import serve
from starlette.requests import Request
from starlette.responses import Response

@serve.deployment(num_replicas=2, max_ongoing_requests=64, ray_actor_options={{"num_cpus": 1}})
class Model:
    def __init__(self):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession({model!r}, options, providers=["CPUExecutionProvider"])

    async def __call__(self, request: Request):
        tensor = numpy.frombuffer(await request.body(), numpy.float32).reshape({shape!r})
        output = self.session.run(None, {{{input!r}: tensor}})[0]
        return Response(output.tobytes(), media_type="application/octet-stream")

signal.signal(signal.SIGTERM, lambda *_: exit())
ray.init(num_cpus=2, include_dashboard=False, object_store_memory=100_000_000, log_to_driver=False)
serve.start(http_options={{"host": "127.0.0.1", "port": {port}}})
serve.run(Model.bind(), route_prefix="/")
signal.pause()
"""
