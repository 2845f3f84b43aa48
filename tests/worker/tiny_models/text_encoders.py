"""Text encoders a few numbers wide, for the tokenizers of `vocabularies`."""

from typing import Any, Final

from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    Gemma2Config,
    Gemma2Model,
    GlmConfig,
    GlmModel,
    Mistral3Config,
    Mistral3ForConditionalGeneration,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3Model,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLModel,
    T5Config,
    T5EncoderModel,
    UMT5Config,
    UMT5EncoderModel,
)

from tests.worker.tiny_models.folder import seeded
from tests.worker.tiny_models.vocabularies import (
    clip_words,
    gemma_tokenizer,
    glm_tokenizer,
    llama_tokenizer,
    mistral_tokenizer,
    qwen_tokenizer,
    t5_tokenizer,
)

WIDTH: Final = 32
"""Numbers for a word, in every encoder but Mistral's and Qwen 3's, which have many layers."""

NARROW: Final = 16
"""Numbers for a word in an encoder with many layers."""

_HEADS: Final = {"num_attention_heads": 2, "num_hidden_layers": 2, "intermediate_size": 37}
_LIVELY: Final = {"initializer_range": 0.2}
"""Makes a difference between two words that is seen in the picture, whatever the layers after it do."""


def clip(seed: int = 0, width: int = WIDTH) -> Any:
    """The text encoder of Stable Diffusion 1.x and FLUX.1, and the first of SDXL."""
    return seeded(lambda: CLIPTextModel(_clip_config(width)), seed)


def clip_with_projection(seed: int = 1) -> Any:
    """The second text encoder of SDXL, the first two of SD3."""
    return seeded(lambda: CLIPTextModelWithProjection(_clip_config(WIDTH)), seed)


def _clip_config(width: int) -> CLIPTextConfig:
    words = clip_words()
    return CLIPTextConfig(
        vocab_size=words,
        bos_token_id=words - 2,
        eos_token_id=words - 1,
        pad_token_id=words - 1,
        hidden_size=width,
        projection_dim=width,
        initializer_factor=10.0,
        **_HEADS,
    )


def t5(seed: int = 2, width: int = WIDTH) -> Any:
    """The long text encoder of SD3 and FLUX.1, and the only one of Chroma and PixArt-Σ."""
    return seeded(lambda: T5EncoderModel(T5Config(vocab_size=len(t5_tokenizer()), **_t5_sizes(width))), seed)


def umt5(seed: int = 3) -> Any:
    """AuraFlow's text encoder."""
    return seeded(lambda: UMT5EncoderModel(UMT5Config(vocab_size=len(llama_tokenizer()), **_t5_sizes(WIDTH))), seed)


def _t5_sizes(width: int) -> dict[str, int]:
    return {"d_model": width, "d_kv": 16, "d_ff": 37, "num_layers": 2, "num_heads": 2}


def gemma2(seed: int = 4) -> Any:
    """The text encoder of Sana and Lumina 2."""
    config = Gemma2Config(
        vocab_size=len(gemma_tokenizer()),
        hidden_size=WIDTH,
        head_dim=16,
        num_key_value_heads=2,
        query_pre_attn_scalar=16,
        max_position_embeddings=1024,
        **_HEADS,
        **_LIVELY,
    )
    return seeded(lambda: Gemma2Model(config), seed)


def glm(seed: int = 5) -> Any:
    """CogView 4's text encoder."""
    config = GlmConfig(
        vocab_size=len(glm_tokenizer()),
        hidden_size=WIDTH,
        head_dim=16,
        num_key_value_heads=2,
        pad_token_id=0,
        eos_token_id=[0],
        max_position_embeddings=1024,
        **_HEADS,
        **_LIVELY,
    )
    return seeded(lambda: GlmModel(config), seed)


def qwen3(seed: int = 6) -> Any:
    """Z-Image's text encoder."""
    return seeded(lambda: Qwen3Model(_qwen3_config(WIDTH, 3)), seed)


def qwen3_with_head(seed: int = 7) -> Any:
    """FLUX.2 [klein]'s text encoder; its 9th, 18th and 27th layers are read."""
    return seeded(lambda: Qwen3ForCausalLM(_qwen3_config(NARROW, 28)), seed)


