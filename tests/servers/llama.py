"""llama.cpp's own server, from the wheel of xllamacpp: `python llama.py MODEL.gguf PORT`. Runs in that server's venv."""

import signal
import sys

import xllamacpp

params = xllamacpp.CommonParams()
params.model.path = sys.argv[1]
params.hostname = "127.0.0.1"
params.port = int(sys.argv[2])
params.n_ctx = 2048
params.n_parallel = 1
params.model_alias = {"tiny"}
params.use_jinja = True
server = xllamacpp.Server(params)
signal.pause()
