"""Counts of whole networks: batches, shared parameters, layers that nobody can count."""

import pytest
from google.protobuf import text_format

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.counts.conventions import CONVENTIONS
from caffe_acu.counts.network import Uncounted, count_network
from caffe_acu.errors import UserError

INPUT = "layer { name: 'data' type: 'Input' top: 'data' input_param { shape { dim: 4 dim: 6 dim: 11 dim: 9 } } }"


def network(*layers: str, first: str = INPUT) -> "caffe_pb2.NetParameter":
    return text_format.Parse(" ".join([first, *layers]), caffe_pb2.NetParameter())


def layer(name: str, type_: str, bottom: str, text: str = "", top: str | None = None) -> str:
    bottoms = "".join(f"bottom: '{each}' " for each in bottom.split())
    tops = "".join(f"top: '{each}' " for each in (name if top is None else top).split())
    return f"layer {{ name: '{name}' type: '{type_}' {bottoms} {tops} {text} }}"


def convolution(name: str, bottom: str, text: str = "") -> str:
    return layer(name, "Convolution", bottom, f"convolution_param {{ num_output: 6 kernel_size: 1 }} {text}")


def test_alexnet_has_the_numbers_known_of_it():
    """60,965,224 parameters in Caffe's own model, and 724 million multiply-adds at 227 x 227."""

    def conv(name: str, bottom: str, text: str) -> str:
        return layer(name, "Convolution", bottom, f"convolution_param {{ {text} }}")

    def pool(name: str, bottom: str) -> str:
        return layer(name, "Pooling", bottom, "pooling_param { kernel_size: 3 stride: 2 }")

    def full(name: str, bottom: str, outputs: int) -> str:
        return layer(name, "InnerProduct", bottom, f"inner_product_param {{ num_output: {outputs} }}")

    net = network(
        conv("conv1", "data", "num_output: 96 kernel_size: 11 stride: 4"),
        layer("norm1", "LRN", "conv1"),
        pool("pool1", "norm1"),
        conv("conv2", "pool1", "num_output: 256 kernel_size: 5 pad: 2 group: 2"),
        pool("pool2", "conv2"),
        conv("conv3", "pool2", "num_output: 384 kernel_size: 3 pad: 1"),
        conv("conv4", "conv3", "num_output: 384 kernel_size: 3 pad: 1 group: 2"),
        conv("conv5", "conv4", "num_output: 256 kernel_size: 3 pad: 1 group: 2"),
        pool("pool5", "conv5"),
        full("fc6", "pool5", 4096),
        layer("drop6", "Dropout", "fc6", top="fc6"),
        full("fc7", "fc6", 4096),
        full("fc8", "fc7", 1000),
        first="input: 'data' input_dim: 10 input_dim: 3 input_dim: 227 input_dim: 227",
    )
    count = count_network(net)
    assert (count.parameters, count.multiply_adds) == (60_965_224, 724_406_816)


def test_the_batch_does_not_matter():
    layers = (
        convolution("a", "data"),
        layer("ip", "InnerProduct", "a", "inner_product_param { num_output: 3 axis: -1 }"),
        layer("acu", "ACU", "a", "convolution_param { num_output: 5 kernel_size: 3 }"),
    )
    counts = [count_network(network(*layers, first=INPUT.replace("dim: 4", f"dim: {n}", 1))) for n in (1, 4, 50)]
    assert counts[0].rows == counts[1].rows == counts[2].rows
    assert counts[0].multiply_adds == 6 * 6 * 99 + 6 * 11 * 9 * 3 + (5 * 6 * 9 + 3 * 8 * 6) * 9 * 7


def test_a_learned_blob_before_the_input_is_no_batch():
    learned = layer("p", "Parameter", "", "parameter_param { shape { dim: 2 } }")
    assert count_network(network(convolution("a", "data"), first=learned + INPUT)).multiply_adds == 36 * 99


def test_a_batch_that_is_cut_joined_or_reshaped():
    """Each image passes the second layer twice: once as it is, once in a pair with another."""
    net = network(
        layer("pair", "Concat", "data data", "concat_param { axis: 0 }"),
        convolution("twice", "pair"),
        layer("halves", "Slice", "twice", "slice_param { axis: 0 slice_point: 4 }", top="one two"),
        layer("fixed", "Reshape", "one", "reshape_param { shape { dim: 4 dim: 594 } }"),
        layer("fc", "InnerProduct", "fixed", "inner_product_param { num_output: 3 }"),
    )
    rows = {row.name: row for row in count_network(net).rows}
    assert rows["twice"].multiply_adds == 2 * 6 * 6 * 99
    assert rows["halves"].top == (1, 6, 11, 9)
    assert rows["fc"].multiply_adds == 594 * 3


def test_shared_parameters_are_counted_where_they_are_first():
    shared = "param { name: 'w' } param { name: 'b' }"
    net = network(
        convolution("a", "data", shared),
        convolution("b", "a", shared),
        convolution("c", "b", "param { name: 'w' } param { }"),
        convolution("d", "c"),
    )
    count = count_network(net)
    rows = {row.name: row for row in count.rows}
    assert [rows[name].parameters for name in "abcd"] == [42, 0, 6, 42]
    assert [rows[name].multiply_adds for name in "abcd"] == [36 * 99] * 4
    assert [rows[name].shared_with for name in "abcd"] == [(), ("a",), ("a",), ()]
    assert count.parameters == 42 + 6 + 42


