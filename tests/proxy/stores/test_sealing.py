from __future__ import annotations

import base64
import threading

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.stores import sealing
from llmproxy.stores.sealing import Both, Compression, Encryption, Seal, Unopened, read_key

OLD, NEW = b"o" * 32, b"n" * 32
SEALS: list[Seal] = [Compression(16), Encryption([NEW]), Both(Compression(16), Encryption([NEW]))]
EVERY_SEAL = pytest.mark.parametrize("seal", SEALS, ids=["zstd", "aes", "both"])
TEXT = b'{"content": "the same words, the same words"}' * 200


def reason(seal: Seal, key: bytes, data: bytes) -> str:
    with pytest.raises(Unopened) as fault:
        seal.open(key, data)
    return fault.value.reason


@EVERY_SEAL
@given(value=st.binary() | st.binary(max_size=20).map(lambda each: b"\xf5" + each), key=st.binary())
def test_what_is_closed_opens_to_what_it_was(seal: Seal, key: bytes, value: bytes) -> None:
    assert seal.open(key, seal.close(key, value)) == value


def test_compression_makes_text_smaller_and_leaves_the_rest_as_it_is() -> None:
    seal = Compression(above=4096)
    noise = bytes(range(256)) * 10

    assert len(seal.close(b"k", TEXT)) < len(TEXT) // 10
    assert seal.close(b"k", TEXT[:4095]) == TEXT[:4095]
    assert seal.close(b"k", noise) is noise
    assert seal.open(b"k", noise) is noise


def test_numbers_stay_numbers_under_compression() -> None:
    assert Compression(0).close(b"k", b"-12") == b"-12"
    assert [seal.keeps_numbers for seal in SEALS] == [True, False, False]


def test_what_claims_to_be_too_large_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    seal = Compression(16)
    bomb = seal.close(b"k", bytes(100_000))
    monkeypatch.setattr(sealing, "LARGEST", 99_999)

    assert len(bomb) < 100
    assert reason(seal, b"k", bomb) == "size"
    assert seal.close(b"k", bytes(100_000)) == bytes(100_000)


def test_a_stream_without_a_size_is_not_unpacked() -> None:
    writer = zstandard.ZstdCompressor(write_content_size=False)

    assert reason(Compression(16), b"k", b"\xf5\x01" + writer.compress(TEXT)) == "size"


@given(st.binary(max_size=60))
def test_whatever_is_found_is_opened_or_refused(data: bytes) -> None:
    for seal in SEALS:
        for mark in (b"", b"\xf5", b"\xf5\x01", b"\xf5\x02", b"\xf5\x01(\xb5/\xfd"):
            try:
                seal.open(b"k", mark + data)
            except Unopened as fault:
                assert fault.reason in {"plain", "key", "corrupt", "size"}  # noqa: PT017  # either is right


def test_one_bit_changed_is_corrupt_wherever_it_is() -> None:
    seal = Encryption([NEW])
    data = seal.close(b"k", b"value")

    for place in range(6 * 8, len(data) * 8):
        changed = bytearray(data)
        changed[place // 8] ^= 1 << place % 8
        assert reason(seal, b"k", bytes(changed)) == "corrupt"
    for length in range(6, len(data)):
        assert reason(seal, b"k", data[:length]) == "corrupt"


def test_a_value_is_bound_to_its_key() -> None:
    seal = Both(Compression(16), Encryption([NEW]))
    data = seal.close(b"acme's", TEXT)

    assert reason(seal, b"other's", data) == "corrupt"


def test_the_first_key_encrypts_and_all_decrypt() -> None:
    before, during, after = Encryption([OLD]), Encryption([NEW, OLD]), Encryption([NEW])
    data = before.close(b"k", b"value")

    assert during.open(b"k", data) == b"value"
    assert reason(after, b"k", data) == "key"
    assert after.open(b"k", during.close(b"k", b"value")) == b"value"


def test_nothing_is_read_that_was_not_encrypted() -> None:
    assert reason(Encryption([NEW]), b"k", b"plain") == "plain"


def test_no_two_encryptions_are_alike() -> None:
    stores = [Encryption([NEW]) for _ in range(3)]

    assert len({store.close(b"k", b"value") for store in stores for _ in range(100)}) == 300


def test_nothing_of_the_value_or_the_key_is_to_be_seen() -> None:
    data = Encryption([NEW]).close(b"secret-key", b"secret-value")

    assert b"secret" not in data
    assert NEW[:4] not in data


def test_threads_do_not_share_a_context() -> None:
    seal = Both(Compression(16), Encryption([NEW]))
    wrong: list[int] = []

    def work(number: int) -> None:
        value = b"%d," % number * 20_000
        wrong.extend(1 for _ in range(20) if seal.open(b"k", seal.close(b"k", value)) != value)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


@pytest.mark.parametrize(
    "text",
    [
        NEW.hex(),
        NEW.hex().upper() + "\n",
        base64.b64encode(NEW).decode(),
        base64.urlsafe_b64encode(NEW).decode(),
        base64.b64encode(NEW).decode().rstrip("="),
    ],
)
def test_a_key_is_read_in_hexadecimal_and_base64(text: str) -> None:
    assert read_key(text) == NEW


@given(st.binary(min_size=32, max_size=32))
def test_every_key_is_read_in_every_alphabet(key: bytes) -> None:
    assert read_key(base64.b64encode(key).decode()) == key
    assert read_key(base64.urlsafe_b64encode(key).decode()) == key


@pytest.mark.parametrize("text", ["hunter2", "ab" * 31, "x" * 64, base64.b64encode(b"x" * 31).decode(), ""])
def test_what_is_no_key_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="32 bytes in hexadecimal or base64") as fault:
        read_key(text)

    assert not text or text not in str(fault.value)
