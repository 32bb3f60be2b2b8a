from llmproxy_declared.suggesting import near


def test_the_nearest_name_is_found_or_none():
    assert near("temprature", ["top_p", "temperature"]) == "temperature"
    assert near("xyz", ["top_p", "temperature"]) is None