def test_a_layer_may_share_with_several_and_with_itself():
    net = network(
        layer("p", "Parameter", "", "parameter_param { shape { dim: 6 } } param { name: 'factor' }"),
        layer("q", "Parameter", "", "parameter_param { shape { dim: 6 } } param { name: 'shift' }"),
        layer("s", "Scale", "data", "scale_param { bias_term: true } param { name: 'factor' } param { name: 'shift' }"),
        layer("t", "Scale", "s", "scale_param { bias_term: true } param { name: 'both' } param { name: 'both' }"),
    )
    rows = {row.name: row for row in count_network(net).rows}
    assert (rows["s"].parameters, rows["s"].shared_with) == (0, ("p", "q"))
    assert rows["t"].parameters == 6


def test_shared_coordinates_and_weights_of_acus():
    names = " ".join(f"param {{ name: '{name}' }}" for name in "wbxy")
    acu = f"convolution_param {{ num_output: 6 kernel_size: 3 pad: 1 }} {names}"
    net = network(layer("a", "ACU", "data", acu), layer("b", "ACU", "a", acu))
    for name, coordinates in (("papers", 16), ("table9", 18), ("convolution", 0)):
        count = count_network(net, convention=CONVENTIONS[name])
        assert count.parameters == 6 * 6 * 9 + 6 + coordinates
        assert count.rows[-1].shared_with == ("a",)


def test_what_is_shared_must_have_one_size():
    net = network(
        convolution("a", "data", "param { name: 'w' }"),
        layer("b", "InnerProduct", "a", "inner_product_param { num_output: 2 } param { name: 'w' }"),
    )
    message = "layer 'b' .InnerProduct.: shares the parameter 'w' with layer 'a', but has 1188 values .* not 36"
    with pytest.raises(UserError, match=message):
        count_network(net)


def test_layers_at_the_end_that_nobody_can_count_are_named():
    net = network(
        convolution("a", "data"),
        layer("mine", "Python", "a"),
        layer("focal", "FocalLoss", "a"),
        layer("unread", "Silence", "mine", top=""),
        layer("loss", "EuclideanLoss", "focal mine"),
    )
    count = count_network(net)
    assert (count.parameters, count.multiply_adds) == (42, 36 * 99)
    assert count.uncounted == [Uncounted("mine", "Python"), Uncounted("focal", "FocalLoss")]


def test_what_costs_nothing_may_follow_them():
    net = network(
        convolution("a", "data"),
        layer("mine", "Permute", "a"),
        layer("flat", "Flatten", "mine"),
        layer("both", "Concat", "flat flat"),
        layer("prob", "Softmax", "both"),
    )
    count = count_network(net)
    assert (count.multiply_adds, count.uncounted) == (36 * 99, [Uncounted("mine", "Permute")])
    net.layer.append(text_format.Parse("name: 's' type: 'Scale' bottom: 'prob' top: 's'", caffe_pb2.LayerParameter()))
    with pytest.raises(UserError, match="layer 's' .Scale. needs a shape that nobody tells, first that of 'prob'"):
        count_network(net)


def test_all_that_stand_in_the_way_are_named_at_once():
    net = network(
        layer("x", "Mystery", "data"),
        layer("y", "Mystery", "x"),
        layer("z", "Python", "y"),
        convolution("a", "z"),
        convolution("b", "a"),
    )
    with pytest.raises(UserError) as error:
        count_network(net)
    message = str(error.value)
    assert message.startswith("types that are not known to the counter: Mystery ('x', 'y'), Python ('z'); ")
    assert "layer 'a' (Convolution) and 1 more need" in message
    assert message.endswith("give --same-shape TYPE where tops are shaped as the first bottom")
    count = count_network(net, same_shape=("Mystery", "Python"))
    assert count.multiply_adds == 2 * 36 * 99
    assert [each.name for each in count.uncounted] == ["x", "y", "z"]
    with pytest.raises(UserError, match="Python"):
        count_network(net, same_shape=("Mystery",))


def test_an_unknown_layer_in_place_keeps_the_shape():
    net = network(convolution("a", "data"), layer("relu6", "ReLU6", "a", top="a"), convolution("b", "a"))
    count = count_network(net)
    assert count.multiply_adds == 2 * 36 * 99
    assert count.uncounted == [Uncounted("relu6", "ReLU6")]


def test_an_unknown_layer_may_bring_the_images():
    net = network(
        convolution("a", "data"),
        layer("loss", "SoftmaxWithLoss", "a label"),
        first=layer("mine", "Python", "", top="data label"),
    )
    with pytest.raises(UserError, match="give --input C H W where a layer brings images$"):
        count_network(net)
    count = count_network(net, (6, 11, 9))
    assert count.multiply_adds == 36 * 99
    assert count.uncounted == [Uncounted("mine", "Python")]
    with pytest.raises(UserError, match="give --input C H W"):
        count_network(net, same_shape=("Python",))


def test_a_shape_that_stands_in_a_file():
    data = "layer { name: 'h' type: 'HDF5Data' top: 'data' top: 'more' hdf5_data_param { batch_size: 4 } }"
    with pytest.raises(UserError, match="'a' .Convolution. needs a shape that nobody tells, .* of 'more'; replace"):
        count_network(network(convolution("a", "more"), first=data), (6, 11, 9))


def test_only_unknown_types_are_taken_to_keep_the_shape():
    with pytest.raises(UserError, match="type Convolution is known to the counter"):
        count_network(network(convolution("a", "data")), same_shape=("Convolution",))


def test_totals_by_type():
    net = network(convolution("a", "data"), layer("r", "ReLU", "a"), layer("s", "Scale", "r"), convolution("b", "s"))
    lines = [(line.type, line.layers, line.parameters, line.multiply_adds) for line in count_network(net).by_type]
    assert lines == [("Convolution", 2, 84, 2 * 36 * 99), ("Scale", 1, 6, 0)]
