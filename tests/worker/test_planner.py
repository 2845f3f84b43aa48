"""The planner: never over the budget, never what the job needs, nothing for nothing, few reloads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.worker.planner import DoesNotFit, Evict, Held, Load, Need, plan

KEYS = [f"c{number}" for number in range(8)]
BYTES = dict(zip(KEYS, (700, 300, 100, 900, 50, 400, 250, 600), strict=True))


@st.composite
def holdings(draw: st.DrawFn) -> dict[str, Held]:
    keys = draw(st.sets(st.sampled_from(KEYS)))
    return {
        key: Held(
            key=key,
            bytes=BYTES[key],
            used=draw(st.integers(0, 50)),
            reload_seconds=draw(st.floats(0, 10)),
            wanted=draw(st.booleans()),
        )
        for key in keys
    }


NEEDS = st.lists(st.sampled_from(KEYS), max_size=5).map(lambda keys: [Need(key, BYTES[key]) for key in keys])


@given(needs=NEEDS, held=holdings(), budget=st.integers(0, 4000))
def test_a_plan_keeps_the_budget_at_every_moment_and_what_is_needed(
    needs: list[Need], held: dict[str, Held], budget: int
) -> None:
    wanted = {need.key for need in needs}
    if sum(BYTES[key] for key in wanted) > budget:
        with pytest.raises(DoesNotFit):
            plan(needs, held, budget)
        return
    actions = plan(needs, held, budget)
    resident = set(held)
    before = sum(BYTES[key] for key in resident)
    for action in actions:
        match action:
            case Evict(key=key):
                assert key in resident - wanted
                resident.remove(key)
            case Load(key=key):
                assert key in wanted - resident
                resident.add(key)
                assert sum(BYTES[key] for key in resident) <= max(budget, before)
    assert wanted <= resident
    assert sum(BYTES[key] for key in resident) <= budget


@given(needs=NEEDS, held=holdings(), budget=st.integers(0, 4000))
def test_nothing_is_evicted_for_nothing(needs: list[Need], held: dict[str, Held], budget: int) -> None:
    try:
        actions = plan(needs, held, budget)
    except DoesNotFit:
        return
    evicted = [action.key for action in actions if isinstance(action, Evict)]
    after = sum(BYTES[key] for key in (set(held) - set(evicted)) | {need.key for need in needs})
    for key in evicted:
        assert after + BYTES[key] > budget, f"{key} could have stayed"


def test_what_is_wanted_goes_last_and_what_is_cheap_to_bring_back_first() -> None:
    held = {
        "dear": Held("dear", 100, used=1, reload_seconds=9),
        "cheap": Held("cheap", 100, used=2, reload_seconds=1),
        "wanted": Held("wanted", 100, used=0, reload_seconds=0, wanted=True),
    }
    order = []
    for budget in (300, 200, 100):
        actions = plan([Need("new", 100)], held, budget)
        order.append([action.key for action in actions if isinstance(action, Evict)])
    assert order[0] == ["cheap"]
    assert set(order[1]) == {"cheap", "dear"}
    assert set(order[2]) == {"cheap", "dear", "wanted"}


TRACES = {
    "two models in turn, both fit": (["a", "b"] * 20, 2),
    "three in turn, two fit": (["a", "b", "c"] * 14, 2),
    "one favourite": (["a", "b", "a", "c", "a", "d"] * 8, 2),
    "a long look at each": (["a"] * 9 + ["b"] * 9 + ["c"] * 9 + ["a"] * 9, 2),
}


@pytest.mark.parametrize("name", TRACES)
def test_recorded_traces_need_no_more_reloads_than_least_recently_used(name: str) -> None:
    trace, room = TRACES[name]
    assert loads_of(trace, room * 100) <= least_recently_used(trace, room)


def loads_of(trace: list[str], budget: int) -> int:
    held: dict[str, Held] = {}
    loads = 0
    for now, key in enumerate(trace):
        for action in plan([Need(key, 100)], held, budget):
            if isinstance(action, Evict):
                del held[action.key]
            else:
                loads += 1
        held[key] = Held(key, 100, used=now, reload_seconds=1)
    return loads


def least_recently_used(trace: list[str], room: int) -> int:
    held: list[str] = []
    loads = 0
    for key in trace:
        if key in held:
            held.remove(key)
        else:
            loads += 1
            del held[: max(len(held) - room + 1, 0)]
        held.append(key)
    return loads


@given(trace=st.lists(st.sampled_from("abcde"), max_size=24), room=st.integers(1, 4))
def test_short_traces_stay_near_the_fewest_loads_that_foresight_allows(trace: list[str], room: int) -> None:
    """The bound that Sleator and Tarjan (1985) give for equal sizes and costs; where all fits, the optimum itself."""
    best, ours = with_foresight(trace, room), loads_of(trace, room * 100)
    assert best <= ours <= room * best
    if len(set(trace)) <= room:
        assert ours == best


def with_foresight(trace: list[str], room: int) -> int:
    """The fewest loads there can be: what is needed again latest goes first (Belady 1966)."""
    held: set[str] = set()
    loads = 0
    for now, key in enumerate(trace):
        if key not in held:
            loads += 1
            if len(held) == room:
                rest = trace[now:]
                held.remove(max(held, key=lambda one: rest.index(one) if one in rest else len(rest)))
            held.add(key)
    return loads
