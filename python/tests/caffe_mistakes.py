"""What people do wrong with Caffe: files in a folder, and what is done with them. For test_caffe_exceptions.py."""

import resource
import struct
from pathlib import Path

import caffe
import lmdb
import numpy as np

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.net_param import set_blob

NET = """name: "small"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 8 dim: 8 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "msra" } } }
layer { name: "acu" type: "ACU" bottom: "conv" top: "acu"
  convolution_param { num_output: 2 kernel_size: 3 weight_filler { type: "msra" } } }
"""
SOLVER = 'net: "{net}" base_lr: 0.1 lr_policy: "{policy}" max_iter: 4 snapshot_prefix: "{prefix}" {more}\n'
LOSS = """layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 2 } } }
layer { name: "score" type: "InnerProduct" bottom: "acu" top: "score" inner_product_param { num_output: 3 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss" }
"""


# Fills two inputs, "a" and "b", for layers that judge one by the other.
TWO = """layer {{ name: "a" type: "Input" top: "a" input_param {{ shape {{ {a} }} }} }}
layer {{ name: "b" type: "Input" top: "b" input_param {{ shape {{ {b} }} }} }}
"""


class Workplace:
    """Small files in a folder, right or wrong."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.good = self.net()
        self.weights = str(folder / "good.caffemodel")
        caffe.Net(self.good, caffe.TEST).save(self.weights)

    def write(self, name: str, content: str | bytes) -> str:
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    def net(self, old: str = "", new: str = "", more: str = "") -> str:
        assert old in NET
        return self.write("net.prototxt", NET.replace(old, new, 1) + more)

    def load(self, old: str, new: str, phase: int = caffe.TEST):
        return caffe.Net(self.net(old, new), phase)

    def added(self, more: str):
        return caffe.Net(self.net(more=more), caffe.TEST)

    def good_net(self):
        return caffe.Net(self.good, caffe.TEST)

    def with_weights(self, content: bytes):
        return caffe.Net(self.net(), caffe.TEST, weights=self.write("bad.caffemodel", content))

    def with_blob(self, layer: str, blob: int, shape: tuple[int, ...]):
        weights = caffe_pb2.NetParameter.FromString(Path(self.weights).read_bytes())
        (found,) = (one for one in weights.layer if one.name == layer)
        set_blob(found.blobs[blob], np.zeros(shape, np.float32))
        return self.with_weights(weights.SerializeToString())

    def of_two(self, a: str, b: str, type_: str, parameters: str = "", bottoms: str = "a b", b_value: float = 0):
        """A layer on two inputs, the shapes of which are given as "4 3"; the second is filled, and it is run."""
        shapes = [" ".join(f"dim: {dim}" for dim in shape.split()) for shape in (a, b)]
        text = TWO.format(a=shapes[0], b=shapes[1]) + layer(type_, bottoms, parameters)
        net = caffe.Net(self.write("two.prototxt", text), caffe.TEST)
        net.blobs["b"].data[...] = b_value
        net.forward()
        net.backward()

    def lmdb(self, *records: bytes, name: str = "lmdb") -> Path:
        """Writes an LMDB anew."""
        folder = self.folder / name
        for old in folder.glob("*"):
            old.unlink()
        with lmdb.open(str(folder), map_size=1 << 24) as env, env.begin(write=True) as transaction:
            for i, record in enumerate(records):
                transaction.put(f"{i:08}".encode(), record)
        return folder

    def read(self, source: Path, parameters: str = "", type_: str = "Data", batch: str = "batch_size: 2"):
        field, backend = {
            "Data": ("data_param", "backend: LMDB"),
            "ImageData": ("image_data_param", ""),
            "WindowData": ("window_data_param", ""),
            "HDF5Data": ("hdf5_data_param", ""),
        }[type_]
        one = layer(type_, "", f'{field} {{ source: "{source}" {batch} {backend} }} {parameters}')
        tops = "" if type_ == "HDF5Data" else 'top: "label"'
        net = caffe.Net(self.write("data.prototxt", one.replace('top: "more"', f'top: "more" {tops}')), caffe.TEST)
        for _ in range(3):
            net.forward()

    def cut_lmdb(self, bytes_: int) -> Path:
        folder = self.lmdb(*[datum(3, 64, 64)] * 20)
        with (folder / "data.mdb").open("r+b") as file:
            file.truncate(bytes_)
        return folder

    def mean(self, *shape: int) -> str:
        blob = caffe_pb2.BlobProto(data=[0] * int(np.prod(shape)))
        blob.shape.dim.extend(shape)
        return self.write("mean.binaryproto", blob.SerializeToString())

    def hdf5(self, name: str, rows: int, width: int) -> str:
        """A file that HDF5Output writes: data (rows, width), label (rows)."""
        path = self.folder / name
        path.unlink(missing_ok=True)
        shapes = f"dim: {rows} dim: {width}", f"dim: {rows}"
        text = TWO.format(a=shapes[0], b=shapes[1]) + (
            f'layer {{ name: "out" type: "HDF5Output" bottom: "a" bottom: "b" '
            f'hdf5_output_param {{ file_name: "{path}" }} }}'
        )
        caffe.Net(self.write("out.prototxt", text), caffe.TEST).forward()
        return str(path)

    def read_hdf5(self, *files: str, batch: str = "batch_size: 2"):
        source = self.write("list.txt", "\n".join(files))
        one = layer("HDF5Data", "", f'hdf5_data_param {{ source: "{source}" {batch} }}')
        net = caffe.Net(self.write("h5.prototxt", one.replace('top: "more"', 'top: "data"')), caffe.TEST)
        for _ in range(4):
            net.forward()

    def image_list(self, *lines: str) -> str:
        return self.write("images.txt", "\n".join(lines) + "\n")

    def image(self, name: str, height: int, width: int) -> str:
        """In PNM, which OpenCV reads."""
        return self.write(name, f"P6 {width} {height} 255\n".encode() + bytes(3 * height * width))

    def solver(self, more: str = "", net: str = LOSS, policy: str = "fixed", prefix: str = "snapshot"):
        text = SOLVER.format(net=self.net(more=net), policy=policy, prefix=self.folder / prefix, more=more)
        return caffe.get_solver(self.write("solver.prototxt", text))


def layer(type_: str, bottoms: str, parameters: str = "") -> str:
    reads = " ".join(f'bottom: "{bottom}"' for bottom in bottoms.split())
    return f'layer {{ name: "more" type: "{type_}" {reads} top: "more" {parameters} }}\n'


def datum(channels: int, height: int, width: int, label: int = 0, size: int | None = None) -> bytes:
    size = channels * height * width if size is None else size
    return caffe_pb2.Datum(
        channels=channels, height=height, width=width, label=label, data=bytes(size)
    ).SerializeToString()


def encoded(image: bytes) -> bytes:
    return caffe_pb2.Datum(encoded=True, data=image).SerializeToString()


def set_input(net, *shape: int):
    net.blobs["data"].reshape(*shape)
    net.forward()


def with_little_memory(w: Workplace):
    """A blob of 2 billion values where the process may have 1 GiB more than it has."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (1 << 30), before[1]))
    try:
        w.of_two("2000000000", "1", "ReLU", bottoms="a")
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


