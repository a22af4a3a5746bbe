"""Framing: a payload comes out as it went in, or the bytes it lay in are named as a gap."""

import math
import struct
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from plateau_watch.events.framing import FOOTER, HEADER, LONGEST_SOUGHT, framed, masked_crc
from plateau_watch.events.records import (
    LARGE,
    LONGEST,
    LONGEST_KEPT,
    PEEK,
    Gap,
    Record,
    RecordParser,
)
from tests.event_files import (
    ended_naively,
    framed_by_tensorboard,
    gaps_of,
    header,
    parsed,
    parsed_naively,
    payloads_of,
    properties,
)

payload_lists = st.lists(st.binary(max_size=40), max_size=6)
chunk_sizes = st.lists(st.integers(1, 60), min_size=1, max_size=5)

FIRST, SECOND, THIRD = b"first", b"", b"the third"
FILE = framed(FIRST) + framed(SECOND) + framed(THIRD)
EXTENTS = ((0, 21), (21, 16), (37, 25))
"""Offset and size of each of the three records."""

UNSOUND = bytes([framed(FIRST)[0] ^ 1]) + framed(FIRST)[1:]


@st.composite
def damaged_files(draw) -> bytes:
    """A file with bits flipped, stretches deleted, zeroed, duplicated, or foreign bytes put in."""
    data = bytearray(b"".join(map(framed, draw(payload_lists))))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        size = draw(st.integers(0, min(30, len(data) - start)))
        match draw(st.sampled_from(["flip", "delete", "insert", "zero", "duplicate", "claim"])):
            case "flip" if size:
                data[start] ^= 1 << draw(st.integers(0, 7))
            case "delete":
                del data[start : start + size]
            case "insert":
                data[start:start] = draw(st.binary(max_size=30))
            case "zero":
                data[start : start + size] = bytes(size)
            case "duplicate":
                data[start:start] = data[start : start + size]
            case "claim":
                length = st.sampled_from([0, 1, 5, 20, 100, 1000, LONGEST, LONGEST + 1, 2**64 - 1])
                data[start:start] = header(draw(length))
    return bytes(data)


def fed_in(sizes: list[int], data: bytes) -> tuple[list, Gap | None, bool]:
    """Feed data in chunks whose sizes repeat; return all that can be seen of the parser."""
    parser, found, position, turn = RecordParser(), [], 0, 0
    while position < len(data):
        size = sizes[turn % len(sizes)]
        found += parser.feed(data[position : position + size])
        position, turn = position + size, turn + 1
    return found, parser.pending, parser.incomplete


class TestFraming:
    @properties
    @given(payload_lists)
    def test_records_are_byte_for_byte_those_of_tensorboards_writer(self, payloads):
        assert b"".join(map(framed, payloads)) == framed_by_tensorboard(*payloads)

    def test_a_file_of_tensorboards_event_file_writer_is_its_payloads_framed(self, tmp_path):
        writer = EventFileWriter(str(tmp_path))
        for step in range(3):
            writer.add_event(Event(step=step, wall_time=step / 7))
        writer.close()
        (path,) = tmp_path.iterdir()
        found, parser = parsed(path.read_bytes())
        assert [Event.FromString(item.payload).step for item in found] == [0, 0, 1, 2]
        assert b"".join(framed(item.payload) for item in found) == path.read_bytes()
        assert parser.pending is None

    @properties
    @given(st.binary(max_size=200))
    def test_the_masked_crc_is_tensorboards(self, data):
        assert masked_crc(data) == masked_crc32c(data)

    def test_the_masked_crc_of_the_standard_check_string_is_its_crc32c_rotated_and_offset(self):
        rotated = (0xE3069283 >> 15 | 0xE3069283 << 17) & 0xFFFFFFFF
        assert masked_crc(b"123456789") == (rotated + 0xA282EAD8) % 2**32


