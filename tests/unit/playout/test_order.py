from itertools import islice, pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from streamd.playout.order import rounds

playlists = st.lists(st.text(min_size=1, max_size=3), min_size=1, max_size=8)
seeds = st.integers().map(Random)


@given(playlists, st.booleans(), seeds)
def test_every_round_holds_every_file(files: list[str], shuffle: bool, random: Random) -> None:
    for order in islice(rounds(files, loop=True, shuffle=shuffle, random=random), 5):
        assert sorted(order) == sorted(files)


@given(st.lists(st.text(min_size=1), min_size=2, max_size=8, unique=True), seeds)
def test_no_file_follows_itself(files: list[str], random: Random) -> None:
    orders = islice(rounds(files, loop=True, shuffle=True, random=random), 6)
    played = [file for order in orders for file in order]
    assert all(before != after for before, after in pairwise(played))


@given(playlists, seeds)
def test_without_shuffle_the_order_is_as_listed(files: list[str], random: Random) -> None:
    orders = islice(rounds(files, loop=True, shuffle=False, random=random), 3)
    assert list(orders) == [tuple(files)] * 3


@given(playlists, st.booleans(), seeds)
def test_without_loop_there_is_one_round(files: list[str], shuffle: bool, random: Random) -> None:
    assert len(list(rounds(files, loop=False, shuffle=shuffle, random=random))) == 1


def test_shuffled_rounds_differ() -> None:
    files = [str(number) for number in range(20)]
    first, second = islice(rounds(files, loop=True, shuffle=True, random=Random(1)), 2)
    assert first != second
