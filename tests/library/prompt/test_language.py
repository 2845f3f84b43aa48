"""A prompt means what A1111 documents that it means, and what is malformed is told with its place."""

import contextlib
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.library.prompt.composition import subprompts
from tui.library.prompt.emphasis import escaped, unescaped, weigh
from tui.library.prompt.expansion import expand
from tui.library.prompt.inversions import split
from tui.library.prompt.notices import PromptError
from tui.library.prompt.reading import features, is_plain, notices, read
from tui.library.prompt.schedules import stages
from tui.library.prompt.tags import lora_tags, without_tags
from tui.library.prompt.wildcards import Wildcards

ANY = st.text(alphabet=st.sampled_from("ab ,:()[]{}|<>\\0.5_-ANDBREK"), max_size=60) | st.text(max_size=60)

DOCUMENTED_WEIGHTS = {
    "normal text": [("normal text", 1.0)],
    "an (important) word": [("an ", 1.0), ("important", 1.1), (" word", 1.0)],
    "(unbalanced": [("unbalanced", 1.1)],
    r"\(literal\]": [("(literal]", 1.0)],
    "(unnecessary)(parens)": [("unnecessaryparens", 1.1)],
    "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).": [
        ("a ", 1.0),
        ("house", 1.5730000000000004),
        (" ", 1.1),
        ("on", 1.0),
        (" a ", 1.1),
        ("hill", 0.55),
        (", sun, ", 1.1),
        ("sky", 1.4641000000000006),
        (".", 1.1),
    ],
    "": [("", 1.0)],
}
"""The examples in A1111's prompt_parser.py."""

DOCUMENTED_STAGES = {
    "test": [(10, "test")],
    "a [b:3]": [(3, "a "), (10, "a b")],
    "a [b: 3]": [(3, "a "), (10, "a b")],
    "a [[[b]]:2]": [(2, "a "), (10, "a [[b]]")],
    "[(a:2):3]": [(3, ""), (10, "(a:2)")],
    "a [b : c : 1] d": [(1, "a b  d"), (10, "a  c  d")],
    "a[b:[c:d:2]:1]e": [(1, "abe"), (2, "ace"), (10, "ade")],
    "a [unbalanced": [(10, "a [unbalanced")],
    "a [b:.5] c": [(5, "a  c"), (10, "a b c")],
    "((a][:b:c [d:3]": [(3, "((a][:b:c "), (10, "((a][:b:c d")],
    "[a|(b:1.1)]": [(n, "a" if n % 2 else "(b:1.1)") for n in range(1, 11)],
    "[fe|]male": [(n, "female" if n % 2 else "male") for n in range(1, 11)],
    "[fe|||]male": [(1, "female"), (4, "male"), (5, "female"), (8, "male"), (9, "female"), (10, "male")],
    "[cow|cow|horse] in a field": [
        (2, "cow in a field"),
        (3, "horse in a field"),
        (5, "cow in a field"),
        (6, "horse in a field"),
        (8, "cow in a field"),
        (9, "horse in a field"),
        (10, "cow in a field"),
    ],
}
"""The same, for ten steps."""

LANDSCAPE = (
    "fantasy landscape with a [mountain:lake:0.25] and [an oak:a christmas tree:0.75][ in foreground::0.6]"
    "[ in background:0.25] [shoddy:masterful:0.5]"
)


@pytest.mark.parametrize("prompt", DOCUMENTED_WEIGHTS)
def test_weights_are_those_that_a1111_documents(prompt: str) -> None:
    got = [(run.text, pytest.approx(run.weight)) for run in weigh(prompt)]
    assert got == DOCUMENTED_WEIGHTS[prompt]


@pytest.mark.parametrize("prompt", DOCUMENTED_STAGES)
def test_stages_are_those_that_a1111_documents(prompt: str) -> None:
    assert [(stage.until, stage.text) for stage in stages(prompt, 10)] == DOCUMENTED_STAGES[prompt]