class TestSoundFiles:
    @properties
    @given(payload_lists)
    def test_any_payloads_come_out_as_they_went_in(self, payloads):
        found, parser = parsed(b"".join(map(framed, payloads)))
        assert payloads_of(found) == payloads
        assert len(found) == len(payloads)
        assert parser.pending is None
        assert not parser.incomplete

    def test_each_record_carries_the_offset_of_its_header(self):
        found, _ = parsed(FILE)
        assert found == [Record(0, FIRST), Record(21, SECOND), Record(37, THIRD)]

    def test_an_empty_file_holds_nothing_and_nothing_is_pending(self):
        found, parser = parsed(b"")
        assert (found, parser.pending, parser.incomplete) == ([], None, False)

    def test_a_record_comes_out_with_its_last_byte(self):
        parser = RecordParser()
        assert list(parser.feed(FILE[:20])) == []
        assert list(parser.feed(FILE[20:21])) == [Record(0, FIRST)]

    @pytest.mark.parametrize("end", range(len(FILE) + 1))
    def test_a_prefix_yields_its_whole_records_and_the_rest_is_pending(self, end):
        found, parser = parsed(FILE[:end])
        whole = [
            Record(offset, payload)
            for (offset, size), payload in zip(EXTENTS, (FIRST, SECOND, THIRD), strict=True)
            if offset + size <= end
        ]
        rest = end - sum(size for _, size in EXTENTS[: len(whole)])
        assert found == whole
        assert parser.incomplete == (rest > 0)
        assert (parser.pending.length if parser.pending else 0) == rest
        assert parser.pending is None or parser.pending.offset == end - rest


class TestChunks:
    @properties
    @given(payload_lists, chunk_sizes)
    def test_chunks_of_any_size_give_what_the_whole_gives(self, payloads, sizes):
        data = b"".join(map(framed, payloads))
        assert fed_in(sizes, data) == fed_in([1 << 20], data)

    @properties
    @given(damaged_files(), chunk_sizes)
    def test_chunks_of_any_size_give_the_same_gaps_in_a_damaged_file(self, data, sizes):
        assert fed_in(sizes, data) == fed_in([1 << 20], data)

    @pytest.mark.parametrize("chunk", [1000, PEEK, PEEK + HEADER, LARGE, LARGE + HEADER + FOOTER])
    def test_chunks_of_any_size_decline_and_collect_the_same_large_payloads(self, chunk):
        large = [bytes([turn]) * (LARGE + 1000 * turn + 1) for turn in range(4)]
        data = b"".join(framed(payload) + framed(payload[:9]) for payload in large)
        found, parser = parsed(data, chunk, wanted=lambda start, _: start[0] % 2 == 1)
        expected = [
            payload
            for turn, each in enumerate(large)
            for payload in ([each, each[:9]] if turn % 2 else [each[:9]])
        ]
        assert payloads_of(found) == expected
        assert gaps_of(found) == []
        assert parser.pending is None


