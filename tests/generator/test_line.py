"""Whose turn it is, where some need more slots than others."""

from __future__ import annotations

from generator.engine.generation import Generation
from generator.engine.line import Line
from generator.sampling.requests import Request
from tests.generator.engines import GREEDY


def waiting(*beams: int, passes: int) -> tuple[Line, list[Generation]]:
    line, stories = Line(passes), []
    for width in beams:
        request = Request(prompt=(1,), sampling=GREEDY, seed=0, max_tokens=1, num_beams=width)
        stories.append(Generation(request, lambda _: None))
        line.add(stories[-1])
    return line, stories


def test_who_came_first_is_first() -> None:
    line, stories = waiting(1, 3, 1, passes=0)
    assert line.next(0) is None
    assert [line.next(4), line.next(3), line.next(4), line.next(4)] == [*stories, None]


def test_so_many_pass_the_first_and_then_nobody_until_it_is_in() -> None:
    line, stories = waiting(4, 1, 2, 1, 1, passes=2)
    assert [line.next(1) for _ in range(3)] == [stories[1], stories[3], None]
    assert [line.next(3), line.next(4)] == [None, stories[0]]
    assert [line.next(1), line.next(2)] == [stories[4], stories[2]]


def test_each_first_is_passed_by_so_many_however_the_one_before_left() -> None:
    line, stories = waiting(2, 1, 2, 1, 2, 1, 1, passes=1)
    assert [line.next(1), line.next(1)] == [stories[1], None]
    line.remove(stories[4])  # not the first: whose turn it is stays as it was
    assert line.next(1) is None
    line.remove(stories[0])
    assert [line.next(1), line.next(1), line.next(2)] == [stories[3], None, stories[2]]
    assert len(line) == 2
    assert line.leave() == stories[5:]
    assert line.next(9) is None
