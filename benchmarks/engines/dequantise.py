"""The GGUF file as safetensors, for servers that take no GGUF; transformers' Python runs it: dequantise.py GGUF TO."""

import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

source, target = map(Path, sys.argv[1:])
tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
model = AutoModelForCausalLM.from_pretrained(
    source.parent, gguf_file=source.name, quantization_config=GgufConfig(dequantize=True), dtype=torch.float32
)
part = target.with_name(f"{target.name}.part")
tokenizer.save_pretrained(part)
model.save_pretrained(part)
part.rename(target)
