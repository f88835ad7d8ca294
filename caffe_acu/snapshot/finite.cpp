#include "caffe_acu/snapshot/finite.hpp"

#include <algorithm>
#include <cmath>
#include <sstream>
#include <string>

namespace caffe {
namespace {

const char kCure[] = "; snapshots before it stay; lower base_lr, clip_gradients, or begin with a warm-up";

template <typename Dtype>
bool IsFinite(const Dtype* values, int count) {
  return std::all_of(values, values + count, [](Dtype value) { return std::isfinite(value); });
}

template <typename Dtype>
bool HasFiniteData(const Blob<Dtype>* blob) {
  return blob->count() == 0 || IsFinite(blob->cpu_data(), blob->count());
}

template <typename Dtype>
bool HasFiniteDiff(const Blob<Dtype>* blob) {
  return blob->count() == 0 || IsFinite(blob->cpu_diff(), blob->count());
}

template <typename Dtype>
bool HasFiniteWeights(const Layer<Dtype>& layer) {
  const auto& blobs = const_cast<Layer<Dtype>&>(layer).blobs();  // it has no other way to them
  return std::all_of(blobs.begin(), blobs.end(), [](const auto& blob) { return HasFiniteData(blob.get()); });
}

// A GPU does not refuse a label that is out of range, it makes a NaN of it.
template <typename Dtype>
std::string LabelsOf(const Layer<Dtype>& layer, const std::vector<Blob<Dtype>*>& bottoms) {
  if (layer.type() != std::string("SoftmaxWithLoss") || bottoms[1]->count() == 0) return "";
  const Dtype* labels = bottoms[1]->cpu_data();
  const auto range = std::minmax_element(labels, labels + bottoms[1]->count());
  std::ostringstream words;
  words << " of finite inputs; its labels are from " << *range.first << " to " << *range.second;
  return words.str();
}

[[noreturn]] void Refuse(const LayerParameter& layer, const std::string& words) {
  NotFinite error(__FILE__, __LINE__, words);
  error.SetLayer(layer.name(), layer.type(), "");
  throw error;
}

}  // namespace

template <typename Dtype>
void RequireFinite(const Net<Dtype>& net, Dtype value, const char* what, int iteration) {
  if (std::isfinite(value)) return;
  std::ostringstream words;
  words << what << " of iteration " << iteration << " is " << value;
  const std::string event = words.str();
  for (size_t i = 0; i < net.layers().size(); ++i) {
    const Layer<Dtype>& layer = *net.layers()[i];
    const std::vector<Blob<Dtype>*>&bottoms = net.bottom_vecs()[i], &tops = net.top_vecs()[i];
    if (!HasFiniteWeights(layer)) Refuse(layer.layer_param(), event + ", the first weights that are not finite are here" + kCure);
    if (std::all_of(tops.begin(), tops.end(), &HasFiniteData<Dtype>)) continue;
    Refuse(layer.layer_param(), bottoms.empty() ? event + ", and what this layer reads is not finite: mend the data"
                                                : event + ", the first outputs that are not finite are here" +
                                                      LabelsOf(layer, bottoms) + kCure);
  }
  // The last layers are the first of the way back.
  for (size_t i = net.layers().size(); i-- > 0;) {
    const auto& blobs = net.layers()[i]->blobs();
    if (std::all_of(blobs.begin(), blobs.end(), [](const auto& blob) { return HasFiniteDiff(blob.get()); })) continue;
    Refuse(net.layers()[i]->layer_param(), event + ", the first gradients that are not finite are here" + kCure);
  }
  throw NotFinite(__FILE__, __LINE__, event + ", though weights, outputs and gradients are finite" + kCure);
}

template <typename Dtype>
void RequireFiniteWeights(const Net<Dtype>& net, int iteration) {
  for (const auto& layer : net.layers()) {
    if (HasFiniteWeights(*layer)) continue;
    Refuse(layer->layer_param(), "after iteration " + std::to_string(iteration) +
                                     " its weights are not finite, and no snapshot is made of them" + kCure);
  }
}

template void RequireFinite(const Net<float>& net, float value, const char* what, int iteration);
template void RequireFinite(const Net<double>& net, double value, const char* what, int iteration);
template void RequireFiniteWeights(const Net<float>& net, int iteration);
template void RequireFiniteWeights(const Net<double>& net, int iteration);

}  // namespace caffe