def test_the_landscape_of_a1111s_manual_changes_as_it_says() -> None:
    assert [(stage.until, stage.text) for stage in stages(LANDSCAPE, 100)] == [
        (25, "fantasy landscape with a mountain and an oak in foreground shoddy"),
        (50, "fantasy landscape with a lake and an oak in foreground in background shoddy"),
        (60, "fantasy landscape with a lake and an oak in foreground in background masterful"),
        (75, "fantasy landscape with a lake and an oak in background masterful"),
        (100, "fantasy landscape with a lake and a christmas tree in background masterful"),
    ]


def test_and_joins_prompts_with_their_weights() -> None:
    parts = [(one.text.strip(), one.weight) for one in subprompts("a cat :1.2 AND a dog AND a penguin :-0.5")]
    assert parts == [("a cat", 1.2), ("a dog", 1.0), ("a penguin", -0.5)]
    assert [one.text for one in subprompts("ratio 16:9")] == ["ratio 16:9"]


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("${x=red} ${x} and ${x}", " red and red"),
        ("${y:blue} car${y=old}, ${y:blue}", "blue car, old"),
        ("${x=!{a|b|c|d|e|f|g|h}}${x}${x}${x}", r"(.)\1\1"),
        ("costs ${5|5}", r"costs \$5"),
    ],
)
def test_variables_say_what_they_were_given(prompt: str, said: str) -> None:
    assert re.fullmatch(said, expand(prompt, Wildcards(None), 1))


@pytest.mark.parametrize(("prompt", "place"), [("a ${x} b", 2), ("${x=a${x}}${x}", 1), ("${x", 1)])
def test_a_variable_without_a_text_or_an_end_is_told_with_its_place(prompt: str, place: int) -> None:
    with pytest.raises(PromptError) as caught:
        expand(prompt, Wildcards(None), 1)
    assert caught.value.notice.start == place


def test_tags_of_other_programs() -> None:
    (one,), wrong = lora_tags("<lora:x:te=0.5:unet=0.8> fox")
    assert (one.text_weight, one.weight, wrong) == (0.5, 0.8, [])
    assert "single blocks" in lora_tags("<lora:x:1:lbw=OUTALL>")[1][0].text
    assert without_tags("a fox <hypernet:z:0.5>, red") == "a fox, red"
    assert [(one.start, one.kind) for one in notices("fox <hypernet:z:0.5>")] == [(4, "warning")]


@given(ANY, st.integers(1, 12))
def test_any_text_is_a_prompt_and_every_notice_has_a_place_in_it(prompt: str, steps: int) -> None:
    for composed in read(prompt, steps):
        assert composed.stages[-1].until == steps
        for stage in composed.stages:
            assert weigh(stage.text)
    for notice in notices(prompt):
        assert 0 <= notice.start < notice.end <= len(prompt)
    for feature in features(prompt):
        assert prompt[feature.start : feature.end]


@given(ANY)
def test_escaped_text_means_itself_in_every_part_of_the_language(text: str) -> None:
    prompt = escaped(text.replace("AND", "").replace("BREAK", ""))
    assert unescaped(prompt) == text.replace("AND", "").replace("BREAK", "")
    assert is_plain(prompt)
    assert notices(prompt) == []
    assert lora_tags(prompt) == ([], [])
    assert expand(prompt, Wildcards(None), 1) == prompt


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(1, 30)), min_size=1, max_size=8), st.integers(0, 3))
def test_nested_weights_multiply(words: list[tuple[str, int]], depth: int) -> None:
    prompt = " ".join(f"{'(' * depth}({word}:{weight / 10}){')' * depth}" for word, weight in words)
    weights = {word: run.weight for run in weigh(prompt) for word in re.findall(r"[a-f]", run.text)}
    last = dict(words)
    for run in weigh(prompt):
        for word in re.findall(r"[a-f]", run.text):
            assert word in last
    assert all(
        weights[word] == pytest.approx(weight / 10 * 1.1**depth)
        for word, weight in {words[-1][0]: words[-1][1]}.items()
    )


