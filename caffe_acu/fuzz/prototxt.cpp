// Networks and solvers as text, and the networks made.
#include <google/protobuf/text_format.h>

#include "caffe/net.hpp"
#include "caffe/util/upgrade_proto.hpp"
#include "caffe_acu/fuzz/input_file.hpp"
#include "caffe_acu/fuzz/small_net.hpp"
#include "caffe_acu/fuzz/targets.hpp"
#include "caffe_acu/util/error.hpp"

namespace caffe {
namespace fuzz {
namespace {

void Run(std::string_view input) {
  const InputFile file(input);
  try {
    SolverParameter solver;
    ReadSolverParamsFromTextFileOrDie(file.path(), &solver);
  } catch (const Error&) {  // a network
  }
  NetParameter param;
  ReadNetParamsFromTextFileOrDie(file.path(), &param);
  RefuseFiles(param);
  Net<float> net(param);
  RunIfSmall(&net);
}

// A layer of each type, most of which miss something; to complete them is the fuzzer's work.
std::string EachOnItsOwn(const std::string& type) {
  return R"(layer { name: "data" type: "Input" top: "a" top: "b"
                    input_param { shape { dim: 2 dim: 3 dim: 4 dim: 4 } shape { dim: 2 dim: 3 dim: 4 dim: 4 } } }
            layer { name: "layer" type: ")" + type + R"(" bottom: "a" top: "top" })";
}

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  for (const Phase phase : {TRAIN, TEST}) {
    seeds.emplace_back();
    google::protobuf::TextFormat::PrintToString(SmallNet(phase), &seeds.back());
  }
  for (const std::string& type : LayerRegistry<float>::LayerTypeList()) seeds.push_back(EachOnItsOwn(type));
  seeds.push_back(R"(input: "data" input_dim: 1 input_dim: 2 input_dim: 3 input_dim: 3
                     layers { name: "r" type: RELU bottom: "data" top: "r" blobs_lr: 1 weight_decay: 0 }
                     layers { name: "c" type: CONVOLUTION bottom: "r" top: "c" param: "w" share_mode: STRICT
                              convolution_param { num_output: 2 kernel_size: 2 } })");
  seeds.push_back(R"(layers { layer { name: "c" type: "conv" num_output: 2 kernelsize: 3 pad: 1 stride: 1 }
                              bottom: "data" top: "c" } input: "data" input_shape { dim: 1 dim: 1 dim: 4 dim: 4 })");
  seeds.push_back(R"(net: "x.prototxt" base_lr: 0.01 lr_policy: "step" gamma: 0.1 solver_type: ADAM
                     train_state { phase: TRAIN stage: "a" } test_iter: 1 test_interval: 10 solver_mode: CPU)");
  return seeds;
}

std::unique_ptr<google::protobuf::Message> Message() { return std::make_unique<NetParameter>(); }

}  // namespace

extern const Target kPrototxt = {"prototxt", &Run, &Message, true, &Seeds};

}  // namespace fuzz
}  // namespace caffe
