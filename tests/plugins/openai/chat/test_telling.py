from llmproxy.canonical import BlockEnded, BlockStarted, Ping, Text
from llmproxy_openai.chat.telling import Telling


def test_blocks_are_numbered_over_all_choices_and_events_leave_once() -> None:
    telling = Telling()

    assert telling.begin(Text(""), 0) == 0
    assert telling.begin(Text(""), 1) == 1
    telling.whole(Text("x"), 1)
    telling.tell(Ping())
    assert telling.drain() == [
        BlockStarted(0, Text(""), 0),
        BlockStarted(1, Text(""), 1),
        BlockStarted(2, Text("x"), 1),
        BlockEnded(2),
        Ping(),
    ]
    assert telling.drain() == []
