"""llama.cpp's own server, from xllamacpp, whose Python runs this: llama_server.py MODEL.gguf PORT SLOTS CONTEXT."""

import os
import sys
import threading

import xllamacpp

path, port, slots, context = sys.argv[1], *map(int, sys.argv[2:5])
params = xllamacpp.CommonParams()
params.model.path = path
params.model_alias = ["smollm2"]
params.hostnames = ["127.0.0.1"]
params.port = port
params.n_parallel = slots
params.n_ctx = context
params.cpuparams.n_threads = int(os.environ["OMP_NUM_THREADS"])
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
threading.Event().wait()
