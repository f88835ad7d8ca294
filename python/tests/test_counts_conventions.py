"""Conventions against closed forms, and numbers in short against the papers' printed cells."""

from fractions import Fraction

import pytest
from google.protobuf import text_format

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.counts.conventions import CONVENTIONS, PAPERS
from caffe_acu.counts.network import count_network


def depthwise(kernel: int) -> "caffe_pb2.NetParameter":
    """A grouped convolution of 10 channels on 8 x 6, and one of active convolutions in its place."""
    text = f"num_output: 10 group: 10 kernel_size: {kernel} pad: {kernel // 2} bias_term: false"
    return text_format.Parse(
        "layer { name: 'data' type: 'Input' top: 'data' input_param { shape { dim: 2 dim: 10 dim: 8 dim: 6 } } }"
        f"layer {{ name: 'a' type: 'Convolution' bottom: 'data' top: 'a' convolution_param {{ {text} }} }}"
        f"layer {{ name: 'b' type: 'GroupedACU' bottom: 'a' top: 'b' convolution_param {{ {text} }} }}",
        caffe_pb2.NetParameter(),
    )


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize(
    ("name", "coordinates", "interpolation"),
    # For K synapses: coordinates of a set, multiply-adds for interpolating a value's K samples.
    [
        ("papers", lambda k: 2 * (k - 1), lambda k: 3 * (k - 1)),
        ("poster", lambda k: 2 * (k - 1), lambda k: 3 * (k - 1)),
        ("table9", lambda k: 2 * k, lambda k: 3 * (k - 1)),
        ("plain", lambda k: 2 * (k - 1), lambda k: 0),
        ("convolution", lambda k: 0, lambda k: 0),
    ],
)
def test_closed_forms(kernel, name, coordinates, interpolation):
    count = count_network(depthwise(kernel), convention=CONVENTIONS[name])
    assert count.convention.name == name
    k = kernel * kernel
    _, plain, active = count.rows
    assert (plain.parameters, plain.multiply_adds) == (10 * k, 10 * k * 48)
    assert active.parameters == 10 * k + 10 * coordinates(k)
    assert active.multiply_adds == (10 * k + 10 * interpolation(k)) * 48


def test_every_convention_is_tested_named_and_described():
    assert list(CONVENTIONS) == ["papers", "poster", "table9", "plain", "convolution"]
    assert all(convention.name == name and convention.description for name, convention in CONVENTIONS.items())
    assert count_network(depthwise(3)).convention is PAPERS


PRINTED = [
    # The poster's table; both cells are merged, from its first to its last number.
    ("poster", 855_162, 2, "0.82M"),
    ("poster", 855_258, 2, "0.82M"),
    ("poster", 1_739_898, 2, "1.66M"),
    ("poster", 1_740_058, 2, "1.66M"),
    # The grouped paper. Tables 1 and 3.
    ("papers", 1_240_778, 2, "1.24M"),
    ("papers", 1_240_922, 2, "1.24M"),
    ("papers", 3_821_300, 2, "3.82M"),
    ("papers", 1_281_100, 2, "1.28M"),
    ("papers", 1_539_100, 2, "1.54M"),
    ("papers", 1_184_300, 2, "1.18M"),
    ("papers", 1_189_700, 2, "1.19M"),
    ("papers", 1_203_100, 2, "1.20M"),
    ("papers", 1_148_000, 2, "1.15M"),
    ("papers", 1_169_546, 2, "1.17M"),
    # Tables 6 and 7.
    ("papers", 7_005_800, 1, "7.0M"),
    ("papers", 7_112_500, 1, "7.1M"),
    ("papers", 1_582_670_000, 2, "1.58G"),
    ("papers", 1_469_960_000, 2, "1.47G"),
    ("papers", 22_856_000, 1, "22.9M"),
    ("papers", 22_978_600, 1, "23.0M"),
    ("papers", 4_594_940_000, 1, "4.6G"),
    ("papers", 4_697_260_000, 1, "4.7G"),
    # Table 8, from the layers' sizes.
    ("papers", 2_457_213, 1, "2.5M"),
    ("papers", 2_547_949, 1, "2.5M"),
    ("papers", 3_505_960, 1, "3.5M"),
    ("papers", 3_620_136, 1, "3.6M"),
    ("papers", 6_084_604, 1, "6.1M"),
    ("papers", 6_243_708, 1, "6.2M"),
    ("papers", 200_632_752, 0, "201M"),
    ("papers", 243_947_184, 0, "244M"),
    ("papers", 313_619_328, 0, "314M"),
    ("papers", 368_863_104, 0, "369M"),
    ("papers", 436_759_194, 0, "437M"),
    ("papers", 502_184_778, 0, "502M"),
    ("papers", 586_495_868, 0, "586M"),
    ("papers", 662_780_636, 0, "663M"),
    # Table 9.
    ("papers", 34_423_100, 1, "34.4M"),
    ("table9", 16_134_000, 2, "16.13M"),
    ("table9", 27_373_400, 2, "27.37M"),
]


@pytest.mark.parametrize(("name", "count", "decimals", "printed"), PRINTED)
def test_numbers_in_short_are_the_printed_cells(name, count, decimals, printed):
    assert CONVENTIONS[name].abbreviate(count, decimals) == printed


@pytest.mark.parametrize("name", ["papers", "poster"])
@pytest.mark.parametrize("decimals", [0, 1, 2, 3])
def test_halves_are_rounded_up(name, decimals):
    """Against exact fractions, around every half between 0 and 3 last digits and at the change of units."""
    convention = CONVENTIONS[name]
    giga = 10**9 if name == "papers" else 2**30
    for unit, letter, start in ((convention.mega, "M", 0), (giga, "G", giga)):
        for tenths in range(1, 30):
            near = start + unit * tenths // (10 * 10**decimals)
            for count in (near - 1, near, near + 1):
                if (count >= giga) != (letter == "G"):
                    continue
                short = convention.abbreviate(count, decimals)
                assert short.endswith(letter)
                error = Fraction(short[:-1]) - Fraction(count, unit)
                assert Fraction(-1, 2) < error * 10**decimals <= Fraction(1, 2)
                assert len(short[:-1].partition(".")[2]) == decimals


def test_units():
    assert PAPERS.abbreviate(10**9) == "1.00G"
    assert PAPERS.abbreviate(10**9 - 10**7) == "990.00M"
    assert PAPERS.abbreviate(1_582_670_000, 0, "M") == "1583M"
    assert PAPERS.abbreviate(201_000_000, 1, "G") == "0.2G"
    assert PAPERS.abbreviate(0) == "0.00M"
