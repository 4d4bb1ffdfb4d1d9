"""Networks for sound that no Hugging Face class describes, as backbones with their own preprocessing.

`luthier.tune(data, backbone=load_yamnet("yamnet.safetensors"))`; a model tuned so names the builder in this package, which
`luthier.load_model(path, allow=["sound_networks"])` may then call.
"""