# What is done, what it says, and the layer it names.
MISTAKES = {
    # prototxts
    "unknown field": (lambda w: w.load("num_output", "num_outputs"), r':4:\d+: .*Did you mean "num_output"\?', ""),
    "unknown layer type": (lambda w: w.load('"Convolution"', '"Convolutoin"'), 'Did you mean "Convolution"', "conv"),
    "unknown enumeration": (
        lambda w: w.added(layer("Pooling", "acu", "pooling_param { pool: MAXI }")), "There are AVE, MAX", ""),
    "no closing brace": (lambda w: w.added("layer {"), r"net.prototxt:\d+:\d+: ", ""),
    "text instead of a number": (lambda w: w.load("num_output: 4", 'num_output: "4"'), r":4:\d+: Expected integer", ""),
    "no such file": (lambda w: caffe.Net("nowhere.prototxt", caffe.TEST), "nowhere.prototxt", None),
    "binary file": (lambda w: caffe.Net(w.write("a", b"\x00\x01\xff"), caffe.TEST), "a:1:1: ", ""),
    "a layer twice its top": (lambda w: w.added(layer("ReLU", "acu").replace('top: "more"', 'top: "conv"')),
                              "produced by multiple sources", None),
    # how layers hang together
    "unknown bottom": (lambda w: w.load('bottom: "data"', 'bottom: "dada"'), "Unknown bottom blob 'dada'", None),
    "too few bottoms": (lambda w: w.added(layer("Eltwise", "acu")), "bottom", "more"),
    "too many bottoms": (lambda w: w.added(layer("ReLU", "acu conv")), "bottom", "more"),
    "no bottom": (lambda w: w.added(layer("Softmax", "")), "bottom", "more"),
    "sums of different shapes": (lambda w: w.added(layer("Eltwise", "acu conv")), "shape", "more"),
    "concat of different shapes": (lambda w: w.added(layer("Concat", "acu conv")), "same shape", "more"),
    "slice that does not divide": (
        lambda w: w.added(layer("Slice", "acu", "slice_param { slice_point: 9 }")), "", "more"),
    "reshape to another count": (
        lambda w: w.added(layer("Reshape", "acu", "reshape_param { shape { dim: 7 } }")), "count", "more"),
    "axis out of range": (lambda w: w.added(layer("Softmax", "acu", "softmax_param { axis: 9 }")), "axis", "more"),
    # parameters of layers
    "no kernel": (lambda w: w.load("num_output: 4 kernel_size: 3", "num_output: 4"), "", "conv"),
    "kernel larger than the image": (lambda w: w.load("num_output: 4 kernel_size: 3", "num_output: 4 kernel_size: 30"),
                                     "", "conv"),
    "stride 0": (lambda w: w.load("num_output: 4 kernel_size: 3", "num_output: 4 kernel_size: 3 stride: 0"),
                 "[Ss]tride", "conv"),
    "group that does not divide": (lambda w: w.load("num_output: 4", "num_output: 4 group: 2"), "group|% ", "conv"),
    "no outputs": (lambda w: w.load("num_output: 4 ", ""), "", "conv"),
    "unknown filler": (lambda w: w.load('"msra"', '"mrsa"'), "filler", "conv"),
    "acu synapse out of range": (
        lambda w: w.load("num_output: 2 kernel_size: 3 weight_filler { type: \"msra\" } }",
                         "num_output: 2 kernel_size: 3 } acu_param { fixed_synapse: 9 }"),
        r"net.prototxt:5: ACU layer 'acu': acu_param.fixed_synapse is 9", "acu"),
    "acu with groups": (lambda w: w.load("num_output: 2", "num_output: 2 group: 2"), "an ACU has one group", "acu"),
    "pooling pad": (
        lambda w: w.added(layer("Pooling", "acu", "pooling_param { kernel_size: 2 pad: 2 }")), "pad", "more"),
    "lrn of even size": (lambda w: w.added(layer("LRN", "acu", "lrn_param { local_size: 4 }")), "odd", "more"),
    "inner product without outputs": (lambda w: w.added(layer("InnerProduct", "acu")), "", "more"),
    # files
    "missing lmdb": (
        lambda w: w.added(layer("Data", "", 'data_param { source: "nowhere" batch_size: 2 backend: LMDB }')),
        "nowhere", "more"),
    "missing hdf5 list": (
        lambda w: w.added(layer("HDF5Data", "", 'hdf5_data_param { source: "nowhere" batch_size: 2 }')), "", "more"),
    "missing image list": (
        lambda w: w.added(layer("ImageData", "", 'image_data_param { source: "nowhere" batch_size: 2 }')
                          .replace('top: "more"', 'top: "more" top: "l"')), "", "more"),
    "missing mean file": (
        lambda w: w.added(layer("ImageData", "", 'transform_param { mean_file: "nowhere" } '
                                'image_data_param { source: "nowhere" batch_size: 2 }')
                          .replace('top: "more"', 'top: "more" top: "l"')), "nowhere", "more"),
    # weights
    "missing weights": (lambda w: w.good_net().copy_from("nowhere.caffemodel"), "nowhere.caffemodel", ""),
    "weights that are text": (lambda w: w.with_weights(NET.encode()), "bad.caffemodel", ""),
    "truncated weights": (lambda w: w.with_weights(Path(w.weights).read_bytes()[:-9]), "bad.caffemodel", ""),
    "damaged weights": (lambda w: w.with_weights(struct.pack("<20I", *range(20))), "bad.caffemodel", ""),
    "weights of another shape": (lambda w: w.with_blob("conv", 0, (4, 3, 5, 5)), r"4 3 5 5.*4 3 3 3", None),
    "positions of another shape": (lambda w: w.with_blob("acu", 2, (2, 1, 3, 3)), r"2 1 3 3.*1 1 3 3", None),
    "broken hdf5 weights": (lambda w: w.good_net().load_hdf5(w.write("a.h5", b"\x89HDF")), "", ""),
    # calls
    "input of another shape": (lambda w: set_input(w.good_net(), 2, 5, 8, 8), "", "conv"),
    "image smaller than the kernel": (lambda w: set_input(w.good_net(), 2, 3, 2, 2), "", "conv"),
    "blob with too many axes": (lambda w: w.good_net().blobs["data"].reshape(*[1] * 40), "axes|40", ""),
    "blob of negative size": (lambda w: w.good_net().blobs["data"].reshape(-1, 3), "", ""),
    "blob of enormous size": (lambda w: w.good_net().blobs["data"].reshape(1 << 20, 1 << 20), "INT_MAX|exceeds", ""),
    # solvers
    "solver without a net": (lambda w: caffe.get_solver(w.write("s", "max_iter: 3")), "net", ""),
    "solver with an unknown type": (lambda w: w.solver('type: "SGB"'), "SGB", ""),
    "solver with an unknown policy": (lambda w: w.solver(policy="fixde").step(1), "fixde", ""),
    "solver of a wrong net": (lambda w: w.solver(net=layer("Softmax", "nothing")), "nothing", None),
    "missing solverstate": (lambda w: w.solver().restore("nowhere.solverstate"), "nowhere", ""),
    "damaged solverstate": (lambda w: w.solver().restore(w.write("a.solverstate", b"\xff\xff\xff")), "", ""),
    "snapshot into no folder": (lambda w: w.solver("snapshot: 1", prefix="/nowhere/a"), "/nowhere/a", ""),
    "labels out of range": (lambda w: wrong_label(w.solver()), "", "loss"),
    # numbers that make no sense
    "group 0": (lambda w: w.load("num_output: 4", "num_output: 4 group: 0"),
                "convolution_param.group is 0; it must be at least 1", "conv"),
    "num_output 0": (lambda w: w.load("num_output: 4", "num_output: 0"), "num_output is 0", "conv"),
    "kernel 0": (lambda w: w.load("kernel_size: 3", "kernel_size: 0"), "kernel_size is 0", "conv"),
    "dilation 0": (lambda w: w.load("kernel_size: 3", "kernel_size: 3 dilation: 0"), "dilation is 0", "conv"),
    "enormous pad": (lambda w: w.load("kernel_size: 3", "kernel_size: 3 pad: 4000000000"),
                     "convolution_param.pad is 4000000000", "conv"),
    "stride 0 in pooling": (lambda w: w.added(layer("Pooling", "acu", "pooling_param { kernel_size: 2 stride: 0 }")),
                            "stride is 0", "more"),
    "acu of stride 0": (lambda w: w.load("num_output: 2 kernel_size: 3", "num_output: 2 kernel_size: 3 stride: 0"),
                        "stride", "acu"),
    "grouped acu with group 0": (
        lambda w: w.added(layer("GroupedACU", "acu", "convolution_param { num_output: 2 kernel_size: 1 group: 0 }")),
        "group is 0", "more"),
    "aconv of 0 position groups": (
        lambda w: w.added(layer("AConvFast", "acu", "convolution_param { num_output: 2 kernel_size: 1 } "
                                "aconv_param { position_group: 0 }")), "position_group|position sets", "more"),
    "deconvolution with group 0": (
        lambda w: w.added(layer("Deconvolution", "acu", "convolution_param { num_output: 2 kernel_size: 1 group: 0 }")),
        "group is 0", "more"),
    "im2col with stride 0": (
        lambda w: w.added(layer("Im2col", "acu", "convolution_param { kernel_size: 1 stride: 0 }")), "stride", "more"),
    "pyramid of 0 levels": (lambda w: w.added(layer("SPP", "acu", "spp_param { pyramid_height: 0 }")),
                            "pyramid_height is 0", "more"),
    "pyramid of a million levels": (lambda w: w.added(layer("SPP", "acu", "spp_param { pyramid_height: 1000000 }")),
                                    "pyramid_height is 1000000", "more"),
    "tile 0 times": (lambda w: w.added(layer("Tile", "acu", "tile_param { tiles: 0 }")), "tiles", "more"),
    "dropout of everything": (lambda w: w.added(layer("Dropout", "acu", "dropout_param { dropout_ratio: 1 }")),
                              "dropout_ratio is 1", "more"),
    "top 0 of the classes": (lambda w: w.of_two("4 3", "4", "Accuracy", "accuracy_param { top_k: 0 }"), "top_k",
                             "more"),
    "top 9 of 3 classes": (lambda w: w.of_two("4 3", "4", "Accuracy", "accuracy_param { top_k: 9 }"), "top_k",
                             "more"),
    "lstm of 0 outputs": (lambda w: w.of_two("4 3 2", "4 3", "LSTM", "recurrent_param { num_output: 0 }"),
                          "num_output is 0", "more"),
    "filler that is nearly one": (lambda w: w.load('"msra"', '"mrsa"'), r'no filler "mrsa". Did you mean "msra"',
                                  "conv"),
    "solver type that is nearly one": (lambda w: w.solver('type: "Nestrov"'), 'Did you mean "Nesterov"', ""),
    "policy that is nearly one": (lambda w: w.solver(policy="multi_step"), 'Did you mean "multistep"', ""),
    "steps of 0": (lambda w: w.solver("stepsize: 0", policy="step"), "stepsize", ""),
    "iter_size 0": (lambda w: w.solver("iter_size: 0"), "iter_size is 0", ""),
    # shapes
    "stride hides that the kernel is larger": (
        lambda w: w.load("num_output: 4 kernel_size: 3", "num_output: 4 kernel_size: 9 stride: 4"),
        "kernel is larger than the image with its padding: 9 pixels, and 8", "conv"),
    "im2col larger than the image": (lambda w: w.added(layer("Im2col", "acu", "convolution_param { kernel_size: 9 }")),
                                     "kernel is larger", "more"),
    "pooling larger than the image": (lambda w: w.added(layer("Pooling", "acu", "pooling_param { kernel_size: 9 }")),
                                      "larger than its input", "more"),
    "acu larger than the image": (lambda w: w.load("num_output: 2 kernel_size: 3", "num_output: 2 kernel_size: 9"),
                                  "less than the kernel's 9", "acu"),
    "grouped acu larger than the image": (
        lambda w: w.added(layer("GroupedACU", "acu", "convolution_param { num_output: 2 kernel_size: 9 group: 2 }")),
        "less than the kernel's 9", "more"),
    "deconvolution that pads away all": (
        lambda w: w.added(layer("Deconvolution", "acu", "convolution_param { num_output: 2 kernel_size: 1 pad: 9 }")),
        "axis 2 would be -", "more"),
    "crop larger than its input": (lambda w: w.of_two("1 1 4 4", "1 1 6 6", "Crop"), "out-of-bounds", "more"),
    "crop outside of its input": (lambda w: w.of_two("1 1 4 4", "1 1 2 2", "Crop", "crop_param { offset: 4000000000 }"),
                                  "offset is 4000000000", "more"),
    "no image": (lambda w: w.load("dim: 2 dim: 3", "dim: 2 dim: 0"), "", None),
    "nothing to judge": (lambda w: w.of_two("0 3", "0", "SoftmaxWithLoss"), "bottom 'a' is empty: its shape is 0 3",
                         "more"),
    "nothing to normalise": (lambda w: w.of_two("0 3", "0", "BatchNorm", bottoms="a"), "is empty", "more"),
    "nothing along an axis": (
        lambda w: w.of_two("4 0 3", "1", "Softmax", "softmax_param { axis: -1 }", bottoms="a"), "is empty", "more"),
    "nothing to filter": (lambda w: w.of_two("0 3", "0", "Filter"), "is empty", "more"),
    "nothing to reshape": (
        lambda w: w.of_two("0 3", "0", "Reshape", "reshape_param { shape { dim: 0 dim: -1 } }", bottoms="a"),
        "is empty", "more"),
    "nothing to measure": (lambda w: w.of_two("0 3", "0", "Accuracy"), "is empty", "more"),
    "more than an int counts": (lambda w: w.of_two("4294967298", "1", "ReLU", bottoms="a"), "4294967298", "a"),
    "pairs without all their labels": (
        lambda w: w.added(TWO.format(a="dim: 4 dim: 3", b="dim: 2") + layer("ContrastiveLoss", "a a2 b") +
                          'layer { name: "a2" type: "Input" top: "a2" input_param { shape { dim: 4 dim: 3 } } }'), "",
        None),
    "weights in the description, of another shape": (
        lambda w: w.load("convolution_param { num_output: 4",
                         "blobs { shape { dim: 1 } data: 1 } blobs { shape { dim: 4 } data: [1, 2, 3, 4] } "
                         "convolution_param { num_output: 4"), "shape 1 .*the layer's 4 3 3 3", "conv"),
    # values
    "label below 0": (lambda w: w.of_two("4 3", "4", "SoftmaxWithLoss", b_value=-1), "-1 is out .*0 to 2", "more"),
    "label that is not the one ignored": (
        lambda w: w.of_two("4 3", "4", "SoftmaxWithLoss", "loss_param { ignore_label: 255 }", b_value=254),
        "254 is out of range", "more"),
    "label of accuracy": (lambda w: w.of_two("4 3", "4", "Accuracy", b_value=3), "3 is out of range", "more"),
    "label of the hinge loss": (lambda w: w.of_two("4 3", "4", "HingeLoss", b_value=1e6), "1000000 is out", "more"),
    "label of the multinomial loss": (lambda w: w.of_two("4 3", "4", "MultinomialLogisticLoss", b_value=-5),
                                      "-5 is out", "more"),
    "label that is no number": (lambda w: w.of_two("4 3", "4", "HingeLoss", b_value=np.nan), "out of range", "more"),
    "word that is not in the embedding": (
        lambda w: w.of_two("4", "4", "Embed", "embed_param { num_output: 2 input_dim: 5 }", bottoms="b", b_value=5),
        "5 is out of range.*0 to 4", "more"),
    "batch index that is none": (lambda w: w.of_two("4 3", "4", "BatchReindex", b_value=4), "batch size", "more"),
    # data
    "lmdb cut short": (lambda w: w.read(w.cut_lmdb(20000)), "cut short: its data.mdb has 20000 bytes of", "more"),
    "lmdb cut to its first page": (lambda w: w.read(w.cut_lmdb(4096)), "lmdb", "more"),
    "lmdb of no bytes": (lambda w: w.read(w.cut_lmdb(0)), "is empty: its data.mdb has 0 bytes", "more"),
    "lmdb that is none": (lambda w: w.read(not_an_lmdb(w)), "no LMDB, or a damaged one", "more"),
    "lmdb without records": (lambda w: w.read(w.lmdb()), "has no records", "more"),
    "lmdb whose data are a folder": (lambda w: w.read(folder_of_folders(w)), "cannot be read as an LMDB", "more"),
    "record that is no datum": (lambda w: w.read(w.lmdb(b"\xff\xff\xff")), "is not a Datum", "more"),
    "later record that is no datum": (lambda w: w.read(w.lmdb(*[datum(3, 4, 4)] * 3, b"\xff\xff")), "is not a Datum",
                                      "more"),
    "datum without its pixels": (lambda w: w.read(w.lmdb(datum(3, 4, 4, size=7))), "7 values, not 3 channels", "more"),
    "datum of another shape": (lambda w: w.read(w.lmdb(datum(3, 4, 4), datum(3, 5, 4))), "3 channels of 5x4", "more"),
    "jpeg cut off": (lambda w: w.read(w.lmdb(encoded(b"\xff\xd8\xff\xe0" + bytes(40)))), "cut off", "more"),
    "image that is none": (lambda w: w.read(w.lmdb(encoded(b"not an image"))), "cannot be decoded", "more"),
    "crop larger than the images": (lambda w: w.read(w.lmdb(datum(3, 4, 4)), "transform_param { crop_size: 9 }"),
                                    "smaller than crop_size 9", "more"),
    "mean of another shape": (
        lambda w: w.read(w.lmdb(datum(3, 4, 4)), f'transform_param {{ mean_file: "{w.mean(1, 3, 8, 8)}" }}'),
        "mean.binaryproto has shape 1 3 8 8.*images are 4x4", "more"),
    "mean that is damaged": (
        lambda w: w.read(w.lmdb(datum(3, 4, 4)), f'transform_param {{ mean_file: "{w.write("m", bytes(9))}" }}'), "m: ",
        "more"),
    "mean values for other channels": (
        lambda w: w.read(w.lmdb(datum(3, 4, 4)), "transform_param { mean_value: 1 mean_value: 2 }"), "mean_value",
        "more"),
    "batches of 0": (lambda w: w.read(w.lmdb(datum(3, 4, 4)), batch="batch_size: 0"), "batch_size is 0", "more"),
    "no batch ahead": (lambda w: w.read(w.lmdb(datum(3, 4, 4)), batch="batch_size: 1 prefetch: 0"), "prefetch is 0",
                       "more"),
    "hdf5 that is none": (lambda w: w.read_hdf5(w.write("a.h5", b"nothing")), "a.h5", "more"),
    "hdf5 of other rows": (lambda w: w.read_hdf5(w.hdf5("1.h5", 3, 4), w.hdf5("2.h5", 3, 5)), "2.h5 have another size",
                           "more"),
    "hdf5 list of nothing": (lambda w: w.read_hdf5(), "at least 1", "more"),
    "hdf5 in batches of 0": (lambda w: w.read_hdf5(w.hdf5("1.h5", 3, 4), batch="batch_size: 0"), "batch_size is 0",
                             "more"),
    "image list of nothing": (lambda w: w.read(w.write("images.txt", ""), type_="ImageData"), "empty|lines", "more"),
    "image that is not there": (lambda w: w.read(w.image_list("nowhere.jpg 0"), type_="ImageData"), "nowhere",
                                "more"),
    "images of different sizes": (
        lambda w: w.read(w.image_list(w.image("1.ppm", 4, 4) + " 0", w.image("2.ppm", 5, 4) + " 1"), type_="ImageData"),
        "", "more"),
    "window file of nothing": (
        lambda w: w.read(w.write("windows.txt", ""), "transform_param { crop_size: 4 }", type_="WindowData"),
        "empty", "more"),
    "window file that begins at 7": (
        lambda w: w.read(w.write("windows.txt", f"# 7\n{w.image('1.ppm', 9, 9)}\n3\n9\n9\n1\n1 0.9 0 0 4 4\n"),
                         "transform_param { crop_size: 4 }", type_="WindowData"), "numbered from 0", "more"),
    # memory
    "more memory than there is": (with_little_memory, r"out of memory: 7\.5 GiB asked for at once", "more"),
}  # fmt: skip


def wrong_label(solver):
    solver.net.blobs["label"].data[...] = 77
    solver.step(1)


def not_an_lmdb(w: Workplace) -> Path:
    folder = w.lmdb(datum(1, 1, 1))
    (folder / "data.mdb").write_bytes(bytes(range(256)) * 64)
    return folder


def folder_of_folders(w: Workplace) -> Path:
    folder = w.lmdb(datum(1, 1, 1), name="folders")
    (folder / "data.mdb").unlink()
    (folder / "data.mdb").mkdir()
    return folder
