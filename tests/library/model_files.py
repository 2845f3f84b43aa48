"""Model files as others write them: the names of their weights are real, their weights are a few zeros."""

import json
import struct
from pathlib import Path

SD1 = {
    "model.diffusion_model.input_blocks.0.0.weight": [8, 4, 3, 3],
    "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": [8, 768],
    "first_stage_model.decoder.conv_in.weight": [8, 4, 3, 3],
    "cond_stage_model.transformer.text_model.embeddings.position_ids": [1, 77],
}
SDXL = {
    "model.diffusion_model.input_blocks.0.0.weight": [8, 4, 3, 3],
    "model.diffusion_model.label_emb.0.0.weight": [8, 2816],
    "model.diffusion_model.input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight": [8, 2048],
    "conditioner.embedders.1.model.ln_final.weight": [1280],
}
KOHYA = {
    "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight": [4, 768],
    "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.lora_up.weight": [320, 4],
    "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.alpha": [],
}
KOHYA_XL = {name: [4, 2048] if "down.weight" in name else shape for name, shape in KOHYA.items()}
KOHYA_FLUX = {
    "lora_unet_double_blocks_0_img_attn_proj.lora_down.weight": [4, 3072],
    "lora_unet_double_blocks_0_img_attn_proj.lora_up.weight": [3072, 4],
}
LOHA = {
    "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.hada_w1_a": [320, 4],
    "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.hada_w1_b": [4, 768],
    "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.hada_w2_a": [320, 4],
    "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.hada_w2_b": [4, 768],
}
FLUX_LORA = {
    "transformer.single_transformer_blocks.0.attn.to_q.lora_A.weight": [4, 3072],
    "transformer.single_transformer_blocks.0.attn.to_q.lora_B.weight": [3072, 4],
}

FLUX = {
    "double_blocks.0.img_attn.qkv.weight": [96, 32],
    "single_blocks.0.linear1.weight": [96, 32],
    "img_in.weight": [32, 64],
    "guidance_in.in_layer.weight": [32, 32],
}


def write_safetensors(path: Path, shapes: dict[str, list[int]], metadata: dict[str, str] | None = None) -> Path:
    """A file of half-precision zeros."""
    entries: dict[str, object] = {"__metadata__": metadata} if metadata else {}
    end = 0
    for name, shape in shapes.items():
        size = 2
        for extent in shape:
            size *= extent
        entries[name] = {"dtype": "F16", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    header = json.dumps(entries).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(end))
    return path


def gguf(shapes: dict[str, list[int]], architecture: str, kind: int = 1, alignment: str = "32") -> bytes:
    """A GGUF file of zeros of the type with this number: 1 is F16, 8 is Q8_0; its alignment is told as text."""
    block, size = {1: (1, 2), 8: (32, 34)}[kind]

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value.encode())) + value.encode()

    head = b"GGUF" + struct.pack("<IQQ", 3, len(shapes), 3)
    head += text("general.architecture") + struct.pack("<I", 8) + text(architecture)
    head += text("general.alignment") + struct.pack("<I", 8) + text(alignment)
    head += text("some.list") + struct.pack("<IIQ", 9, 4, 3) + struct.pack("<III", 1, 2, 3)
    end = 0
    for name, shape in shapes.items():
        count = 1
        for extent in shape:
            count *= extent
        head += text(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape[::-1])
        head += struct.pack("<IQ", kind, end)
        end += -(-(count // block * size) // 32) * 32
    return head + bytes(-len(head) % 32 + end)
