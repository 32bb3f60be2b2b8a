from llmproxy.plugin import Parts, Usage
from llmproxy_openai.media.counts import write_heard_usage, write_media_usage
from llmproxy_openai.usage import read_usage


def test_what_pictures_used_comes_back_as_it_went() -> None:
    usage = Usage(50, 0, 0, 4160, parts=Parts(input_image=40, output_image=4150))

    assert read_usage(write_media_usage(usage)) == usage


def test_what_was_heard_comes_back_as_it_went() -> None:
    for usage in (Usage(14, 0, 0, 45, parts=Parts(input_audio=10)), Usage(units=2500)):
        assert read_usage(write_heard_usage(usage)) == usage