@pytest.mark.parametrize(
    ("prompt", "start", "text", "kind"),
    [
        ("a (b", 2, "never closed", "warning"),
        ("a b)", 3, "text", "warning"),
        ("a (b:1.2.3) c", 4, "no number", "error"),
        ("(:1.2)", 1, "no word", "warning"),
        ("(b:400)", 2, "beyond", "error"),
        ("x <lora:> y", 2, "names no LoRA", "error"),
        ("x <lora:a", 2, "never closed", "error"),
        ("<lora:a:b>", 0, "a number", "error"),
        ("<lora:a:9>", 0, "at most", "error"),
        ("[a:b:1.5]", 0, "never changes", "warning"),
        ("[a:b:-2]", 0, "from 0", "error"),
    ],
)
def test_what_is_malformed_is_told_with_its_place(prompt: str, start: int, text: str, kind: str) -> None:
    (notice,) = notices(prompt)
    assert (notice.start, notice.kind) == (start, kind)
    assert text in notice.text


def test_tags_have_one_weight_or_two_and_leave_the_prompt() -> None:
    tags, wrong = lora_tags("a <lora:x> b <lora:y:0.8> c <lora:z:0.8:0.5>")
    assert wrong == []
    assert [(one.name, one.text_weight, one.weight) for one in tags] == [("x", 1, 1), ("y", 0.8, 0.8), ("z", 0.8, 0.5)]
    assert without_tags("a <lora:x> b <lora:y:0.8>") == "a b"
    assert without_tags("a <lora:x> <lora:y> , b, <lora:z>, c") == "a, b, , c", "commas are the user's"
    assert without_tags("a  b ") == "a  b ", "a prompt without tags stays as it is"


@pytest.fixture
def wildcards(tmp_path: Path) -> Wildcards:
    (tmp_path / "sub").mkdir()
    (tmp_path / "colour.txt").write_text("# of things\nred\nblue\n\n0::never\n")
    (tmp_path / "sub" / "thing.txt").write_text("{a|an old} __colour__ fox\n")
    (tmp_path / "loop.txt").write_text("__loop__\n")
    return Wildcards(tmp_path)


def test_wildcards_and_choices_are_made_by_the_seed(wildcards: Wildcards) -> None:
    template = "__sub/thing__ {in the snow|at {dawn|dusk}} __co*__"
    said = {expand(template, wildcards, seed) for seed in range(60)}
    assert expand(template, wildcards, 3) == expand(template, wildcards, 3)
    assert len(said) > 10
    pattern = r"(a|an old) (red|blue) fox (in the snow|at dawn|at dusk) (red|blue)"
    assert all(re.fullmatch(pattern, one) for one in said)


def test_a_count_chooses_different_ones(wildcards: Wildcards) -> None:
    for seed in range(20):
        chosen = expand("{2$$ and $$cat|dog|cow}", wildcards, seed).split(" and ")
        assert len(set(chosen)) == 2
        assert 1 <= len(expand("{1-$$cat|dog|cow}", wildcards, seed).split(", ")) <= 3
        assert expand("{0::a|1::b}", wildcards, seed) == "b"


@pytest.mark.parametrize(
    ("prompt", "start", "text"),
    [
        ("a {b|c", 2, "never closed"),
        ("a }", 2, "nothing is opened"),
        ("{x$$a|b}", 1, "how many"),
        ("__nothing__ x", 0, "no wildcard file"),
        ("__loop__", 0, "without end"),
    ],
)
def test_a_choice_that_cannot_be_made_is_refused_with_its_place(
    wildcards: Wildcards, prompt: str, start: int, text: str
) -> None:
    with pytest.raises(PromptError, match=text) as refused:
        expand(prompt, wildcards, 1)
    assert refused.value.notice.start == start


@given(st.text(max_size=40))
def test_expansion_ends_or_is_refused(prompt: str) -> None:
    with contextlib.suppress(PromptError):
        assert isinstance(expand(prompt, Wildcards(None), 1), str)


def test_textual_inversions_are_found_by_name_and_no_part_of_a_word() -> None:
    names = ["easynegative", "easy"]
    assert list(split("an EasyNegative, uneasy <easy> embedding:easy", names)) == [
        ("an ", ""),
        ("", "easynegative"),
        (", uneasy ", ""),
        ("", "easy"),
        (" ", ""),
        ("", "easy"),
    ]
