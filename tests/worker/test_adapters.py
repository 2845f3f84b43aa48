"""LoRAs of every layout: what they change, how strongly, and that nothing of them stays."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.conftest import make_job
from tests.worker.conftest import CPU, PLENTY, nothing
from tests.worker.tiny_models import TinyModels
from tui.library.adapter_header import misfit, read_adapter, read_widths
from tui.library.paths import bundled_models
from tui.protocol.commands import Target
from tui.protocol.job import Adapter
from tui.protocol.problem import LatenttyError
from tui.worker import adapter_layers, adapters
from tui.worker.adapters import MAX_LOADED, AdapterSet
from tui.worker.cancel import CancelToken
from tui.worker.lycoris import as_lora
from tui.worker.prompt_cache import PromptCache
from tui.worker.residents import Model, Residents
from tui.worker.runner import JobRun, Outlet
from tui.worker.views import view

PIXEL = bundled_models() / "emoji-tiny-lora-pixel" / "pytorch_lora_weights.safetensors"
ATTENTION = "mid_block.attentions.0.transformer_blocks.0.attn2.to_k"

Write = Callable[..., Path]


class Stage:
    def __init__(self, models: TinyModels, folder: Path) -> None:
        self.models = models
        self.residents = Residents(CPU, torch.float32, PLENTY)
        self._folder = folder

    def model(self, name: str) -> Model:
        bundled = bundled_models() / name
        path = bundled if bundled.is_dir() else self.models[name]
        model = self.residents.model(name, str(path))
        self.residents.ensure(model.components.values(), CancelToken(), nothing)
        return model

    def draw(self, name: str, *adapters: Adapter, **changes: Any) -> numpy.ndarray:
        settings = {"steps": 3, "scheduler": "ddim", "width": 64, "height": 64, "prompt": "a red apple"}
        job = make_job(**(settings | changes), adapters=list(adapters))
        outlet = Outlet(nothing, nothing, nothing)
        run = JobRun(job, self.model(name), [], self.residents, PromptCache(), None, outlet, CancelToken())
        path = self._folder / f"{job.id}.png"
        run.make(Target(index=0, path=str(path)))
        with Image.open(path) as image:
            return numpy.asarray(image)


@pytest.fixture(scope="module")
def stage(tiny_models: TinyModels, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    return Stage(tiny_models, tmp_path_factory.mktemp("pictures"))


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, tensors: dict[str, torch.Tensor]) -> Path:
        path = tmp_path / f"{name}.safetensors"
        save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, path)
        return path

    return write


def adapter(path: Path, weight: float = 1.0, text_weight: float | None = None) -> Adapter:
    return Adapter(path=str(path), weight=weight, text_weight=text_weight)


def in_kohyas_layout(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    renamed: dict[str, torch.Tensor] = {}
    for name, tensor in tensors.items():
        layer, _, factor = name.removesuffix(".weight").rpartition(".")
        layer = layer.removesuffix(".lora").removeprefix("unet.").replace(".", "_")
        renamed[f"lora_unet_{layer}.{'lora_down' if factor in ('down', 'lora_A') else 'lora_up'}.weight"] = tensor
        rank = tensor.shape[0] if factor in ("down", "lora_A") else tensor.shape[1]
        renamed[f"lora_unet_{layer}.alpha"] = torch.tensor(float(rank))
    return renamed


def test_kohyas_layout_draws_what_diffusers_does(stage: Stage, write: Write) -> None:
    kohya = write("kohya", in_kohyas_layout(load_file(PIXEL)))
    plain = stage.draw("emoji-tiny")
    drawn = stage.draw("emoji-tiny", adapter(PIXEL))
    assert not numpy.array_equal(drawn, plain)
    assert numpy.array_equal(stage.draw("emoji-tiny", adapter(kohya)), drawn)
    assert numpy.array_equal(stage.draw("emoji-tiny", adapter(PIXEL, 0.0)), plain)
    assert not numpy.array_equal(stage.draw("emoji-tiny", adapter(PIXEL, 0.5)), drawn)
    assert numpy.array_equal(stage.draw("emoji-tiny"), plain), "bit for bit as before"


def text_lora(stage: Stage, name: str, prefix: str, encoder: str) -> dict[str, torch.Tensor]:
    module: Any = stage.model(name).components[encoder].module
    torch.manual_seed(3)
    tensors: dict[str, torch.Tensor] = {}
    block = getattr(module, "text_model", module).encoder.layers[0]
    attention = [f"self_attn.{part}_proj" for part in ("q", "k", "v", "out")]
    for layer in (*attention, "mlp.fc1", "mlp.fc2"):
        outputs, inputs = base_weight(block.get_submodule(layer)).shape
        flat = f"{prefix}text_model_encoder_layers_0_{layer.replace('.', '_')}"
        tensors[f"{flat}.lora_down.weight"] = torch.randn(4, inputs)
        tensors[f"{flat}.lora_up.weight"] = torch.randn(outputs, 4)
        tensors[f"{flat}.alpha"] = torch.tensor(4.0)
    return tensors


def unet_lora(stage: Stage, name: str, layer: str = ATTENTION, scale: float = 1.0) -> dict[str, torch.Tensor]:
    unet: Any = stage.model(name).components["unet"].module
    outputs, inputs = base_weight(unet.get_submodule(layer)).shape
    torch.manual_seed(4)
    flat = f"lora_unet_{layer.replace('.', '_')}"
    return {
        f"{flat}.lora_down.weight": torch.randn(4, inputs) * scale,
        f"{flat}.lora_up.weight": torch.randn(outputs, 4) * scale,
        f"{flat}.alpha": torch.tensor(4.0),
    }


def base_weight(layer: Any) -> torch.Tensor:
    weight: torch.Tensor = getattr(layer, "base_layer", layer).weight
    return weight


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("sd", [("lora_te_", "text_encoder")]),
        ("sdxl", [("lora_te1_", "text_encoder"), ("lora_te2_", "text_encoder_2")]),
    ],
)
def test_text_encoders_and_denoiser_have_weights_of_their_own(
    stage: Stage, write: Write, name: str, texts: list[tuple[str, str]]
) -> None:
    on_unet = unet_lora(stage, name)
    on_text = {key: value for text in texts for key, value in text_lora(stage, name, *text).items()}
    both, only_unet, only_text = write("both", on_unet | on_text), write("unet", on_unet), write("text", on_text)
    plain = stage.draw(name)
    drawn = stage.draw(name, adapter(both))
    assert numpy.array_equal(stage.draw(name, adapter(both, 1.0, 0.0)), stage.draw(name, adapter(only_unet)))
    assert numpy.array_equal(stage.draw(name, adapter(both, 0.0, 1.0)), stage.draw(name, adapter(only_text)))
    assert numpy.array_equal(stage.draw(name, adapter(only_unet), adapter(only_text)), drawn), "several at once"
    pictures = [plain, drawn, stage.draw(name, adapter(only_unet)), stage.draw(name, adapter(only_text))]
    assert all(not numpy.array_equal(a, b) for n, a in enumerate(pictures) for b in pictures[:n])
    assert numpy.array_equal(stage.draw(name), plain)


def test_switching_reads_no_file_twice_and_touches_no_weight(
    stage: Stage, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = (
        write("one", unet_lora(stage, "sd")),
        write("other", text_lora(stage, "sd", "lora_te_", "text_encoder")),
    )
    model = stage.model("sd")
    weights = [tensor for part in model.components.values() for tensor in part.module.parameters()]
    addresses, sums = [one.data_ptr() for one in weights], [one.double().sum() for one in weights]
    loads: list[str] = []
    real = adapters.load_file

    def counted(path: Path) -> Any:
        loads.append(path.name)
        return real(path)

    monkeypatch.setattr(adapters, "load_file", counted)
    first = {path: stage.draw("sd", adapter(path)) for path in (one, other)}
    plain = stage.draw("sd")
    for path in (other, one, other):
        assert numpy.array_equal(stage.draw("sd", adapter(path)), first[path])
        assert numpy.array_equal(stage.draw("sd"), plain)
    assert loads == [one.name, other.name]
    assert [one.data_ptr() for one in weights] == addresses
    assert all(torch.equal(a.double().sum(), b) for a, b in zip(weights, sums, strict=True))


def test_a_model_that_shares_a_text_encoder_sees_nothing_of_anothers_lora(stage: Stage, write: Write) -> None:
    stage.model("sd")
    twin = stage.model("sd-twin")
    assert twin.components["text_encoder"] is stage.model("sd").components["text_encoder"]
    plain = stage.draw("sd-twin")
    lora = write("text", text_lora(stage, "sd", "lora_te_", "text_encoder"))
    changed = stage.draw("sd", adapter(lora))
    assert numpy.array_equal(stage.draw("sd-twin"), plain)
    other = write("unet", unet_lora(stage, "sd-twin", scale=1e-9))
    assert numpy.array_equal(stage.draw("sd-twin", adapter(other)), plain), "while one of its own is on, too"
    assert not numpy.array_equal(stage.draw("sd-twin", adapter(lora)), plain), "and it can have the same itself"
    assert numpy.array_equal(stage.draw("sd", adapter(lora)), changed)


def test_more_adapters_than_are_kept_work_in_one_job(stage: Stage, write: Write) -> None:
    base = unet_lora(stage, "sd", scale=0.3)
    many = [write(f"n{n}", base | {next(iter(base)): base[next(iter(base))] * n}) for n in range(MAX_LOADED + 2)]
    first = stage.draw("sd", *[adapter(path, 0.1) for path in many])
    assert numpy.array_equal(stage.draw("sd", *[adapter(path, 0.1) for path in many]), first)


def loha(outputs: int, inputs: int) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    torch.manual_seed(5)
    a, b, c, d = (torch.randn(*shape) for shape in ((outputs, 2), (2, inputs), (outputs, 3), (3, inputs)))
    parts = {"hada_w1_a": a, "hada_w1_b": b, "hada_w2_a": c, "hada_w2_b": d, "alpha": torch.tensor(1.0)}
    return parts, (a @ b) * (c @ d) / 2


def lokr(outputs: int, inputs: int) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    torch.manual_seed(6)
    first, a, b = torch.randn(2, 4), torch.randn(outputs // 2, 2), torch.randn(2, inputs // 4)
    parts = {"lokr_w1": first, "lokr_w2_a": a, "lokr_w2_b": b, "alpha": torch.tensor(1.0)}
    return parts, torch.kron(first, a @ b) / 2


@pytest.mark.parametrize("kind", [loha, lokr])
def test_a_lycoris_file_changes_the_weights_by_exactly_its_product(stage: Stage, write: Write, kind: Any) -> None:
    unet: Any = stage.model("sd").components["unet"].module
    weight = base_weight(unet.get_submodule(ATTENTION))
    parts, change = kind(*weight.shape)
    flat = f"lora_unet_{ATTENTION.replace('.', '_')}"
    factors = as_lora(Path("x"), {f"{flat}.{name}": tensor for name, tensor in parts.items()})
    product = factors[f"{flat}.lora_up.weight"] @ factors[f"{flat}.lora_down.weight"]
    assert torch.allclose(product, change, atol=1e-5)
    path = write("lycoris", {f"{flat}.{name}": tensor for name, tensor in parts.items()})
    assert read_adapter(path).kind == kind.__name__
    drawn, plain = stage.draw("sd", adapter(path)), stage.draw("sd")
    before = weight.data.clone()
    weight.data += change
    merged = stage.draw("sd")
    weight.data.copy_(before)
    assert not numpy.array_equal(drawn, plain)
    assert int(numpy.abs(drawn.astype(int) - merged.astype(int)).max()) <= 1


def tucker(outputs: int, inputs: int) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """As LyCORIS computes it: `rebuild1 * rebuild2`, each a small kernel between two matrices."""
    torch.manual_seed(7)
    sides = [(torch.randn(2, 2, 3, 3), torch.randn(2, outputs), torch.randn(2, inputs)) for _ in range(2)]
    parts = {"alpha": torch.tensor(1.0)}
    for number, side in enumerate(sides, 1):
        parts |= {
            f"hada_{name}": one for name, one in zip((f"t{number}", f"w{number}_a", f"w{number}_b"), side, strict=True)
        }
    rebuilt = [torch.einsum("ijkl,jr,ip->prkl", t, w_b, w_a) for t, w_a, w_b in sides]
    return parts, rebuilt[0] * rebuilt[1] / 2


def test_a_lycoris_convolution_works_too(stage: Stage, write: Write) -> None:
    unet: Any = stage.model("sd").components["unet"].module
    layer = "down_blocks.0.resnets.0.conv1"
    outputs, inputs = base_weight(unet.get_submodule(layer)).shape[:2]
    flat = f"lora_unet_{layer.replace('.', '_')}"
    for (parts, change), name in ((loha(outputs, inputs * 9), "conv"), (tucker(outputs, inputs), "tucker")):
        tensors = {f"{flat}.{part}": tensor for part, tensor in parts.items()}
        factors = as_lora(Path("x"), tensors)
        product = factors[f"{flat}.lora_up.weight"] @ factors[f"{flat}.lora_down.weight"]
        assert torch.allclose(product, change.flatten(1), atol=1e-4)
        assert not numpy.array_equal(stage.draw("sd", adapter(write(name, tensors))), stage.draw("sd"))


def changed(weight: torch.Tensor, delta: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """As ComfyUI and A1111 compute it: `lengths` of rows are (outputs, 1 ...), of columns (1, inputs ...)."""
    whole = weight + delta
    axis = 0 if lengths.shape[0] > 1 else 1
    norms = whole.transpose(0, axis).flatten(1).norm(dim=1)
    return whole * lengths / norms.view([-1 if dim == axis else 1 for dim in range(whole.ndim)])


@pytest.mark.parametrize("layer", [ATTENTION, "down_blocks.0.resnets.0.conv1"])
@pytest.mark.parametrize("by", ["rows", "columns"])
def test_a_dora_draws_what_the_weights_it_stands_for_draw(stage: Stage, write: Write, layer: str, by: str) -> None:
    unet: Any = stage.model("sd").components["unet"].module
    weight = base_weight(unet.get_submodule(layer))
    torch.manual_seed(8)
    outputs, inputs, *kernel = weight.shape
    down, up = torch.randn(2, inputs, *kernel) * 0.2, torch.randn(outputs, 2, *(1 for _ in kernel))
    lengths = (
        torch.rand((outputs, 1) if by == "rows" else (1, inputs)).reshape(
            [outputs if by == "rows" else 1, 1 if by == "rows" else inputs, *(1 for _ in kernel)]
        )
        * weight.norm()
    )
    flat = f"lora_unet_{layer.replace('.', '_')}"
    parts = {"lora_down.weight": down, "lora_up.weight": up, "alpha": torch.tensor(1.0), "dora_scale": lengths}
    path = write("dora", {f"{flat}.{name}": tensor for name, tensor in parts.items()})
    wanted = changed(weight.data, ((up.flatten(1) @ down.flatten(1)) / 2).view(weight.shape), lengths)
    plain, before = stage.draw("sd"), weight.data.clone()
    for strength in (1.0, 0.5):
        drawn = stage.draw("sd", adapter(path, strength))
        weight.data = before + strength * (wanted - before)
        merged = stage.draw("sd")
        weight.data = before
        assert not numpy.array_equal(drawn, plain)
        assert int(numpy.abs(drawn.astype(int) - merged.astype(int)).max()) <= 1
    assert numpy.array_equal(stage.draw("sd", adapter(path, 0.0)), plain)


@pytest.mark.parametrize("layer", [ATTENTION, "down_blocks.0.resnets.0.conv1"])
@pytest.mark.parametrize("form", ["whole", "tucker", "dora"])
def test_a_lokr_too_large_for_a_lora_is_computed_factor_by_factor(
    stage: Stage, write: Write, monkeypatch: pytest.MonkeyPatch, layer: str, form: str
) -> None:
    """As most are that were trained with full matrices: what it draws is what the changed weights draw."""
    monkeypatch.setattr(adapter_layers, "MAX_RANK", 0)
    weight = base_weight(stage.model("sd").components["unet"].module.get_submodule(layer))
    outputs, inputs, *kernel = weight.shape
    torch.manual_seed(12)
    first, second = torch.randn(4, 2), torch.randn(outputs // 4, inputs // 2, *kernel)
    parts = {"lokr_w1": first, "lokr_w2": second * 0.3}
    if form == "tucker":
        if not kernel:
            pytest.skip("only kernels are written so")
        middle, left, right = torch.randn(3, 3, *kernel), torch.randn(3, outputs // 4), torch.randn(3, inputs // 2)
        second = torch.einsum("ijhw,ip,jr->prhw", middle, left, right) / 3
        parts = {"lokr_w1": first, "lokr_t2": middle, "lokr_w2_a": left, "lokr_w2_b": right, "alpha": torch.tensor(0.3)}
        parts["alpha"] *= 3
    change = torch.kron(first, second.flatten(1)).view(weight.shape) * (0.9 if form == "tucker" else 0.3)
    wanted = weight.data + change
    if form == "dora":
        parts["dora_scale"] = torch.rand(1, inputs, *(1 for _ in kernel)) * weight.norm()
        wanted = changed(weight.data, change, parts["dora_scale"])
    flat = f"lora_unet_{layer.replace('.', '_')}"
    path = write("lokr", {f"{flat}.{name}": tensor for name, tensor in parts.items()})
    drawn, plain, before = stage.draw("sd", adapter(path)), stage.draw("sd"), weight.data.clone()
    weight.data = wanted
    merged = stage.draw("sd")
    weight.data = before
    assert not numpy.array_equal(drawn, plain)
    assert int(numpy.abs(drawn.astype(int) - merged.astype(int)).max()) <= 1
    assert numpy.array_equal(stage.draw("sd", adapter(path, 0.0)), plain)
    assert numpy.array_equal(stage.draw("sd"), plain)


@pytest.mark.parametrize("form", ["dora", "lokr"])
def test_layers_that_are_one_in_the_file_are_changed_as_one(
    stage: Stage, write: Write, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """FLUX.1's query, key and value: a column's length is that of all three, and a LoKr's rows run through them."""
    monkeypatch.setattr(adapter_layers, "MAX_RANK", 0 if form == "lokr" else 320)
    transformer: Any = stage.model("flux").components["transformer"].module
    names = [f"transformer_blocks.0.attn.to_{one}" for one in "qkv"]
    weights = [base_weight(transformer.get_submodule(name)) for name in names]
    whole = torch.cat([weight.data for weight in weights])
    torch.manual_seed(13)
    flat = "lora_unet_double_blocks_0_img_attn_qkv"
    if form == "dora":
        down, up = torch.randn(2, whole.shape[1]) * 0.2, torch.randn(whole.shape[0], 2)
        lengths = torch.rand(1, whole.shape[1]) * whole.norm()
        parts = {"lora_down.weight": down, "lora_up.weight": up, "alpha": torch.tensor(2.0), "dora_scale": lengths}
        wanted = changed(whole, up @ down, lengths)
    else:
        first, second = torch.randn(2, 4), torch.randn(whole.shape[0] // 2, whole.shape[1] // 4)
        parts, wanted = {"lokr_w1": first, "lokr_w2": second}, whole + torch.kron(first, second)
    path = write("joined", {f"{flat}.{name}": tensor for name, tensor in parts.items()})
    plain = stage.draw("flux", scheduler="flow-euler")
    drawn = stage.draw("flux", adapter(path), scheduler="flow-euler")
    before = [weight.data.clone() for weight in weights]
    for weight, rows in zip(weights, wanted.split(weights[0].shape[0]), strict=True):
        weight.data = rows.to(weight.dtype)
    merged = stage.draw("flux", scheduler="flow-euler")
    for weight, old in zip(weights, before, strict=True):
        weight.data = old
    assert not numpy.array_equal(drawn, plain)
    assert int(numpy.abs(drawn.astype(int) - merged.astype(int)).max()) <= 1
    assert numpy.array_equal(stage.draw("flux", scheduler="flow-euler"), plain)


FUSED = {
    "flux": {
        "transformer_blocks.0.attn.to_q transformer_blocks.0.attn.to_k transformer_blocks.0.attn.to_v": (
            "double_blocks.0.img_attn.qkv"
        ),
        "single_transformer_blocks.0.attn.to_q single_transformer_blocks.0.attn.to_k"
        " single_transformer_blocks.0.attn.to_v single_transformer_blocks.0.proj_mlp": "single_blocks.0.linear1",
        "transformer_blocks.0.ff.net.0.proj": "double_blocks.0.img_mlp.0",
    },
    "sd3": {
        "transformer_blocks.0.attn.to_q transformer_blocks.0.attn.to_k transformer_blocks.0.attn.to_v": (
            "joint_blocks.0.x_block.attn.qkv"
        ),
        "transformer_blocks.0.attn.add_q_proj transformer_blocks.0.attn.add_k_proj"
        " transformer_blocks.0.attn.add_v_proj": "joint_blocks.0.context_block.attn.qkv",
        "transformer_blocks.0.ff_context.net.2": "joint_blocks.0.context_block.mlp.fc2",
    },
    "z-image": {
        "layers.0.attention.to_q layers.0.attention.to_k layers.0.attention.to_v": "layers.0.attention.qkv",
        "layers.0.attention.to_out.0": "layers.0.attention.out",
    },
    "qwen-image": {},
    "chroma": {"transformer_blocks.0.attn.to_add_out": "double_blocks.0.txt_attn.proj"},
    "krea2": {
        "transformer_blocks.0.attn.to_out.0": "blocks.0.attn.wo",
        "transformer_blocks.1.ff.gate": "blocks.1.mlp.gate",
        "text_fusion.refiner_blocks.0.attn.to_q": "txtfusion.refiner_blocks.0.attn.wq",
        "txt_in.linear_1": "txtmlp.1",
    },
}
"""Layers in diffusers' names, and what the authors of the model call them (together)."""
OWN = {"flux": "single_transformer_blocks.0.attn.to_q", "z-image": "layers.0.attention.to_q"}
LAYOUTS = {
    "kohya": ("lora_unet_", True, ("lora_down", "lora_up")),
    "onetrainer": ("lora_transformer_", True, ("lora_down", "lora_up")),
    "lycoris": ("lycoris_", True, ("lora_down", "lora_up")),
    "ai-toolkit": ("diffusion_model.", False, ("lora_A", "lora_B")),
    "peft": ("base_model.model.", False, ("lora_A", "lora_B")),
    "bare": ("", False, ("lora_down", "lora_up")),
    "diffusers": ("transformer.", False, ("lora_A", "lora_B")),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", FUSED)
def test_a_transformers_lora_is_known_in_the_names_of_every_trainer(
    stage: Stage, write: Write, name: str, layout: str
) -> None:
    """The layers it changes and by how much, whether the file names diffusers' layers or the authors'."""
    prefix, flat, forms = LAYOUTS[layout]
    own = OWN.get(name, "transformer_blocks.0.attn.to_q")
    model = stage.model(name)
    transformer: Any = model.components["transformer"].module
    for layers, called in ({own: own} | FUSED[name]).items():
        weights = [base_weight(transformer.get_submodule(layer)) for layer in layers.split()]
        torch.manual_seed(9)
        down, up = torch.randn(2, weights[0].shape[1]), torch.randn(sum(one.shape[0] for one in weights), 2)
        written = prefix + (called.replace(".", "_") if flat else called)
        path = write("lora", {f"{written}.{forms[0]}.weight": down, f"{written}.{forms[1]}.weight": up})
        loaded = AdapterSet().load(view(model, "txt2img"), str(path))
        begin = 0
        for layer, weight in zip(layers.split(), weights, strict=True):
            held = transformer.get_submodule(layer)
            product = held.lora_B[loaded].weight @ held.lora_A[loaded].weight * held.scaling[loaded]
            wanted = (up[begin : begin + weight.shape[0]] @ down).to(product.dtype)
            assert torch.allclose(product, wanted, atol=0.2), (layer, called)
            begin += weight.shape[0]
        held_by = [label for label, one in transformer.named_modules() if loaded in getattr(one, "lora_A", {})]
        assert sorted(held_by) == sorted(layers.split())
        view(model, "txt2img").delete_adapters(loaded)


def test_a_lora_in_the_names_of_sdxls_authors_is_known(stage: Stage, write: Write) -> None:
    model = stage.model("sdxl")
    unet: Any = model.components["unet"].module
    layer = "mid_block.attentions.0.proj_in"
    outputs, inputs = base_weight(unet.get_submodule(layer)).shape[:2]
    flat = "lora_unet_middle_block_1_proj_in"
    path = write(
        "sgm", {f"{flat}.lora_down.weight": torch.ones(1, inputs), f"{flat}.lora_up.weight": torch.ones(outputs, 1)}
    )
    loaded = AdapterSet().load(view(model, "txt2img"), str(path))
    assert [name for name, one in unet.named_modules() if loaded in getattr(one, "lora_A", {})] == [layer]
    view(model, "txt2img").delete_adapters(loaded)


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("lora_unet_x.oft_blocks", "OFT"),
        ("lora_unet_x.diff", "whole weight"),
    ],
)
def test_what_has_no_form_as_a_lora_is_refused_with_the_reason(
    stage: Stage, write: Write, key: str, reason: str
) -> None:
    path = write("odd", {key: torch.zeros(2, 2)})
    with pytest.raises(LatenttyError, match=reason):
        stage.draw("sd", adapter(path))


def test_headers_tell_a_lora_of_another_family(stage: Stage, write: Write) -> None:
    """Before any weight is loaded: by width, by kind of denoiser, by the layers' names."""
    of_sd, of_sdxl = write("sd", unet_lora(stage, "sd")), write("sdxl", unet_lora(stage, "sdxl"))
    flux_layer = "transformer.single_transformer_blocks.0.attn.to_q"
    of_flux = write("flux", {f"{flux_layer}.lora_{side}.weight": torch.zeros(4, 4) for side in "AB"})
    widths = {name: read_widths(stage.models[name]) for name in ("sd", "sdxl", "flux", "sd3")}
    fits = {
        (path.stem, name): not misfit(read_adapter(path), width)
        for path in (of_sd, of_sdxl)
        for name, width in widths.items()
    }
    assert fits[("sd", "sd")]
    assert fits[("sdxl", "sdxl")]
    assert [pair for pair, fit in fits.items() if fit and pair[0] != pair[1]] == []
    assert misfit(read_adapter(of_flux), widths["sd"])
    assert misfit(read_adapter(of_flux), widths["sd3"])
    assert misfit(read_adapter(PIXEL), widths["sd"])
