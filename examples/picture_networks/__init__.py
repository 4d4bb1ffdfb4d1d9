"""Networks for pictures that no Hugging Face class describes, as backbones with their own preprocessing.

`luthier.tune("photos/", backbone=load_squeezenet("squeezenet.safetensors"))`; a model tuned so names the builder in this
package, which `luthier.load_model(path, allow=["picture_networks"])` may then call.
"""
