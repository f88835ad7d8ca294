"""The drawings in docs/networks: one for each picture on the page, of the networks as they are now."""

import re
from pathlib import Path

from caffe_acu.drawing.network import draw_network
from caffe_acu.drawing.render import is_current
from caffe_acu.net_param import read_prototxt
from caffe_acu.nets.zoo import all_models

ROOT = Path(__file__).resolve().parents[2]


def test_drawings_are_those_of_the_networks():
    drawings = sorted((ROOT / "docs/networks").iterdir())
    folders = {model.name: model.folder for model in all_models()}
    for svg in drawings:
        net = f"models/{folders[svg.stem]}/deploy.prototxt"
        command = f"caffe-acu draw {net} -o docs/networks/{svg.name}"
        assert is_current(svg, draw_network(read_prototxt(ROOT / net)).dot), f"run {command}"
        assert f"Made by `caffe-acu draw {net}`." in svg.read_text(encoding="utf-8"), f"run {command}"
    page = (ROOT / "docs/networks.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"\(networks/(.+?)\)", page)) == [svg.name for svg in drawings]
