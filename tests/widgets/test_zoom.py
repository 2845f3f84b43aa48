"""What is seen of a picture stays inside it, whatever one does."""

from hypothesis import given
from hypothesis import strategies as st

from tui.widgets.zoom import Zoom

SIZES = st.tuples(st.integers(1, 5000), st.integers(1, 5000))
MOVES = st.lists(st.tuples(st.integers(-1, 1), st.integers(-1, 1)), max_size=20)


@given(size=SIZES, room=SIZES, level=st.integers(0, 2), moves=MOVES)
def test_the_part_lies_in_the_picture_and_fills_the_room(
    size: tuple[int, int], room: tuple[int, int], level: int, moves: list[tuple[int, int]]
) -> None:
    zoom = Zoom().nearer(level)
    for across, down in moves:
        zoom = zoom.moved(across, down, size, room)
    left, top, right, bottom = zoom.box(size, room)
    assert 0 <= left < right <= size[0]
    assert 0 <= top < bottom <= size[1]
    if level:
        assert right - left == max(min(size[0], room[0] // level), 1)


def test_a_key_moves_and_the_edge_stops() -> None:
    zoom = Zoom(level=1)
    seen = zoom.box((1000, 1000), (400, 400))
    assert seen == (300, 300, 700, 700)
    assert zoom.moved(1, 0, (1000, 1000), (400, 400)).box((1000, 1000), (400, 400)) == (400, 300, 800, 700)
    for _ in range(9):
        zoom = zoom.moved(1, 0, (1000, 1000), (400, 400))
    assert zoom.box((1000, 1000), (400, 400))[2] == 1000
    assert zoom.moved(-1, 0, (1000, 1000), (400, 400)).box((1000, 1000), (400, 400))[2] == 900
    assert Zoom().nearer(9).name == "2:1"
