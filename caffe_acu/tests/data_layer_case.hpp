#ifndef CAFFE_ACU_TESTS_DATA_LAYER_CASE_HPP_
#define CAFFE_ACU_TESTS_DATA_LAYER_CASE_HPP_

#include <string>
#include <vector>

#include "boost/filesystem.hpp"
#include "caffe/layers/data_layer.hpp"
#include "caffe/util/io.hpp"
#include "gtest/gtest.h"

namespace caffe {

/// Data layers over an LMDB that the test writes.
class DataLayerCase : public ::testing::Test {
 protected:
  void SetUp() override {
    Caffe::set_mode(Caffe::CPU);
    MakeTempDir(&folder_);
    source_ = folder_ + "/db";
  }
  void TearDown() override { boost::filesystem::remove_all(folder_); }

  /// Writes the records "0", "1", ... (at most ten, which LMDB keeps in this order).
  void Write(const std::vector<std::string>& values) const {
    const shared_ptr<db::DB> db(db::GetDB(DataParameter::LMDB));
    db->Open(source_, db::NEW);
    const shared_ptr<db::Transaction> transaction(db->NewTransaction());
    for (size_t i = 0; i < values.size(); ++i) transaction->Put(std::to_string(i), values[i]);
    transaction->Commit();
  }

  LayerParameter Param(int batch_size) const {
    LayerParameter param;
    param.set_name("data");
    param.set_phase(TRAIN);
    DataParameter* data = param.mutable_data_param();
    data->set_batch_size(batch_size);
    data->set_source(source_);
    data->set_backend(DataParameter::LMDB);
    return param;
  }

  /// Reads `count` records; each becomes its label followed by its values.
  std::vector<std::vector<float>> Read(const LayerParameter& param, int count) const {
    Blob<float> images, labels;
    std::vector<Blob<float>*> bottom, top{&images, &labels};
    DataLayer<float> layer(param);
    layer.SetUp(bottom, top);
    std::vector<std::vector<float>> records;
    while (static_cast<int>(records.size()) < count) {
      layer.Forward(bottom, top);
      const int values = images.count(1);
      for (int i = 0; i < labels.count(); ++i) {
        std::vector<float> record{labels.cpu_data()[i]};
        record.insert(record.end(), images.cpu_data() + values * i, images.cpu_data() + values * (i + 1));
        records.push_back(record);
      }
    }
    records.resize(count);
    return records;
  }

  std::string folder_, source_;
};

}  // namespace caffe

#endif  // CAFFE_ACU_TESTS_DATA_LAYER_CASE_HPP_
