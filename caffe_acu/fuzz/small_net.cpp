#include "caffe_acu/fuzz/small_net.hpp"

#include <google/protobuf/text_format.h>

#include <set>

namespace caffe {
namespace fuzz {
namespace {

const char kLayers[] = R"(
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 4 dim: 6 dim: 5 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
        convolution_param { num_output: 4 kernel_size: 3 pad: 1 group: 2 weight_filler { type: "xavier" } } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "scale" type: "Scale" bottom: "conv" top: "conv" scale_param { bias_term: true } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "acu" type: "ACU" bottom: "conv" top: "acu"
        convolution_param { num_output: 4 kernel_size: 3 pad: 1 stride: 2 weight_filler { type: "xavier" } } }
layer { name: "grouped" type: "GroupedACU" bottom: "acu" top: "grouped"
        convolution_param { num_output: 4 kernel_size: 3 pad: 1 group: 2 weight_filler { type: "xavier" } } }
layer { name: "depthwise" type: "GroupedACU" bottom: "grouped" top: "depthwise"
        convolution_param { num_output: 4 group: 4 weight_filler { type: "xavier" } }
        acu_param { position { x: 0 } position { x: 1.5 y: -0.25 } } }
layer { name: "fork" type: "AConvFast" bottom: "depthwise" top: "fork"
        convolution_param { num_output: 2 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } }
layer { name: "ip" type: "InnerProduct" bottom: "fork" top: "ip"
        inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "ip" bottom: "ip2" top: "loss" }
)";

const std::set<std::string> kOpenFiles = {"Data", "HDF5Data", "HDF5Output", "ImageData", "WindowData"};
constexpr int kFew = 30000;  // values in blobs and weights

}  // namespace

NetParameter SmallNet(Phase phase) {
  NetParameter net;
  const std::string second = R"(layer { name: "ip2" type: "DummyData" top: "ip2" dummy_data_param { shape { dim: 2 dim: 2 } } })";
  CHECK(google::protobuf::TextFormat::ParseFromString(second + kLayers, &net));
  net.mutable_state()->set_phase(phase);
  return net;
}

void RefuseFiles(const NetParameter& net) {
  for (const LayerParameter& layer : net.layer()) {
    CHECK(!kOpenFiles.count(layer.type()) && !layer.has_transform_param() && !layer.infogain_loss_param().has_source())
        << "it opens files";
  }
}

void RunIfSmall(Net<float>* net) {
  int64_t values = 0;
  for (const auto& blob : net->blobs()) values += blob->count();
  for (const auto& blob : net->params()) values += blob->count();
  if (values > kFew) return;
  net->Forward();
  net->Backward();
}

}  // namespace fuzz
}  // namespace caffe
