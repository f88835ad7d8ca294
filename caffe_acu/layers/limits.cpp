#include "caffe_acu/layers/limits.hpp"

#include <glog/logging.h>
#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <climits>
#include <set>

#include "caffe_acu/util/prototxt.hpp"

namespace caffe {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

const std::vector<std::string> kFillers = {"bilinear",          "constant", "gaussian", "msra",
                                           "positive_unitball", "uniform",  "xavier"};
const std::vector<std::string> kPolicies = {"exp", "fixed", "inv", "multistep", "poly", "sigmoid", "step"};

// Counted from 1 in whatever message they stand.
const std::set<std::string> kAtLeastOne = {
    "batch_size", "crop_h",   "crop_w",     "dilation",   "group",  "input_dim", "iter_size", "kernel_h",
    "kernel_size", "kernel_w", "local_size", "num_output", "prefetch", "pyramid_height", "stride", "stride_h",
    "stride_w",   "test_iter", "tiles",     "top_k"};

// In pixels, with which Caffe calculates in int: dilation * (kernel - 1) + 1 and image + 2 * pad have to fit into it.
const std::set<std::string> kPixels = {"crop_size", "dilation", "kernel_h", "kernel_size", "kernel_w", "pad",
                                       "pad_h",     "pad_w",    "stride",   "stride_h",    "stride_w"};
constexpr int64_t kMostPixels = 32767;

constexpr int64_t kMostPyramidLevels = 16;

// Layers that divide by the size of a bottom.
const std::set<std::string> kNeedValues = {
    "Accuracy",      "BatchNorm",  "BatchReindex",     "ContrastiveLoss", "EuclideanLoss",
    "Filter",        "HingeLoss",  "InfogainLoss",     "MVN",             "MultinomialLogisticLoss",
    "Reshape",       "SigmoidCrossEntropyLoss", "Softmax",    "SoftmaxWithLoss"};

bool IsIn(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

void CheckNumber(const std::string& name, const std::string& label, int64_t value) {
  int64_t most = INT_MAX;
  if (kPixels.count(name)) most = kMostPixels;
  if (name == "pyramid_height") most = kMostPyramidLevels;
  LOG_IF(FATAL, value > most) << label << " is " << value << "; it can be " << most << " at most";
  LOG_IF(FATAL, value < 1 && kAtLeastOne.count(name)) << label << " is " << value << "; it must be at least 1";
}

void CheckFields(const Message& message, const std::string& prefix);

// One value of a field; index is -1 where it is not repeated.
void CheckField(const Message& message, const FieldDescriptor* field, const std::string& label, int index) {
  const Reflection& reflection = *message.GetReflection();
  const bool one = index < 0;
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return CheckNumber(field->name(), label, one ? reflection.GetInt32(message, field)
                                                   : reflection.GetRepeatedInt32(message, field, index));
    case FieldDescriptor::CPPTYPE_UINT32:
      return CheckNumber(field->name(), label, one ? reflection.GetUInt32(message, field)
                                                   : reflection.GetRepeatedUInt32(message, field, index));
    case FieldDescriptor::CPPTYPE_INT64:
      return CheckNumber(field->name(), label, one ? reflection.GetInt64(message, field)
                                                   : reflection.GetRepeatedInt64(message, field, index));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return CheckFields(one ? reflection.GetMessage(message, field)
                             : reflection.GetRepeatedMessage(message, field, index),
                         label + ".");
    default:
      return;
  }
}

// All fields that are written.
void CheckFields(const Message& message, const std::string& prefix) {
  if (message.GetDescriptor() == FillerParameter::descriptor()) {
    const std::string& type = static_cast<const FillerParameter&>(message).type();
    LOG_IF(FATAL, !IsIn(kFillers, type))
        << prefix << "type: there is no filler \"" << type << "\"." << DidYouMean(type, kFillers);
  }
  std::vector<const FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    const std::string label = prefix + field->name();
    if (!field->is_repeated()) CheckField(message, field, label, -1);
    const int values = field->is_repeated() ? message.GetReflection()->FieldSize(message, field) : 0;
    for (int i = 0; i < values; ++i) CheckField(message, field, label, i);
  }
}

}  // namespace

