#include "caffe_acu/data/batch_loader.hpp"

#include <algorithm>

#include "boost/filesystem.hpp"
#include "caffe_acu/data/decoded_record.hpp"
#include "caffe_acu/util/parallel.hpp"

namespace caffe {
namespace {

std::string Size(const std::vector<int>& shape) {
  return std::to_string(shape[1]) + " channels of " + std::to_string(shape[2]) + "x" + std::to_string(shape[3]);
}

}  // namespace

template <typename Dtype>
BatchLoader<Dtype>::BatchLoader(const LayerParameter& layer, const DataTransformer<Dtype>& transformer)
    : layer_(layer) {
  CHECK(!(layer.transform_param().force_color() && layer.transform_param().force_gray()))
      << "Layer '" << layer.name() << "': force_color and force_gray exclude each other";
  for (unsigned i = 0; i < layer.data_param().batch_size(); ++i) places_.emplace_back(new Place(transformer));
}

template <typename Dtype>
std::string BatchLoader<Dtype>::Name(const Record& record) const {
  return "Layer '" + layer_.name() + "': record \"" + std::string(record.key) + "\" of the LMDB \"" +
         layer_.data_param().source() + "\" ";
}

template <typename Dtype>
void BatchLoader<Dtype>::EndProgram(const Record& record, const std::string& damage) const {
  const std::string folder = boost::filesystem::path(layer_.data_param().source()).parent_path().string();
  LOG(FATAL) << Name(record) << damage << ". `caffe-acu data verify " << (folder.empty() ? "." : folder)
             << "` finds what is damaged.";
}

template <typename Dtype>
std::vector<int> BatchLoader<Dtype>::Shape(const Record& record) const {
  const DecodedRecord decoded(record.value, layer_.transform_param());
  if (!decoded.damage.empty()) EndProgram(record, decoded.damage);
  return decoded.shape;
}

template <typename Dtype>
void BatchLoader<Dtype>::Load(const std::vector<Record>& records, Blob<Dtype>* data, Blob<Dtype>* labels) {
  CHECK_EQ(records.size(), places_.size());
  Dtype* label = labels ? labels->mutable_cpu_data() : nullptr;
  // Nearly always the images have the shape of those before them. Where not, which needs batch_size 1, they are
  // read again, so that nothing has to wait for the first.
  LoadAs(data->shape(), records, data, label);
  const std::vector<int> first = places_[0]->shape;
  if (!std::equal(first.begin() + 1, first.end(), data->shape().begin() + 1)) LoadAs(first, records, data, label);
  for (size_t i = 1; i < records.size(); ++i) {
    if (places_[i]->shape == first) continue;
    LOG(FATAL) << Name(records[i]) << "has " << Size(places_[i]->shape) << ", record \"" << records[0].key
               << "\" of the same batch " << Size(first)
               << ". Set crop_size in transform_param, or batch_size to 1, or make the LMDB with one size.";
  }
}

template <typename Dtype>
void BatchLoader<Dtype>::LoadAs(const std::vector<int>& shape, const std::vector<Record>& records, Blob<Dtype>* data,
                                Dtype* labels) {
  std::vector<int> one(shape), all(shape);
  one[0] = 1;
  all[0] = static_cast<int>(records.size());
  data->Reshape(all);
  Dtype* const top = data->mutable_cpu_data();
  for (size_t i = 0; i < places_.size(); ++i) {
    places_[i]->image.Reshape(one);
    places_[i]->image.set_cpu_data(top + data->offset(static_cast<int>(i)));
  }
  ParallelFor(static_cast<int>(records.size()), [&](int i) {
    Place& place = *places_[i];
    const DecodedRecord decoded(records[i].value, layer_.transform_param());
    place.shape = decoded.shape;
    place.damage = decoded.damage;
    if (decoded.shape != one) return;
    place.transformer.Seed(records[i].seed);
    if (decoded.datum.encoded()) {
      place.transformer.Transform(decoded.image, &place.image);
    } else {
      place.transformer.Transform(decoded.datum, &place.image);
    }
    if (labels) labels[i] = decoded.datum.label();
  });
  for (size_t i = 0; i < records.size(); ++i) {
    if (!places_[i]->damage.empty()) EndProgram(records[i], places_[i]->damage);
  }
}

template class BatchLoader<float>;
template class BatchLoader<double>;

}  // namespace caffe
