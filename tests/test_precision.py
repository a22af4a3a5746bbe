"""What an encoding does to a number, with numpy and torch as oracles, and what can be undone."""

import math
import struct

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from plateau_watch.precision import (
    COARSE_TO_FINE,
    coarsest,
    preimage,
    shortest_decimal,
    stored,
)
from tests.event_files import properties

DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}
ROUNDING = list(DTYPES)
EXACT = ["float64", "int"]
LARGEST = {kind: torch.finfo(dtype).max for kind, dtype in DTYPES.items()}
SMALLEST = {"bfloat16": 2.0**-133, "float16": 2.0**-24, "float32": 2.0**-149}

doubles = st.floats(allow_nan=False)
rounding = st.sampled_from(ROUNDING)
parts = st.one_of(
    st.sampled_from([1e-8, 1e-4, 0.5, 1 - 1e-4, 1 - 1e-8]),
    st.floats(0, 1, exclude_min=True, exclude_max=True),
)
values_of_programs = st.builds(
    lambda digits, exponent: float(f"{digits}e{exponent}"),
    st.integers(1, 99),
    st.integers(-6, 2),
)


def same(one: float, other: float) -> bool:
    """Equal, zeros with their sign; NaN is NaN."""
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) and math.isnan(other)
    return one == other and math.copysign(1, one) == math.copysign(1, other)


def bits_of(kind: str) -> st.SearchStrategy[float]:
    """Every number an encoding can hold, alike likely by its bits."""
    if kind == "float32":
        return st.integers(0, 2**32 - 1).map(lambda bits: float(np.uint32(bits).view(np.float32)))
    if kind == "float16":
        return st.integers(0, 2**16 - 1).map(lambda bits: float(np.uint16(bits).view(np.float16)))
    return st.integers(0, 2**16 - 1).map(lambda bits: float(np.uint32(bits << 16).view(np.float32)))


@st.composite
def held_numbers(draw) -> tuple[float, str]:
    """A finite number that an encoding holds, and the encoding."""
    kind = draw(rounding)
    number = draw(bits_of(kind))
    assume(math.isfinite(number))
    return number, kind


class TestStored:
    @properties
    @given(doubles, rounding)
    def test_a_number_is_stored_as_torch_stores_it(self, number, kind):
        assert same(
            stored(number, kind), float(torch.tensor(number, dtype=torch.float64).to(DTYPES[kind]))
        )

    @properties
    @given(doubles)
    def test_float32_is_numpys(self, number):
        with np.errstate(all="ignore"):
            assert same(stored(number, "float32"), float(np.float32(number)))

    @properties
    @given(held_numbers())
    def test_what_an_encoding_holds_is_stored_as_itself(self, held):
        number, kind = held
        assert same(stored(number, kind), number)

    @pytest.mark.parametrize("kind", ROUNDING)
    @pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
    def test_a_number_that_is_not_finite_stays_so(self, number, kind):
        assert same(stored(number, kind), number)

    @pytest.mark.parametrize("kind", ROUNDING)
    def test_a_nan_of_any_payload_stays_a_nan(self, kind):
        (number,) = struct.unpack("<d", b"\xff" * 7 + b"\x7f")
        assert math.isnan(stored(number, kind))

    @pytest.mark.parametrize("kind", ROUNDING)
    def test_what_is_too_large_becomes_infinite_without_a_warning(self, kind):
        assert (stored(1e300, kind), stored(-1e300, kind)) == (math.inf, -math.inf)

    @pytest.mark.parametrize("kind", ROUNDING)
    def test_what_is_too_small_becomes_a_zero_of_its_sign(self, kind):
        assert same(stored(1e-300, kind), 0.0)
        assert same(stored(-1e-300, kind), -0.0)

    @pytest.mark.parametrize(
        ("kind", "tie", "even"),
        [
            ("float16", 1 + 2**-11, 1.0),
            ("float16", 1 + 3 * 2**-11, 1 + 2**-9),
            ("bfloat16", 1 + 2**-8, 1.0),
            ("bfloat16", 1 + 3 * 2**-8, 1 + 2**-6),
            ("float32", 1 + 2**-24, 1.0),
        ],
    )
    def test_a_tie_goes_to_the_even_neighbour(self, kind, tie, even):
        assert stored(tie, kind) == even

    @pytest.mark.parametrize("kind", ["float16", "bfloat16"])
    def test_halves_are_rounded_by_way_of_float32(self, kind):
        # Just above the middle: float32 rounds it onto the middle, and the tie goes to the even.
        middle = 1 + (2**-11 if kind == "float16" else 2**-8)
        assert stored(middle + 2**-40, kind) == 1.0
        assert stored(middle + 2**-23, kind) > 1.0

    @properties
    @given(st.floats(), st.sampled_from(EXACT))
    def test_exact_encodings_keep_every_number(self, number, kind):
        assert same(stored(number, kind), number)


