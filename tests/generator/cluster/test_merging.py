"""What a cluster says where not every replica can."""

from __future__ import annotations

from generator.cluster.merging import Answer, merged


def test_measures_of_others_stand_beside_a_refusal() -> None:
    page = b"# HELP kataribe_waiting Stories\n# TYPE kataribe_waiting gauge\nkataribe_waiting 2.0\n"
    refused = Answer("b", 401, {}, b'{"error": {"message": "a key is wanted"}}')
    answer = merged("/metrics", [Answer("a", 200, {}, page), refused, Answer("c")])
    assert answer is not None
    said = answer.body.decode()
    assert 'kataribe_waiting{replica="a"} 2.0' in said
    for replica, up in (("a", 1.0), ("b", 0.0), ("c", 0.0)):
        assert f'kataribe_replica_up{{replica="{replica}"}} {up}' in said
