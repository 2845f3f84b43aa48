"""Everything below the user's folders is found, once, and nothing is opened twice."""

import os
from pathlib import Path

import msgspec

from tests.library import model_files as files
from tests.library.model_files import write_safetensors
from tui.library.places import Place, out_of_reach, places
from tui.library.scanning import candidates, changed, look_at


def test_the_folders_of_other_programs_are_found(tmp_path: Path) -> None:
    home = tmp_path / "home"
    comfy, web_ui = home / "ComfyUI", home / "stable-diffusion-webui"
    write_safetensors(comfy / "models" / "loras" / "a.safetensors", files.KOHYA)
    write_safetensors(web_ui / "models" / "Stable-diffusion" / "sub" / "b.safetensors", files.SD1)
    write_safetensors(tmp_path / "elsewhere" / "vae" / "c.safetensors", files.SDXL)
    (comfy / "extra_model_paths.yaml").write_text(
        f"a111:\n  base_path: {tmp_path / 'elsewhere'}\n  vae: |\n    vae\n    /nowhere\n  is_default: true\n"
    )
    snapshot = home / ".cache" / "huggingface" / "hub" / "models--org--name" / "snapshots" / "abc"
    blob = write_safetensors(snapshot.parents[1] / "blobs" / "x", files.SDXL)
    snapshot.mkdir(parents=True)
    (snapshot / "d.safetensors").symlink_to(blob)
    found = [
        (file.name, file.kind, file.place)
        for one in candidates(places([], others=True, environment={"HOME": str(home)}))
        for file in look_at(one)
    ]
    assert sorted(found) == [
        ("a", "lora", "ComfyUI"),
        ("b", "checkpoint", "A1111"),
        ("c", "checkpoint", "ComfyUI"),
        ("d", "checkpoint", "Hugging Face"),
    ]


def test_only_what_changed_is_looked_at_again_and_circles_end(tmp_path: Path) -> None:
    first = write_safetensors(tmp_path / "a" / "first.safetensors", files.KOHYA)
    write_safetensors(tmp_path / "a" / "second.safetensors", files.SD1)
    (tmp_path / "a" / "round").symlink_to(tmp_path / "a")
    where = places([tmp_path, tmp_path / "a"], others=False)
    found = {str(one.path): one for one in candidates(where)}
    assert len(found) == 2
    stamps = {path: one.stamp for path, one in found.items()}
    write_safetensors(first, files.KOHYA_XL)
    again = {str(one.path): one for one in candidates(where)}
    assert [one.path for one in changed(again, stamps)] == [first]


def test_a_stray_configuration_hides_no_file(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "loras" / "one.safetensors", files.KOHYA)
    write_safetensors(tmp_path / "loras" / "two.safetensors", files.FLUX_LORA)
    (tmp_path / "loras" / "config.json").write_text("{}")
    found = [file for one in candidates(places([tmp_path], others=False)) for file in look_at(one)]
    assert [file.name for file in found] == ["one", "two"]


def test_a_broken_file_of_paths_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "extra_model_paths.yaml").write_text("a: [\n" + "[" * 2000)
    assert [place.path for place in places([tmp_path], others=False)] == [tmp_path]


def test_brackets_in_brackets_end_a_file_of_paths_before_each_costs_a_look_at_all_others(tmp_path: Path) -> None:
    comfy, more = tmp_path / "comfy", tmp_path / "more"
    comfy.mkdir()
    more.mkdir()
    for deep, found in ((10, [comfy, more]), (30, [comfy])):
        (comfy / "extra_model_paths.yaml").write_text(f"a:\n  b: {'[' * deep}{']' * deep}\n  vae: {more}\n")
        assert [place.path for place in places([comfy], others=False)] == found


def test_a_folder_that_links_lead_to_is_looked_through_once(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "real" / "a b.safetensors", files.SDXL)
    (tmp_path / "real" / "loop").symlink_to(tmp_path)
    (tmp_path / "way").symlink_to(tmp_path / "real")
    found = list(candidates([Place(path=tmp_path, owner="folder"), Place(path=tmp_path / "way", owner="folder")]))
    assert [one.path for one in found] == [tmp_path / "real" / "a b.safetensors"]


def test_what_cannot_be_looked_through_is_told_and_keeps_nothing_else_from_being_found(tmp_path: Path) -> None:
    """A disk that is not mounted, a file in place of a folder, and a pipe, which would be waited for without end."""
    (tmp_path / "there").mkdir()
    os.mkfifo(tmp_path / "there" / "pipe.safetensors")
    write_safetensors(tmp_path / "there" / "lora.safetensors", files.KOHYA)
    folders = [tmp_path / "unmounted", tmp_path / "there" / "lora.safetensors", tmp_path / "there"]
    found = [one for candidate in candidates(places(folders, others=False)) for one in look_at(candidate)]
    assert [(one.name, str(one.problem or "")[-70:]) for one in found if one.kind == "lora"] == [("lora", "")]
    assert "no ordinary file" in str(next(one for one in found if one.name == "pipe").problem)
    absent, misplaced = out_of_reach(folders)
    assert absent.endswith("unmounted is not there: is its disk mounted?")
    assert misplaced.endswith("lora.safetensors cannot be read (Not a directory)")


def test_names_that_are_not_utf8_are_listed_with_the_reason_and_spoil_no_message(tmp_path: Path) -> None:
    write_safetensors(tmp_path / os.fsdecode(b"\xe9t\xe9.safetensors"), files.KOHYA)
    write_safetensors(tmp_path / os.fsdecode(b"d\xfcrer") / "one.safetensors", files.SDXL)
    model = tmp_path / "model"
    (model / "unet").mkdir(parents=True)
    (model / "model_index.json").write_text("{}")
    (model / "unet" / os.fsdecode(b"x\xff.safetensors")).write_bytes(b"x")
    found = list(candidates([Place(path=tmp_path, owner="folder")]))
    listed = [file for one in found for file in look_at(one)]
    msgspec.msgpack.encode((listed, [one.stamp for one in found], [one.told for one in found]))
    known = {file.path.removeprefix(f"{tmp_path}/"): (file.kind, str(file.problem)) for file in listed}
    assert known.keys() == {"\\xe9t\\xe9.safetensors", "d\\xfcrer/one.safetensors", "model"}
    for path, kind in (("\\xe9t\\xe9.safetensors", "lora"), ("d\\xfcrer/one.safetensors", "checkpoint")):
        assert known[path][0] == kind
        assert "not UTF-8" in known[path][1]