class TestShortestDecimal:
    @properties
    @given(held_numbers())
    def test_it_is_stored_as_the_value(self, held):
        value, kind = held
        assert stored(shortest_decimal(value, kind), kind) == value

    @properties
    @given(values_of_programs, rounding)
    def test_what_somebody_wrote_is_found_again_where_the_encoding_keeps_its_digits(
        self, written, kind
    ):
        assume(kind != "float16" or written >= 6.2e-5)
        assert shortest_decimal(stored(written, kind), kind) == written

    @pytest.mark.parametrize(
        ("value", "kind", "decimal"),
        [
            (0.0010000000474974513, "float32", 0.001),
            (0.10000000149011612, "float32", 0.1),
            (0.30000001192092896, "float32", 0.3),
            (3.0000001061125658e-05, "float32", 3.0000001e-05),
            (0.0010004043579101562, "float16", 0.001),
            (0.10009765625, "bfloat16", 0.1),
            (16777216.0, "float32", 16777216.0),
        ],
    )
    def test_it_has_the_fewest_digits(self, value, kind, decimal):
        assert shortest_decimal(value, kind) == decimal

    @properties
    @given(st.floats(), st.sampled_from(EXACT))
    def test_in_an_exact_encoding_it_is_the_value(self, number, kind):
        assert same(shortest_decimal(number, kind), number)

    @pytest.mark.parametrize("kind", ROUNDING)
    @pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, 0.0])
    def test_zero_and_what_is_not_finite_are_themselves(self, value, kind):
        assert same(shortest_decimal(value, kind), value)


class TestPreimage:
    @properties
    @given(held_numbers(), parts)
    def test_what_lies_within_is_stored_as_the_value(self, held, part):
        value, kind = held
        low, high = preimage(value, kind)
        within = low + part * (high - low)
        assume(low < within < high)
        assert stored(within, kind) == value

    @properties
    @given(held_numbers())
    def test_what_lies_just_outside_is_not(self, held):
        value, kind = held
        low, high = preimage(value, kind)
        assert stored(math.nextafter(low, -math.inf), kind) != value
        assert stored(math.nextafter(high, math.inf), kind) != value

    @properties
    @given(doubles, rounding)
    def test_it_holds_the_number_that_was_stored(self, number, kind):
        value = stored(number, kind)
        assume(math.isfinite(value))
        low, high = preimage(value, kind)
        assert low <= number <= high

    @pytest.mark.parametrize("kind", ROUNDING)
    def test_it_holds_all_that_is_rounded_down_to_the_largest_number(self, kind):
        largest = LARGEST[kind]
        _, high = preimage(largest, kind)
        above = largest * (1 + 2.0**-30)
        assert stored(above, kind) == largest
        assert above < high
        assert stored(math.nextafter(high, math.inf), kind) == math.inf
        assert preimage(-largest, kind)[0] == -high

    @pytest.mark.parametrize(("kind", "spacing"), [("float16", 2**-10), ("bfloat16", 2**-7)])
    def test_of_halves_it_holds_what_float32_rounds_onto_the_middle(self, kind, spacing):
        middle = 1 + spacing / 2
        _, high = preimage(1.0, kind)
        low, _ = preimage(1 + spacing, kind)
        assert stored(middle + 2**-40, kind) == 1.0
        assert high == low == middle + 2**-24

    @properties
    @given(held_numbers())
    def test_it_holds_the_value_and_what_somebody_wrote(self, held):
        value, kind = held
        low, high = preimage(value, kind)
        assert low <= value <= high
        assert low <= shortest_decimal(value, kind) <= high

    @properties
    @given(held_numbers())
    def test_it_is_as_wide_below_a_value_as_above_its_mirror_image(self, held):
        value, kind = held
        low, high = preimage(value, kind)
        assert preimage(-value, kind) == (-high, -low)

    @pytest.mark.parametrize(
        ("value", "kind", "expected"),
        [
            (1.5, "float32", (1.5 - 2**-24, 1.5 + 2**-24)),
            (1.0, "float32", (1 - 2**-25, 1 + 2**-24)),
            (0.0, "float32", (-(2.0**-150), 2.0**-150)),
        ],
    )
    def test_it_ends_half_way_to_the_neighbours(self, value, kind, expected):
        assert preimage(value, kind) == expected

    @pytest.mark.parametrize("kind", ROUNDING)
    def test_below_a_power_of_two_it_is_half_as_wide_as_above(self, kind):
        low, high = preimage(1.0, kind)
        spacing = torch.finfo(DTYPES[kind]).eps
        assert 1 - low == pytest.approx(spacing / 4, rel=1e-3)
        assert high - 1 == pytest.approx(spacing / 2, rel=1e-3)

    @pytest.mark.parametrize("kind", ROUNDING)
    def test_of_zero_it_is_what_is_too_small(self, kind):
        low, high = preimage(0.0, kind)
        assert low == -high
        assert high == pytest.approx(SMALLEST[kind] / 2, rel=1e-3)

    @properties
    @given(st.floats(allow_nan=False), st.sampled_from(EXACT))
    def test_in_an_exact_encoding_it_is_the_value_alone(self, number, kind):
        assert preimage(number, kind) == (number, number)

    @pytest.mark.parametrize("kind", ROUNDING)
    @pytest.mark.parametrize("value", [math.inf, -math.inf])
    def test_an_infinity_stands_for_itself_alone(self, value, kind):
        assert preimage(value, kind) == (value, value)


class TestCoarsest:
    @pytest.mark.parametrize("finer", range(1, len(COARSE_TO_FINE)))
    def test_the_coarser_of_two_is_the_one_with_fewer_bits(self, finer):
        for coarser in range(finer):
            pair = (COARSE_TO_FINE[finer], COARSE_TO_FINE[coarser])
            assert coarsest(pair) == coarsest(pair[::-1]) == COARSE_TO_FINE[coarser]

    def test_from_the_coarsest_to_the_finest_they_are(self):
        assert COARSE_TO_FINE == ("bfloat16", "float16", "float32", "float64", "int")

    def test_of_none_it_is_float64(self):
        assert coarsest([]) == "float64"