LayerParameter WithoutBlobs(const LayerParameter& layer) {
  LayerParameter bare(layer);
  bare.clear_blobs();
  return bare;
}

template <typename Dtype>
void TakeBlobs(const LayerParameter& layer, const std::vector<shared_ptr<Blob<Dtype>>>& blobs) {
  if (layer.blobs_size() == 0 || blobs.empty()) return;
  LOG_IF(FATAL, layer.blobs_size() != static_cast<int>(blobs.size()))
      << "its description comes with " << layer.blobs_size() << " blobs; it has " << blobs.size();
  for (int i = 0; i < layer.blobs_size(); ++i) {
    Blob<Dtype> given;
    given.FromProto(layer.blobs(i));
    LOG_IF(FATAL, given.shape() != blobs[i]->shape())
        << "blob " << i << " of its description has shape " << given.shape_string() << ", the layer's "
        << blobs[i]->shape_string();
    blobs[i]->CopyFrom(given);
  }
}

void CheckParameters(const LayerParameter& layer) {
  CheckFields(WithoutBlobs(layer), "");
  const float ratio = layer.dropout_param().dropout_ratio();
  LOG_IF(FATAL, !(ratio >= 0 && ratio < 1))
      << "dropout_param.dropout_ratio is " << ratio << "; it must be at least 0 and below 1";
}

template <typename Dtype>
void CheckBottoms(const LayerParameter& layer, const std::vector<Blob<Dtype>*>& bottoms) {
  for (size_t i = 0; i < bottoms.size(); ++i) {
    if (bottoms[i]->count() > 0 || !kNeedValues.count(layer.type())) continue;
    LOG(FATAL) << "bottom '" << layer.bottom(i) << "' is empty: its shape is " << bottoms[i]->shape_string();
  }
}

void CheckParameters(const SolverParameter& solver) {
  std::vector<const FieldDescriptor*> fields;
  solver.GetReflection()->ListFields(solver, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_INT32) continue;
    const int values = field->is_repeated() ? solver.GetReflection()->FieldSize(solver, field) : 0;
    if (!field->is_repeated()) CheckField(solver, field, field->name(), -1);
    for (int i = 0; i < values; ++i) CheckField(solver, field, field->name(), i);
  }
  const std::string& policy = solver.lr_policy();
  LOG_IF(FATAL, solver.has_lr_policy() && !IsIn(kPolicies, policy))
      << "there is no lr_policy \"" << policy << "\"." << DidYouMean(policy, kPolicies);
  LOG_IF(FATAL, policy == "step" && solver.stepsize() < 1) << "lr_policy \"step\" needs a stepsize of at least 1";
  for (const int interval : {solver.snapshot(), solver.test_interval(), solver.display()}) {
    LOG_IF(FATAL, interval < 0) << "snapshot, test_interval and display count iterations; " << interval << " is negative";
  }
}

void CheckKernelFits(int image, int pad, int kernel_extent) {
  LOG_IF(FATAL, image + 2 * pad < kernel_extent)
      << "the kernel is larger than the image with its padding: " << kernel_extent << " pixels, and " << image << " + 2 * "
      << pad;
}

void RefuseLabel(int label, int classes) {
  LOG(FATAL) << label << " is out of range: labels, or indices, are 0 to " << classes - 1;
}

template void TakeBlobs(const LayerParameter&, const std::vector<shared_ptr<Blob<float>>>&);
template void TakeBlobs(const LayerParameter&, const std::vector<shared_ptr<Blob<double>>>&);
template void CheckBottoms(const LayerParameter&, const std::vector<Blob<float>*>&);
template void CheckBottoms(const LayerParameter&, const std::vector<Blob<double>*>&);

}  // namespace caffe
