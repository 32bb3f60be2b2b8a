from llmproxy.adminpages import front


def test_the_front_page_lists_plugin_pages_before_its_own():
    page = front([("/cache", "Cache")])

    assert page.index('<a href="/cache">Cache</a>') < page.index('<a href="/metrics">')


def test_titles_and_paths_are_escaped():
    page = front([('/"><script>', "<b>&")])

    assert "<script>" not in page
    assert "&lt;b&gt;&amp;" in page
