// Caffemodels of all ages, loaded into a network that then computes with them.
#include "caffe/net.hpp"
#include "caffe_acu/fuzz/input_file.hpp"
#include "caffe_acu/fuzz/small_net.hpp"
#include "caffe_acu/fuzz/targets.hpp"

namespace caffe {
namespace fuzz {
namespace {

// To make one takes far longer than to load weights into it.
struct NetToLoad {
  NetToLoad() : net(SmallNet(TEST)) { net.ToProto(&fresh); }
  Net<float> net;
  NetParameter fresh;
};

void Run(std::string_view input) {
  static NetToLoad loaded;
  Net<float>& net = loaded.net;
  net.CopyTrainedLayersFrom(loaded.fresh);
  const InputFile file(input);
  net.CopyTrainedLayersFrom(file.path());
  net.Forward();
  net.Backward();
}

std::vector<std::string> Seeds() {
  NetParameter described = SmallNet(TRAIN), now, first, second;
  Net<float> net(described);
  net.ToProto(&now);
  Net<double> of_doubles(described);
  NetParameter doubles;
  of_doubles.ToProto(&doubles);
  // As they were written in 2013 and 2014, with four sizes in place of a shape.
  for (const LayerParameter& layer : now.layer()) {
    if (layer.type() != "Convolution" && layer.type() != "InnerProduct") continue;
    V0LayerParameter* old = first.add_layers()->mutable_layer();
    V1LayerParameter* newer = second.add_layers();
    old->set_name(layer.name());
    newer->set_name(layer.name());
    old->set_type(layer.type() == "Convolution" ? "conv" : "innerproduct");
    newer->set_type(layer.type() == "Convolution" ? V1LayerParameter::CONVOLUTION : V1LayerParameter::INNER_PRODUCT);
    for (BlobProto blob : layer.blobs()) {
      const BlobShape shape = blob.shape();
      blob.clear_shape();
      const auto size = [&](int from_end) {
        return from_end < shape.dim_size() ? static_cast<int>(shape.dim(shape.dim_size() - 1 - from_end)) : 1;
      };
      blob.set_num(size(3));
      blob.set_channels(size(2));
      blob.set_height(size(1));
      blob.set_width(size(0));
      *old->add_blobs() = blob;
      *newer->add_blobs() = blob;
    }
  }
  std::vector<std::string> seeds;
  for (const NetParameter& param : {now, doubles, first, second}) seeds.push_back(param.SerializeAsString());
  return seeds;
}

std::unique_ptr<google::protobuf::Message> Message() { return std::make_unique<NetParameter>(); }

}  // namespace

extern const Target kWeights = {"weights", &Run, &Message, false, &Seeds};

}  // namespace fuzz
}  // namespace caffe
