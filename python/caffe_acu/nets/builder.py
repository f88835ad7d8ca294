"""A thin layer over pycaffe's NetSpec in which a network reads like its table in the paper.

Every method takes the blob that a layer reads and the layer's name, which is its blob's name too, and returns the
blob that it writes.
"""

from dataclasses import dataclass
from typing import Any

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.net_spec import NetSpec, Top
from caffe_acu.net_spec import layers as L
from caffe_acu.net_spec import params as P

# Rates of the papers (CVPR section 2.5): positions learn at 0.01 of the base rate and do not decay.
POSITION_LR_MULT = 0.01

LEARNED = {"lr_mult": 1, "decay_mult": 1}
_WITHOUT_DECAY = {"lr_mult": 1, "decay_mult": 0}
KEPT = {"lr_mult": 0, "decay_mult": 0}


@dataclass(frozen=True)
class Acu:
    """Asks for an ACU in place of a convolution, grouped if the convolution is."""

    warmup_iter: int = 0
    position_lr_mult: float = POSITION_LR_MULT
    position_group: int | None = None  # number of position sets; default: one for each convolution group
    learn: bool = True  # False: the positions stay where they start or were loaded


@dataclass(frozen=True)
class DataSource:
    """LMDBs and how they are read. Paths are taken relative to where ``caffe`` is started."""

    train_lmdb: str
    test_lmdb: str
    train_batch: int
    test_batch: int
    crop_size: int  # of the training images, at random; of larger test images the middle
    mirror: bool = True  # flip half of the training images left to right
    crop_test: bool = False  # False: a test image has the size of a crop already
    mean: tuple[float, ...] = ()  # of each channel, subtracted
    mean_file: str = ""  # or an image to subtract
    scale: float = 1  # applied after that

    def transform(self, phase: int) -> dict[str, Any]:
        """``transform_param`` of the Data layer of a phase, TRAIN or TEST."""
        param: dict[str, Any] = {"mean_value": list(self.mean)} if self.mean else {}
        if self.mean_file:
            param["mean_file"] = self.mean_file
        if self.scale != 1:
            param["scale"] = self.scale
        if phase == caffe_pb2.TRAIN:
            param["mirror"] = self.mirror
        if phase == caffe_pb2.TRAIN or self.crop_test:
            param["crop_size"] = self.crop_size
        return param


@dataclass(frozen=True)
class Filler:
    """How the weights of a layer start, and its biases."""

    weight: dict[str, Any]
    bias: float = 0

    def param(self) -> dict[str, Any]:
        """The fields of ``convolution_param`` or ``inner_product_param``."""
        bias = {"bias_filler": {"type": "constant", "value": self.bias}} if self.bias else {}
        return {"weight_filler": self.weight, **bias}


MSRA = Filler({"type": "msra"})
XAVIER = Filler({"type": "xavier"})


