"""A thin layer over Caffe's messages in which a network reads like its table in the paper.

Every method appends a layer, which reads the blob that the one before wrote, and its name. Nothing
here needs libcaffe.
"""

from dataclasses import dataclass

from caffe_acu.caffe_proto import caffe_pb2

# Rates of the papers (section 2.5): positions learn at 0.01 of the base rate and do not decay.
POSITION_LR_MULT = 0.01


@dataclass(frozen=True)
class Acu:
    """Asks for an ACU in place of a convolution, grouped if the convolution is."""

    warmup_iter: int = 0
    position_lr_mult: float = POSITION_LR_MULT
    position_group: int | None = None  # number of position sets; default: one for each convolution group


@dataclass(frozen=True)
class DataSource:
    """LMDBs and how they are read. Paths are taken relative to where ``caffe`` is started."""

    train_lmdb: str
    test_lmdb: str
    train_batch: int
    test_batch: int
    crop_size: int  # of the padded training images; a test image has this size already
    mirror: bool = True  # flip half of the training images left to right


class Net:
    """A network under construction; ``proto`` is the message."""

    def __init__(self, name: str) -> None:
        self.proto = caffe_pb2.NetParameter(name=name)
        self.top = ""  # the blob that the next layer reads

    def layer(self, name: str, type_: str, *, bottoms: list[str] | None = None, tops: list[str] | None = None):
        """Appends a layer from the current blob (or ``bottoms``) to a blob of its own name (or ``tops``)."""
        layer = self.proto.layer.add(name=name, type=type_)
        layer.bottom.extend([self.top] if bottoms is None else bottoms)
        layer.top.extend([name] if tops is None else tops)
        if layer.top:
            self.top = layer.top[0]
        return layer

    def input(self, shape: tuple[int, int, int, int]) -> None:
        layer = self.layer("data", "Input", bottoms=[])
        layer.input_param.shape.add().dim.extend(shape)

    def lmdb_data(self, source: DataSource) -> None:
        """Training data, shuffled every epoch, cropped (and mirrored) at random; test data as they are."""
        for phase, lmdb, batch in (
            (caffe_pb2.TRAIN, source.train_lmdb, source.train_batch),
            (caffe_pb2.TEST, source.test_lmdb, source.test_batch),
        ):
            layer = self.layer("data", "Data", bottoms=[], tops=["data", "label"])
            layer.include.add().phase = phase
            data = layer.data_param
            data.source, data.batch_size, data.backend = lmdb, batch, caffe_pb2.DataParameter.LMDB
            if phase == caffe_pb2.TRAIN:
                data.shuffle = True
                layer.transform_param.crop_size = source.crop_size
                layer.transform_param.mirror = source.mirror

    def conv(
        self,
        name: str,
        outputs: int,
        kernel: int,
        *,
        stride: int = 1,
        group: int = 1,
        bias: bool = False,
        acu: Acu | None = None,
    ) -> None:
        """A convolution padded to keep the size (odd kernels), or, by the one argument ``acu``, an ACU."""
        sets = 1
        if acu:
            sets = group if acu.position_group is None else acu.position_group
        grouped = group > 1 or sets > 1
        layer = self.layer(name, ("GroupedACU" if grouped else "ACU") if acu else "Convolution")
        layer.param.add(lr_mult=1, decay_mult=1)
        if bias:
            layer.param.add(lr_mult=1, decay_mult=0)
        elif acu:
            layer.param.add(lr_mult=0, decay_mult=0)  # kept as a zero
        conv = layer.convolution_param
        conv.num_output = outputs
        conv.kernel_size.append(kernel)
        if kernel > 1:
            conv.pad.append(kernel // 2)
        if stride > 1:
            conv.stride.append(stride)
        if group > 1:
            conv.group = group
        conv.bias_term = bias
        conv.weight_filler.type = "msra"
        if acu:
            for _ in ("x", "y"):
                layer.param.add(lr_mult=acu.position_lr_mult, decay_mult=0)
            layer.acu_param.warmup_iter = acu.warmup_iter
            if sets != group:
                layer.acu_param.position_group = sets

    def bn_relu(self, name: str, *, moving_average_fraction: float | None = None, separator: str = "_") -> None:
        """BatchNorm, Scale with bias and ReLU, in place, named after the layer ``name`` before them."""
        blob = [self.top]
        bn = self.layer(f"bn{separator}{name}", "BatchNorm", tops=blob)
        for _ in range(3):  # mean, variance and their weight are statistics, not learned
            bn.param.add(lr_mult=0, decay_mult=0)
        if moving_average_fraction is not None:
            bn.batch_norm_param.moving_average_fraction = moving_average_fraction
        scale = self.layer(f"scale{separator}{name}", "Scale", tops=blob)
        scale.scale_param.bias_term = True
        for _ in range(2):
            scale.param.add(lr_mult=1, decay_mult=0)
        self.layer(f"relu{separator}{name}", "ReLU", tops=blob)

    def global_average_pool(self, name: str) -> None:
        pool = self.layer(name, "Pooling").pooling_param
        pool.pool = caffe_pb2.PoolingParameter.AVE
        pool.global_pooling = True

    def loss_and_accuracy(self) -> None:
        score = self.top
        self.layer("loss", "SoftmaxWithLoss", bottoms=[score, "label"])
        self.layer("accuracy", "Accuracy", bottoms=[score, "label"]).include.add().phase = caffe_pb2.TEST

    def softmax(self) -> None:
        self.layer("prob", "Softmax")
