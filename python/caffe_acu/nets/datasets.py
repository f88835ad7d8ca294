"""The data sets of the papers as their networks read them: batches, crops and normalisation of both phases."""

from dataclasses import dataclass, replace

from caffe_acu.nets.builder import DataSource


@dataclass(frozen=True)
class DataSet:
    """Images that a network learns from.

    Attributes:
        name: as in :mod:`caffe_acu.papers.printed`.
        images: to train and to test.
        command: makes the LMDBs; run from the root of the repository.
        assumed: what the paper does not print.
        remark: on how to read them.
    """

    name: str
    classes: int
    images: tuple[int, int]
    source: DataSource
    command: str
    assumed: tuple[str, ...] = ()
    remark: str = ""


def _lmdbs(folder: str, test: str = "test") -> dict[str, str]:
    return {"train_lmdb": f"data/{folder}/train_lmdb", "test_lmdb": f"data/{folder}/{test}_lmdb"}


# ---- CVPR section 3.1: contrast normalisation and ZCA, batches of 64
CVPR_CIFAR10 = DataSet(
    "CIFAR-10",
    10,
    (50_000, 10_000),
    DataSource(**_lmdbs("cifar10/lmdb"), train_batch=64, test_batch=100, crop_size=32),
    "caffe-acu data cifar10 --source <archive or folder> --out data/cifar10/lmdb",
    (
        "contrast is normalised to a norm of 55 for each image; 0.1 is added to every eigenvalue of the ZCA",
        "the 4 pixels around an image mirror it, with which the authors' weights agree",
    ),
)
CVPR_CIFAR100 = replace(
    CVPR_CIFAR10,
    name="CIFAR-100",
    classes=100,
    source=replace(CVPR_CIFAR10.source, **_lmdbs("cifar100/lmdb")),
    command="caffe-acu data cifar100 --source <archive or folder> --out data/cifar100/lmdb",
)

# ---- Grouped paper, appendix B: batches of 128
GROUPED_CIFAR10 = DataSet(
    "CIFAR-10",
    10,
    (50_000, 10_000),
    DataSource(**_lmdbs("cifar10/lmdb-gcn"), train_batch=128, test_batch=100, crop_size=32),
    "caffe-acu data cifar10 --preprocess gcn --source <archive or folder> --out data/cifar10/lmdb-gcn",
    (
        'the images are "normalized" to the same contrast, without ZCA',
        "the 4 pixels around an image mirror it, as in the earlier paper",
    ),
)

# ---- CVPR section 5: Places365-Standard, four GPUs with 32 images each
_PLACES_SOURCE = DataSource(
    **_lmdbs("places365/lmdb", "val"),
    train_batch=128,
    test_batch=50,
    crop_size=227,
    crop_test=True,
    mean_file="data/places365/lmdb/mean.binaryproto",
)
_PLACES_IMAGES = (1_803_460, 36_500)
_PLACES_COMMAND = "caffe-acu data places365 --source <folder> --out data/places365/lmdb"
_PLACES_REMARK = (
    "The paper used four GPUs with 32 images each. Caffe reads `batch_size` images for every GPU: set it to 32 on four."
)
_PLACES_ASSUMED = (
    "the mean image of the training set is subtracted",
    "images are 256x256, the middle of the image after its shorter side has been scaled to 256; those of `data_256` "
    "are taken as they are",
)
ALEXNET_PLACES = DataSet(
    "Places365-Standard",
    365,
    _PLACES_IMAGES,
    _PLACES_SOURCE,
    _PLACES_COMMAND,
    (*_PLACES_ASSUMED, "crops have 227x227 pixels, as in Caffe's AlexNet"),
    _PLACES_REMARK,
)
RESNET26_PLACES = DataSet(
    "Places365-Standard",
    365,
    _PLACES_IMAGES,
    replace(_PLACES_SOURCE, crop_size=224),
    _PLACES_COMMAND,
    (*_PLACES_ASSUMED, "crops have 224x224 pixels"),
    _PLACES_REMARK,
)

# ---- Grouped paper, section 5.1
IMAGENET = DataSet(
    "ImageNet",
    1000,
    (1_281_167, 50_000),
    DataSource(
        **_lmdbs("imagenet/lmdb", "val"),
        train_batch=256,
        test_batch=50,
        crop_size=224,
        crop_test=True,
        mean=(103.94, 116.78, 123.68),
        scale=0.01735,
    ),
    "caffe-acu data imagenet --source <folder> --out data/imagenet/lmdb",
    (
        "batches of 256",
        'the images are "normalized" by the mean of each channel and one deviation, 57.6',
        "images are 256x256, the middle of the image after its shorter side has been scaled to 256",
    ),
)
