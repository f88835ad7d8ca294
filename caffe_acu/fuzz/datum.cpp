// Records of an LMDB: two options of how they are transformed, then the record's bytes.
#include <opencv2/imgcodecs.hpp>

#include "caffe_acu/data/batch_loader.hpp"
#include "caffe_acu/fuzz/targets.hpp"
#include "caffe_acu/util/error.hpp"

namespace caffe {
namespace fuzz {
namespace {

LayerParameter LayerWith(int options) {
  LayerParameter layer;
  layer.set_name("data");
  layer.set_type("Data");
  layer.mutable_data_param()->set_batch_size(1);
  TransformationParameter* transform = layer.mutable_transform_param();
  if (options & 1) transform->set_crop_size(3);
  if (options & 2) transform->set_mirror(true);
  if (options & 4) transform->set_force_color(true);
  if (options & 8) transform->set_force_gray(true);
  if (options & 16) transform->add_mean_value(0.5);
  if (options & 32) transform->set_scale(0.25);
  layer.set_phase(options & 64 ? TEST : TRAIN);
  return layer;
}

// As DataLayer does, once for the shape and once for the batch.
void Load(const LayerParameter& layer, std::string_view value) {
  DataTransformer<float> transformer(layer.transform_param(), layer.phase());
  transformer.InitRand();
  BatchLoader<float> loader(layer, transformer);
  const Record record = {"key", value, 7};
  Blob<float> data(loader.Shape(record)), labels(std::vector<int>(1, 1));
  loader.Load({record}, &data, &labels);
}

// What is fuzzed is the record; all ways to transform it are gone through.
void Run(std::string_view input) {
  for (int options : {0, 64, 3, 3 + 4 + 16, 8, 12, 32 + 2, 127 - 8}) {
    try {
      Load(LayerWith(options), input);
    } catch (const Error&) {
    }
  }
  Datum datum;
  if (datum.ParseFromArray(input.data(), static_cast<int>(input.size()))) {
    // As extract_features and MemoryData do: Caffe's own way, which other layers take.
    DataTransformer<float> transformer(LayerWith(1).transform_param(), TEST);
    transformer.InitRand();
    Blob<float> data(transformer.InferBlobShape(datum));
    transformer.Transform(datum, &data);
  }
}

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  Datum datum;
  datum.set_channels(3);
  datum.set_height(4);
  datum.set_width(5);
  datum.set_label(2);
  datum.set_data(std::string(60, 'x'));
  seeds.push_back(datum.SerializeAsString());
  datum.clear_data();
  for (int i = 0; i < 60; ++i) datum.add_float_data(i / 7.f);
  seeds.push_back(datum.SerializeAsString());
  datum.clear_float_data();
  datum.set_encoded(true);
  cv::Mat image(6, 7, CV_8UC3);
  for (int i = 0; i < 6 * 7 * 3; ++i) image.data[i] = static_cast<uchar>(i * 37);
  cv::Mat grey(6, 7, CV_8UC1, cv::Scalar(3)), alpha(6, 7, CV_8UC4, cv::Scalar(3)), deep(6, 7, CV_16UC3, cv::Scalar(3));
  for (const char* kind : {".jpg", ".png", ".bmp", ".webp", ".tiff", ".ppm"}) {
    for (const cv::Mat& of : {image, grey, alpha, deep}) {
      std::vector<uchar> bytes;
      try {
        if (!cv::imencode(kind, of, bytes)) continue;
      } catch (const cv::Exception&) {  // a kind that has no such images
        continue;
      }
      datum.set_data(bytes.data(), bytes.size());
      seeds.push_back(datum.SerializeAsString());
    }
  }
  return seeds;
}

std::unique_ptr<google::protobuf::Message> Message() { return std::make_unique<Datum>(); }

}  // namespace

extern const Target kDatum = {"datum", &Run, &Message, false, &Seeds};

}  // namespace fuzz
}  // namespace caffe