def _qwen3_config(width: int, layers: int) -> Qwen3Config:
    return Qwen3Config(
        vocab_size=len(qwen_tokenizer()),
        hidden_size=width,
        head_dim=8,
        num_key_value_heads=1,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        **(_HEADS | {"num_hidden_layers": layers}),
        **_LIVELY,
    )


def mistral3(seed: int = 8) -> Any:
    """FLUX.2 [dev]'s text encoder; its 10th, 20th and 30th layers are read."""
    words = mistral_tokenizer()
    text = {
        "model_type": "mistral",
        "vocab_size": len(words),
        "hidden_size": NARROW,
        "head_dim": 8,
        "num_key_value_heads": 1,
        "max_position_embeddings": 1024,
        "sliding_window": None,
        "bos_token_id": words.bos_token_id,
        "eos_token_id": words.eos_token_id,
        "pad_token_id": words.pad_token_id,
        **(_HEADS | {"num_hidden_layers": 31}),
        **_LIVELY,
    }
    vision = {
        "model_type": "pixtral",
        "hidden_size": NARROW,
        "head_dim": 8,
        "image_size": 56,
        "patch_size": 14,
        **(_HEADS | {"num_hidden_layers": 1}),
    }
    config = Mistral3Config(
        text_config=text,
        vision_config=vision,
        image_token_index=words.convert_tokens_to_ids("[IMG]"),
        spatial_merge_size=2,
        tie_word_embeddings=True,
    )
    return seeded(lambda: Mistral3ForConditionalGeneration(config), seed)


_SIGHT: Final = {"depth": 2, "hidden_size": WIDTH, "intermediate_size": 37, "num_heads": 2, "out_hidden_size": WIDTH}


def _picture_tokens(words: Any) -> dict[str, int]:
    """Where pictures stand among the words, for Qwen's encoders."""
    tokens = {
        "image_token_id": "<|image_pad|>",
        "video_token_id": "<|video_pad|>",
        "vision_start_token_id": "<|vision_start|>",
        "vision_end_token_id": "<|vision_end|>",
    }
    return {name: words.convert_tokens_to_ids(word) for name, word in tokens.items()}


def qwen25_vl(seed: int = 9) -> Any:
    """Qwen-Image's text encoder, which sees pictures too."""
    words = qwen_tokenizer()
    text = {
        "vocab_size": len(words),
        "hidden_size": WIDTH,
        "num_key_value_heads": 2,
        "max_position_embeddings": 2048,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1000000.0, "mrope_section": [2, 3, 3]},
        "tie_word_embeddings": True,
        **_HEADS,
        **_LIVELY,
    }
    vision = {
        **_SIGHT,
        "window_size": 56,
        "fullatt_block_indexes": [1],
    }
    config = Qwen2_5_VLConfig(
        text_config=text,
        vision_config=vision,
        tie_word_embeddings=True,
        **_picture_tokens(words),
        vision_token_id=words.convert_tokens_to_ids("<|vision_pad|>"),
    )
    return seeded(lambda: Qwen2_5_VLForConditionalGeneration(config), seed)


def qwen3_vl(seed: int = 10, *, head: bool = True) -> Any:
    """The text encoder of Krea 2, which does without the head, and of Qwen-Image 2.1; it sees pictures too."""
    words = qwen_tokenizer()
    text = {
        "vocab_size": len(words),
        "hidden_size": WIDTH,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": 2048,
        "rope_parameters": {"rope_type": "default", "rope_theta": 5000000.0, "mrope_section": [2, 3, 3]},
        "tie_word_embeddings": True,
        **_HEADS,
        **_LIVELY,
    }
    vision = {
        **_SIGHT,
        "num_position_embeddings": 64,
        "deepstack_visual_indexes": [0],
    }
    config = Qwen3VLConfig(
        text_config=text,
        vision_config=vision,
        tie_word_embeddings=True,
        **_picture_tokens(words),
    )
    kind = Qwen3VLForConditionalGeneration if head else Qwen3VLModel
    return seeded(lambda: kind(config), seed)
