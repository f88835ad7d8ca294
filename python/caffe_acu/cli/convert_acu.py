"""``caffe-acu convert acu``: a trained network's convolutions as ACUs."""

import argparse
from pathlib import Path

from caffe_acu.cli.activation import add_choice, choice_of, described, print_left, words_of
from caffe_acu.cli.choices import publishable


def register(kinds) -> None:
    parser = kinds.add_parser(
        "acu",
        help="a trained network's convolutions as ACUs",
        description="A convolution is an ACU whose synapses sit on the lattice (Lemma 1 of the grouped paper). This "
        "command makes ACUs of a trained network's convolutions with kernels larger than 1x1, and runs both networks "
        "on random inputs: a difference that rounding does not explain is refused, and nothing is written. `caffe-acu "
        "positions apply` gives them other shapes. To train on, make the train_val network active with `caffe-acu "
        "new`, which sets rates and warm-up.",
        epilog="example: caffe-acu convert acu models/cvpr2017/plain/deploy.prototxt plain.caffemodel -o plain_active",
    )
    parser.add_argument("net", type=Path, metavar="NET", help="its deploy prototxt")
    parser.add_argument("weights", type=Path, metavar="WEIGHTS", help="its caffemodel")
    parser.add_argument(
        "-o", "--out", type=Path, required=True, metavar="DIR", help="folder for deploy.prototxt and weights.caffemodel"
    )
    add_choice(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    import shlex

    from caffe_acu.convert.activate_trained import activate_trained_files
    from caffe_acu.convert.options import PositionOptions

    words = ["caffe-acu", "convert", "acu", publishable(arguments.net), publishable(arguments.weights)]
    activated, files = activate_trained_files(
        arguments.net,
        arguments.weights,
        arguments.out,
        choice_of(arguments),
        PositionOptions(sets=arguments.position_sets),
        f"Made by `{shlex.join([*words, *words_of(arguments)])}`.",
    )
    layers, differences = activated.activation.layers, activated.differences
    width = max(len(layer.name) for layer in layers)
    for layer in layers:
        largest = differences.layers[layer.name].largest
        print(f"{layer.name:{width}}  {described(layer)}; largest difference {largest:.3g}")
    for name in differences.outputs:
        print(f"output {name}: largest difference {differences.blobs[name].largest:.3g}")
    print(f"{len(layers)} convolution(s) active")
    print_left(activated.activation)
    print(f"wrote {', '.join(map(str, files))}")
