// Data layers that go on where they, or others, were.
#include <algorithm>
#include <string>
#include <vector>

#include "caffe_acu/tests/data_layer_case.hpp"
#include "caffe_acu/tests/expect_error.hpp"
#include "gtest/gtest.h"

namespace caffe {

class ReadingOnTest : public DataLayerCase, public ::testing::WithParamInterface<bool> {
 protected:
  typedef std::vector<std::vector<float>> Records;
  static constexpr int kRecords = 10;

  // A layer that is being read; from a place, if there is one.
  struct Reader {
    explicit Reader(const LayerParameter& param, const DataState* place = nullptr) : layer(param) {
      layer.SetUp({}, tops);
      if (place) layer.ReadOnFrom(*place);
    }
    Records Read(int batches) {
      Records records;
      for (int batch = 0; batch < batches; ++batch) {
        layer.Forward({}, tops);
        const int values = images.count(1);
        for (int i = 0; i < labels.count(); ++i) {
          records.push_back({labels.cpu_data()[i]});
          const float* image = images.cpu_data() + values * i;
          records.back().insert(records.back().end(), image, image + values);
        }
      }
      return records;
    }
    DataState Place() const {
      DataState place;
      layer.SavePlace(&place);
      return place;
    }
    Blob<float> images, labels;
    std::vector<Blob<float>*> tops{&images, &labels};
    DataLayer<float> layer;
  };

  void SetUp() override {
    DataLayerCase::SetUp();
    std::vector<std::string> values;
    for (int i = 0; i < kRecords; ++i) values.push_back(Value(i));
    Write(values);
    Caffe::set_random_seed(1);
  }

  static std::string Value(int label) {
    Datum datum;
    datum.set_channels(1);
    datum.set_height(6);
    datum.set_width(6);
    datum.set_label(label);
    for (int p = 0; p < 36; ++p) datum.add_float_data(100 * label + p);
    return datum.SerializeAsString();
  }

  LayerParameter Param(int batch_size, int prefetch = 4) const {
    LayerParameter param = DataLayerCase::Param(batch_size);
    param.mutable_data_param()->set_shuffle(GetParam());
    param.mutable_data_param()->set_shuffle_seed(7);
    param.mutable_data_param()->set_prefetch(prefetch);
    param.mutable_transform_param()->set_crop_size(3);
    param.mutable_transform_param()->set_mirror(true);
    return param;
  }
};

TEST_P(ReadingOnTest, GoesOnAtAnyBatch) {
  const int batch = 3, batches = 12;
  Reader whole(Param(batch));
  const DataState begin = whole.Place();
  const Records expected = whole.Read(batches);
  for (int prefetch : {1, 2, 4}) {
    Reader first(Param(batch, prefetch), &begin);
    for (int taken = 0; taken < batches; ++taken) {
      const DataState place = first.Place();
      EXPECT_EQ(place.records(), uint64_t(taken * batch));
      // Another process, whose random numbers are others; and the same one, again and again.
      Reader other(Param(batch, prefetch), &place);
      first.layer.ReadOnFrom(place);
      const Records rest(expected.begin() + taken * batch, expected.end());
      EXPECT_EQ(other.Read(batches - taken), rest) << prefetch << " " << taken;
      EXPECT_EQ(first.Read(1), Records(rest.begin(), rest.begin() + batch)) << prefetch << " " << taken;
    }
  }
}

TEST_P(ReadingOnTest, BatchesMayHaveAnotherSize) {
  Reader whole(Param(5));
  const DataState begin = whole.Place();
  const Records expected = whole.Read(6);
  Reader first(Param(4), &begin);
  first.Read(5);
  const DataState place = first.Place();
  EXPECT_EQ(Reader(Param(5), &place).Read(2), Records(expected.begin() + 20, expected.end()));
}

TEST_P(ReadingOnTest, SolversMayBeOthersInNumber) {
  Reader whole(Param(1));
  const DataState begin = whole.Place();
  Records expected = whole.Read(24);
  // Two solvers take 3 batches of 2 each; then three take 2 batches of 2.
  DataState place = begin;
  size_t taken = 0;
  for (int solvers : {2, 3}) {
    Caffe::set_solver_count(solvers);
    const int batches = 12 / (2 * solvers);
    Records records;
    DataState next;
    for (int rank = 0; rank < solvers; ++rank) {
      Caffe::set_solver_rank(rank);
      Reader reader(Param(2), &place);
      const Records read = reader.Read(batches);
      records.insert(records.end(), read.begin(), read.end());
      if (rank == 0) next = reader.Place();
    }
    Caffe::set_solver_rank(0);
    Caffe::set_solver_count(1);
    place = next;
    Records now(expected.begin() + taken, expected.begin() + taken + 12);
    std::sort(now.begin(), now.end());
    std::sort(records.begin(), records.end());
    EXPECT_EQ(records, now) << solvers;
    taken += 12;
    EXPECT_EQ(place.records(), taken);
  }
}

TEST_P(ReadingOnTest, ALayerThatFailedGoesOnToo) {
  std::vector<std::string> values;
  for (int i = 0; i < kRecords; ++i) values.push_back(i == 8 ? "\xff" : Value(i));
  boost::filesystem::remove_all(source_);
  Write(values);
  LayerParameter param = Param(1, 1);
  param.mutable_data_param()->set_shuffle(false);
  Reader reader(param);
  const DataState begin = reader.Place();
  for (int time = 0; time < 3; ++time) {
    EXPECT_EQ(reader.Read(8).size(), 8u);
    EXPECT_ERROR(reader.Read(1), "record \"8\" .*is not a Datum");
    EXPECT_EQ(reader.Place().records(), 8u);
    reader.layer.ReadOnFrom(begin);
  }
}

TEST_P(ReadingOnTest, AStateWithoutASeedLeavesTheLayersOwn) {
  Reader reader(Param(4));
  DataState place = reader.Place();
  const Records expected = reader.Read(4);
  place.set_seed(0);
  reader.layer.ReadOnFrom(place);
  EXPECT_EQ(reader.Read(4), expected);
}

INSTANTIATE_TEST_CASE_P(InOrderAndShuffled, ReadingOnTest, ::testing::Bool());

}  // namespace caffe
