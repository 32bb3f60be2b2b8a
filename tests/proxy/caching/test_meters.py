from llmproxy.caching.meters import CacheMeters
from llmproxy.metrics import Metrics


def test_a_cache_counts_how_requests_were_answered_and_what_that_saved() -> None:
    metrics = Metrics()
    meters = CacheMeters(metrics, "answers")
    meters.answered("chat", "miss", 0.8)
    meters.stored("chat", "stored", 512)
    meters.stored("chat", "incomplete")
    meters.hits("chat", "hit").count(0.001, 12.0, 512, tokens=15, microdollars=1_500_000, saved=0.8)
    meters.hits("chat", "hit").count(0.9, 12.0, 0, microdollars=-1, saved=-0.1)
    text = metrics.exposition([metrics.snapshot()])

    for line in (
        'llmproxy_cache_requests_total{cache="answers",route="chat",outcome="miss"} 1',
        'llmproxy_cache_requests_total{cache="answers",route="chat",outcome="hit"} 2',
        'llmproxy_cache_answers_total{cache="answers",route="chat",result="incomplete"} 1',
        'llmproxy_cache_stored_bytes_total{cache="answers"} 512',
        'llmproxy_cache_served_bytes_total{cache="answers"} 512',
        'llmproxy_cache_saved_tokens_total{cache="answers",route="chat"} 15',
        'llmproxy_cache_saved_dollars_total{cache="answers",route="chat"} 1.5',
        'llmproxy_cache_saved_seconds_total{cache="answers",route="chat"} 0.8',
        'llmproxy_cache_age_seconds_bucket{cache="answers",le="60.0"} 2',
    ):
        assert line in text


def test_two_generations_of_a_cache_count_together() -> None:
    metrics = Metrics()
    for _ in range(2):
        CacheMeters(metrics, "answers").answered("chat", "hit", 0.001)

    assert 'outcome="hit"} 2' in metrics.exposition([metrics.snapshot()])