class Net:
    """A network under construction: from LMDBs to a loss, or, without ``source``, from ``data`` to ``prob``.

    ``shape`` (C, H, W) is that of one image as the network sees it. ``x`` of the first layer is :attr:`data`.
    """

    def __init__(self, name: str, source: DataSource | None, shape: tuple[int, int, int]) -> None:
        self.name = name
        self._spec = NetSpec()
        self._test_data = None
        self._label: Top | None = None
        if source is None:
            self.data = self.add("data", L.Input(input_param={"shape": [{"dim": [1, *shape]}]}))
        else:
            self.data, self._label = _read(source, caffe_pb2.TRAIN)
            self._spec["data"], self._spec["label"] = self.data, self._label
            test = NetSpec()
            test["data"], test["label"] = _read(source, caffe_pb2.TEST)
            (self._test_data,) = test.to_proto().layer

    def add(self, name: str, top: Top) -> Top:
        """Gives a layer made with NetSpec its name; ValueError if another layer has it."""
        if name in self._spec.tops:
            raise ValueError(f"two layers are called {name!r}")
        self._spec[name] = top
        return top

    def message(self) -> "caffe_pb2.NetParameter":
        net = caffe_pb2.NetParameter(name=self.name)
        layers = list(self._spec.to_proto().layer)
        if self._test_data is not None:
            layers.insert(1, self._test_data)
        net.layer.extend(layers)
        return net

    def conv(
        self,
        x: Top,
        name: str,
        outputs: int,
        kernel: int,
        *,
        stride: int = 1,
        pad: int | None = None,
        dilation: int = 1,
        group: int = 1,
        bias: bool = False,
        filler: Filler = MSRA,
        bias_lr_mult: float = 1,
        acu: Acu | None = None,
    ) -> Top:
        """A convolution padded to keep the size (odd kernels), or, by the one argument ``acu``, an ACU."""
        conv: dict[str, Any] = {"num_output": outputs, "kernel_size": kernel, "bias_term": bias}
        pad = dilation * (kernel // 2) if pad is None else pad
        for field, value, default in (
            ("pad", pad, 0),
            ("stride", stride, 1),
            ("dilation", dilation, 1),
            ("group", group, 1),
        ):
            if value != default:
                conv[field] = value
        conv.update(filler.param())
        rates = [LEARNED, {**_WITHOUT_DECAY, "lr_mult": bias_lr_mult}] if bias else [LEARNED]
        if acu is None:
            return self.add(name, L.Convolution(x, param=rates, convolution_param=conv))
        sets = group if acu.position_group is None else acu.position_group
        kind = L.GroupedACU if group > 1 or sets > 1 else L.ACU
        if not bias:
            rates.append(KEPT)  # a zero
        rates += [{"lr_mult": acu.position_lr_mult, "decay_mult": 0} if acu.learn else KEPT] * 2
        active: dict[str, Any] = {"warmup_iter": acu.warmup_iter} if acu.learn else {"learn_positions": False}
        if sets != group:
            active["position_group"] = sets
        return self.add(name, kind(x, param=rates, convolution_param=conv, acu_param=active))

    def batch_norm(
        self, x: Top, name: str, *, in_place: bool = True, moving_average_fraction: float | None = None
    ) -> Top:
        """BatchNorm, and Scale with bias, that belong to the layer ``name``: ``bn_<name>``, ``scale_<name>``.

        Caffe normalises with the batch's statistics in training and with the averaged ones in the test. It sets
        their rates to 0 by itself; a prototxt that says so too counts as an old one, which is upgraded.
        """
        options: dict[str, Any] = {"in_place": True} if in_place else {}
        if moving_average_fraction is not None:
            options["moving_average_fraction"] = moving_average_fraction
        x = self.add(f"bn_{name}", L.BatchNorm(x, **options))
        scale = L.Scale(x, in_place=True, param=[_WITHOUT_DECAY] * 2, scale_param={"bias_term": True})
        return self.add(f"scale_{name}", scale)

    def relu(self, x: Top, name: str, *, in_place: bool = True) -> Top:
        return self.add(f"relu_{name}", L.ReLU(x, **({"in_place": True} if in_place else {})))

    def bn_relu(self, x: Top, name: str, **batch_norm: Any) -> Top:
        """:meth:`batch_norm`, then a ReLU in place."""
        return self.relu(self.batch_norm(x, name, **batch_norm), name)

    def conv_bn_relu(self, x: Top, name: str, outputs: int, kernel: int, **conv: Any) -> Top:
        return self.bn_relu(self.conv(x, name, outputs, kernel, **conv), name)

    def max_pool(self, x: Top, name: str, kernel: int, stride: int, pad: int = 0) -> Top:
        """The size is rounded up, as everywhere in Caffe."""
        param = {"pool": P.Pooling.MAX, "kernel_size": kernel, "stride": stride}
        return self.add(name, L.Pooling(x, pooling_param={**param, "pad": pad} if pad else param))

    def global_pool(self, x: Top, name: str = "pool", *, maximum: bool = False) -> Top:
        kind = P.Pooling.MAX if maximum else P.Pooling.AVE
        return self.add(name, L.Pooling(x, pooling_param={"pool": kind, "global_pooling": True}))

    def sum(self, name: str, *x: Top) -> Top:
        return self.add(name, L.Eltwise(*x))

    def concat(self, name: str, *x: Top) -> Top:
        return self.add(name, L.Concat(*x))

    def fc(self, x: Top, name: str, outputs: int, filler: Filler = MSRA, bias_lr_mult: float = 1) -> Top:
        """A fully connected layer with bias."""
        rates = [LEARNED, {**_WITHOUT_DECAY, "lr_mult": bias_lr_mult}]
        return self.add(name, L.InnerProduct(x, param=rates, num_output=outputs, **filler.param()))

    def classify(self, x: Top, *, top5: bool = False) -> "caffe_pb2.NetParameter":
        """Ends the network: loss and accuracy (and top-5 accuracy) of these scores, or their softmax, ``prob``."""
        if self._label is None:
            self.add("prob", L.Softmax(x))
            return self.message()
        self.add("loss", L.SoftmaxWithLoss(x, self._label))
        in_test = [{"phase": caffe_pb2.TEST}]
        self.add("accuracy", L.Accuracy(x, self._label, include=in_test))
        if top5:
            self.add("accuracy_top5", L.Accuracy(x, self._label, include=in_test, top_k=5))
        return self.message()


def _read(source: DataSource, phase: int) -> tuple[Top, Top]:
    """The Data layer of a phase: training data in a new order every epoch, test data as they are."""
    train = phase == caffe_pb2.TRAIN
    data: dict[str, Any] = {
        "source": source.train_lmdb if train else source.test_lmdb,
        "batch_size": source.train_batch if train else source.test_batch,
        "backend": P.Data.LMDB,
    }
    if train:
        data["shuffle"] = True
    transform = source.transform(phase)
    options = {"transform_param": transform} if transform else {}
    return L.Data(ntop=2, include=[{"phase": phase}], data_param=data, **options)
