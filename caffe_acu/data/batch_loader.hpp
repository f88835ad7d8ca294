#ifndef CAFFE_ACU_DATA_BATCH_LOADER_HPP_
#define CAFFE_ACU_DATA_BATCH_LOADER_HPP_

#include <memory>
#include <string>
#include <vector>

#include "caffe/blob.hpp"
#include "caffe/data_transformer.hpp"
#include "caffe/proto/caffe.pb.h"
#include "caffe_acu/data/record.hpp"

namespace caffe {

/**
 * @brief Makes batches of records: parses, decodes and transforms them, spread over the cores.
 *
 * What a record becomes depends on the record and its seed alone. One that is damaged ends the program with a line
 * that names layer, LMDB, record and cure.
 */
template <typename Dtype>
class BatchLoader {
 public:
  /// Transforms as `transformer` does.
  BatchLoader(const LayerParameter& layer, const DataTransformer<Dtype>& transformer);

  /// The shape (1, C, H, W) of what the record becomes.
  std::vector<int> Shape(const Record& record) const;

  /// Loads a batch of the layer's size. `data` gets the shape of the first record; `labels` may be null.
  void Load(const std::vector<Record>& records, Blob<Dtype>* data, Blob<Dtype>* labels);

 private:
  /// What one record of the batch needs for itself, so that threads share nothing. All memory is allocated when it is
  /// made: in GPU mode it comes from the driver, which the prefetch thread is not to call, and each thread that
  /// asks for some gets handles of cuBLAS and cuRAND.
  struct Place {
    explicit Place(const DataTransformer<Dtype>& like) : transformer(like), image(1, 1, 1, 1) {}
    DataTransformer<Dtype> transformer;
    Blob<Dtype> image;  // its part of the batch
    std::vector<int> shape;
    std::string damage;
  };

  void LoadAs(const std::vector<int>& shape, const std::vector<Record>& records, Blob<Dtype>* data, Dtype* labels);
  std::string Name(const Record& record) const;
  void EndProgram(const Record& record, const std::string& damage) const;

  const LayerParameter layer_;
  std::vector<std::unique_ptr<Place>> places_;
};

}  // namespace caffe

#endif  // CAFFE_ACU_DATA_BATCH_LOADER_HPP_