class TestDamage:
    @properties
    @given(damaged_files())
    def test_a_damaged_file_gives_what_trying_every_offset_gives(self, data):
        assert fed_in([1 << 20], data) == parsed_naively(data)

    @pytest.mark.parametrize("damaged", range(3))
    def test_a_flipped_bit_costs_the_record_it_lies_in_and_never_becomes_a_value(self, damaged):
        offset, size = EXTENTS[damaged]
        others = [Record(0, FIRST), Record(21, SECOND), Record(37, THIRD)]
        del others[damaged]
        for bit in range(8 * offset, 8 * (offset + size)):
            data = bytearray(FILE)
            data[bit // 8] ^= 1 << bit % 8
            found, parser = parsed(bytes(data))
            reason = "bad length CRC" if bit // 8 - offset < HEADER else "bad payload CRC"
            lost = [*gaps_of(found), *([parser.pending] if parser.pending else [])]
            assert [item for item in found if isinstance(item, Record)] == others
            assert lost == [Gap(offset, size, reason)]
            assert not parser.incomplete

    def test_a_gap_stands_in_file_order_between_the_records_around_it(self):
        found, _ = parsed(framed(FIRST) + b"?" * 100 + framed(THIRD))
        assert found == [Record(0, FIRST), Gap(21, 100, "bad length CRC"), Record(121, THIRD)]

    def test_a_gap_at_the_beginning_of_a_file_costs_no_record_after_it(self):
        found, _ = parsed(b"?" + FILE)
        assert found[0] == Gap(0, 1, "bad length CRC")
        assert payloads_of(found) == [FIRST, SECOND, THIRD]

    def test_two_damaged_places_are_two_gaps(self):
        found, _ = parsed(UNSOUND + framed(SECOND) + UNSOUND + UNSOUND + framed(THIRD))
        assert gaps_of(found) == [Gap(0, 21, "bad length CRC"), Gap(37, 42, "bad length CRC")]

    def test_a_stretch_of_zeros_is_a_gap_and_no_empty_records(self):
        found, _ = parsed(framed(FIRST) + bytes(1000) + framed(THIRD))
        assert found[1:] == [Gap(21, 1000, "bad length CRC"), Record(1021, THIRD)]

    def test_resync_wants_both_crcs(self):
        decoy = header(7) + b"seven b" + bytes(4)
        found, _ = parsed(UNSOUND + decoy + framed(THIRD))
        assert found == [Gap(0, 21 + len(decoy), "bad length CRC"), Record(44, THIRD)]

    def test_a_gap_tells_the_reason_of_the_first_failure(self):
        bad_payload = header(7) + b"seven b" + bytes(4)
        found, _ = parsed(bad_payload + UNSOUND + framed(THIRD))
        assert gaps_of(found) == [Gap(0, 44, "bad payload CRC")]

    def test_a_record_within_bytes_that_are_lost_is_found(self):
        cut = framed(b"x" * 50)[:30]
        found, _ = parsed(cut + framed(b"y" * 60))
        assert found == [Gap(0, 30, "bad payload CRC"), Record(30, b"y" * 60)]

    def test_lost_bytes_at_the_end_are_pending_but_no_incomplete_record(self):
        found, parser = parsed(framed(FIRST) + UNSOUND)
        assert found == [Record(0, FIRST)]
        assert parser.pending == Gap(21, 21, "bad length CRC")
        assert not parser.incomplete

    def test_a_record_fed_later_ends_the_gap(self):
        parser = RecordParser()
        assert list(parser.feed(UNSOUND)) == []
        assert list(parser.feed(framed(THIRD))) == [
            Gap(0, 21, "bad length CRC"),
            Record(21, THIRD),
        ]
        assert parser.pending is None

    @pytest.mark.parametrize("power", range(8, 19))
    def test_a_record_is_found_wherever_it_lies_in_a_large_gap(self, power):
        # A gap is searched block by block: the record lies across the ends of all likely blocks.
        ends = {2**power, 2**power - 2**10, 2**power - 2**12} - {0}
        for before in (end + nearby for end in ends if end > 0 for nearby in range(-14, 2)):
            found, _ = parsed(b"?" * before + framed(THIRD))
            assert found == [Gap(0, before, "bad length CRC"), Record(before, THIRD)]

    @pytest.mark.parametrize("sound_every", [2, 1_000_000])
    def test_a_file_full_of_damaged_records_is_read_nearly_as_fast_as_a_sound_one(
        self, sound_every
    ):
        damaged, count = framed(b"x" * 40)[:-1] + b"?", 20_000
        data = b"".join(
            damaged if number % sound_every else framed(b"y" * 40) for number in range(count)
        )
        start = time.process_time()
        found, _ = parsed(data, chunk=1 << 20)
        assert time.process_time() - start < 5
        assert len(payloads_of(found)) == math.ceil(count / sound_every)

    def test_a_header_that_lies_across_two_chunks_is_found_in_a_gap(self):
        for cut in range(100, 100 + HEADER + 1):
            parser = RecordParser()
            data = b"?" * 100 + framed(THIRD)
            found = [*parser.feed(data[:cut]), *parser.feed(data[cut:])]
            assert found == [Gap(0, 100, "bad length CRC"), Record(100, THIRD)]


class TestAbsurdLengths:
    @pytest.mark.parametrize("length", [LONGEST + 1, 2**32, 2**63, 2**64 - 1])
    def test_a_record_that_claims_more_than_the_longest_is_a_gap(self, length):
        found, _ = parsed(header(length) + framed(THIRD))
        assert found == [Gap(0, HEADER, "record too long"), Record(HEADER, THIRD)]

    @pytest.mark.parametrize("length", [LONGEST + 1, 2**32, 2**63, 2**64 - 1])
    def test_resync_passes_over_them_too(self, length):
        found, _ = parsed(UNSOUND + header(length) + framed(THIRD))
        assert found == [Gap(0, 21 + HEADER, "bad length CRC"), Record(33, THIRD)]

    @pytest.mark.parametrize("length", [LONGEST, LONGEST + 1, 2**64 - 1])
    @pytest.mark.parametrize("before", [b"", UNSOUND])
    def test_a_claimed_length_allocates_nothing(self, before, length):
        tracemalloc.start()
        try:
            parsed(before + header(length) + b"x" * 1000)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 1 << 20

    def test_a_length_is_not_believed_without_its_crc(self):
        believed = struct.pack("<Q", 50) + bytes(4)
        found, _ = parsed(believed + framed(THIRD))
        assert found == [Gap(0, HEADER, "bad length CRC"), Record(HEADER, THIRD)]


class TestLargePayloads:
    LARGE_PAYLOAD = bytes(range(256)) * 1000

    def declining(self) -> RecordParser:
        return RecordParser(wanted=lambda *_: False)

    def test_a_wanted_one_is_collected(self):
        found, _ = parsed(framed(self.LARGE_PAYLOAD) + framed(THIRD), wanted=lambda *_: True)
        assert payloads_of(found) == [self.LARGE_PAYLOAD, THIRD]

    def test_all_are_wanted_where_nobody_says_otherwise(self):
        found, _ = parsed(framed(self.LARGE_PAYLOAD))
        assert payloads_of(found) == [self.LARGE_PAYLOAD]

    def test_a_declined_one_leaves_the_next_record_in_its_place(self):
        data = framed(self.LARGE_PAYLOAD) + framed(THIRD)
        found, parser = parsed(data, wanted=lambda *_: False)
        assert found == [Record(256_000 + HEADER + FOOTER, THIRD)]
        assert (parser.declined, parser.pending) == (0, None)

    def test_declined_says_how_many_bytes_are_still_to_come(self):
        parser = self.declining()
        fed = HEADER + PEEK + 100
        assert list(parser.feed(framed(self.LARGE_PAYLOAD)[:fed])) == []
        assert parser.declined == HEADER + 256_000 + FOOTER - fed

    def test_nothing_is_declined_before_its_beginning_is_there(self):
        parser = self.declining()
        assert list(parser.feed(framed(self.LARGE_PAYLOAD)[: HEADER + PEEK - 1])) == []
        assert parser.declined == 0
        assert parser.incomplete

    def test_bytes_sought_past_count_as_if_they_were_fed(self):
        parser = self.declining()
        list(parser.feed(framed(self.LARGE_PAYLOAD)[: HEADER + PEEK]))
        parser.sought(1000)
        parser.sought(parser.declined)
        assert list(parser.feed(framed(THIRD))) == [Record(256_000 + HEADER + FOOTER, THIRD)]

    def test_declined_bytes_may_be_fed_nevertheless(self):
        parser = self.declining()
        data = framed(self.LARGE_PAYLOAD) + framed(THIRD)
        list(parser.feed(data[:10_000]))
        parser.sought(5_000)
        assert payloads_of(list(parser.feed(data[15_000:]))) == [THIRD]

    def test_a_file_that_ends_within_a_declined_record_is_incomplete(self):
        parser = self.declining()
        list(parser.feed(framed(self.LARGE_PAYLOAD)[:100_000]))
        assert parser.incomplete
        assert parser.pending.offset == 0
        assert parser.pending.length == 100_000
        parser.sought(parser.declined)
        assert not parser.incomplete

    def test_a_declined_payload_is_not_checked(self):
        unsound = framed(self.LARGE_PAYLOAD)[:-1] + b"?"
        found, _ = parsed(unsound + framed(THIRD), wanted=lambda *_: False)
        assert payloads_of(found) == [THIRD]
        assert gaps_of(found) == []

    def test_a_wanted_payload_is_checked(self):
        unsound = framed(self.LARGE_PAYLOAD)[:200_000] + b"?" + framed(self.LARGE_PAYLOAD)[200_001:]
        found, _ = parsed(unsound + framed(THIRD))
        assert found == [Gap(0, 256_016, "bad payload CRC"), Record(256_016, THIRD)]

    def test_one_that_ends_a_gap_is_declined_as_well(self):
        data = UNSOUND + framed(self.LARGE_PAYLOAD) + framed(THIRD)
        found, _ = parsed(data, wanted=lambda *_: False)
        assert found == [Gap(0, 21, "bad length CRC"), Record(256_037, THIRD)]

    @pytest.mark.parametrize("answer", [True, False])
    def test_wanted_is_asked_once_with_the_beginning_and_the_length(self, answer):
        asked = []

        def wanted(start: bytes, length: int) -> bool:
            asked.append((start, length))
            return answer

        parsed(framed(self.LARGE_PAYLOAD), chunk=5000, wanted=wanted)
        assert asked == [(self.LARGE_PAYLOAD[:PEEK], 256_000)]

    @pytest.mark.parametrize(("size", "asked"), [(LARGE, 0), (LARGE + 1, 1)])
    def test_wanted_is_asked_of_payloads_longer_than_large_alone(self, size, asked):
        lengths = []
        parsed(framed(bytes(size)), wanted=lambda _, length: lengths.append(length) or True)
        assert len(lengths) == asked


class TestHeldFailures:
    """Bytes on a network disk may be zeros for a while: the caller reads them again."""

    def test_a_failed_crc_is_held_until_it_is_given_up(self):
        parser = RecordParser(hold=True)
        assert list(parser.feed(framed(FIRST) + UNSOUND + framed(THIRD))) == [Record(0, FIRST)]
        assert parser.suspect == (21, "bad length CRC")
        assert parser.pending == Gap(21, 46, "bad length CRC")
        assert not parser.incomplete
        assert list(parser.give_up()) == [Gap(21, 21, "bad length CRC"), Record(42, THIRD)]
        assert parser.suspect is None

    def test_a_parser_that_starts_at_a_record_in_mid_file_counts_from_there(self):
        parser = RecordParser(start=21)
        assert list(parser.feed(framed(SECOND))) == [Record(21, SECOND)]
        assert parser.position == 37

    @properties
    @given(damaged_files(), chunk_sizes)
    def test_giving_up_at_once_is_as_if_nothing_were_held(self, data, sizes):
        parser, found, position, turn = RecordParser(hold=True), [], 0, 0
        while position < len(data):
            size = sizes[turn % len(sizes)]
            found += parser.feed(data[position : position + size])
            while parser.suspect:
                found += parser.give_up()
            position, turn = position + size, turn + 1
        assert (found, parser.pending, parser.incomplete) == fed_in([1 << 20], data)


class TestTheEndOfAFile:
    def test_records_that_a_cut_one_swallowed_are_found(self):
        """A process was killed in a record, and another wrote on in the same file."""
        cut = framed(b"x" * 500)[:40]
        parser = RecordParser()
        assert list(parser.feed(cut + framed(FIRST) + framed(THIRD))) == []
        assert list(parser.finish()) == [
            Gap(0, 40, "record cut off"),
            Record(40, FIRST),
            Record(61, THIRD),
        ]
        assert parser.pending is None

    def test_a_record_that_is_only_cut_off_stays_pending(self):
        parser = RecordParser()
        list(parser.feed(framed(FIRST) + framed(b"x" * 500)[:40]))
        assert list(parser.finish()) == []
        assert parser.incomplete
        assert parser.pending == Gap(21, 40, "bad payload CRC")

    def test_a_header_forged_in_a_gap_holds_nothing_back_at_the_end(self):
        parser = RecordParser()
        assert list(parser.feed(UNSOUND + header(1000) + framed(THIRD))) == []
        assert list(parser.finish()) == [Gap(0, 33, "bad length CRC"), Record(33, THIRD)]

    @properties
    @given(damaged_files())
    def test_the_end_gives_what_trying_every_offset_gives(self, data):
        for hold in (False, True):
            found, parser = parsed(data, hold=hold)
            ended = [*found, *parser.finish()]
            assert (ended, parser.pending, parser.incomplete) == ended_naively(data)


class TestHostileFiles:
    """A file may be made so that each byte is checked for each header: time stays bounded."""

    @pytest.mark.parametrize("claims", [3_000, 100_000, LONGEST_SOUGHT - 1])
    def test_headers_that_all_claim_what_is_not_there(self, claims):
        data = UNSOUND + header(claims) * 40_000 + framed(THIRD)
        began = time.process_time()
        parser = RecordParser()
        found = [*parser.feed(data), *parser.finish()]
        assert payloads_of(found) == [THIRD]
        assert time.process_time() - began < 5

    def test_sound_records_between_claims_of_megabytes(self):
        data = (framed(FIRST) + header(5_000_000)) * 20_000 + framed(THIRD)
        began = time.process_time()
        parser = RecordParser()
        found = [*parser.feed(data), *parser.finish()]
        assert payloads_of(found) == [FIRST] * 20_000 + [THIRD]
        assert time.process_time() - began < 20

    def test_a_payload_that_is_too_long_to_keep_is_said_and_passed_over(self):
        length = LONGEST_KEPT + 1
        parser = RecordParser()
        found = list(parser.feed(framed(FIRST) + header(length) + bytes(PEEK)))
        assert found == [Record(0, FIRST), Gap(21, length + 16, "longer than is kept")]
        assert parser.declined == length + FOOTER - PEEK

    def test_twenty_megabytes_of_junk_take_well_under_a_second(self):
        for junk in (bytes(20_000_000), bytes(range(256)) * 80_000):
            began = time.process_time()
            found, _ = parsed(framed(FIRST) + junk + framed(THIRD), chunk=1 << 20)
            assert time.process_time() - began < 3  # a machine under load is no failure
            assert payloads_of(found) == [FIRST, THIRD]
