#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "caffe_acu/data/shuffled_cursor.hpp"
#include "caffe_acu/tests/data_layer_case.hpp"
#include "caffe_acu/tests/expect_error.hpp"
#include "gtest/gtest.h"

namespace caffe {

TEST(EpochOrderTest, IsAPermutation) {
  for (uint32_t records : {1u, 2u, 7u, 1000u}) {
    std::vector<uint32_t> order = EpochOrder(5, 3, records);
    ASSERT_EQ(order.size(), records);
    std::sort(order.begin(), order.end());
    for (uint32_t i = 0; i < records; ++i) EXPECT_EQ(order[i], i);
  }
}

TEST(EpochOrderTest, DependsOnSeedAndEpochOnly) {
  EXPECT_EQ(EpochOrder(5, 3, 100), EpochOrder(5, 3, 100));
  EXPECT_NE(EpochOrder(5, 3, 100), EpochOrder(5, 4, 100));
  EXPECT_NE(EpochOrder(5, 3, 100), EpochOrder(6, 3, 100));
  // Neighbouring seeds and epochs must not give the same stream shifted.
  EXPECT_NE(EpochOrder(5, 4, 100), EpochOrder(6, 3, 100));
}

TEST(EpochOrderTest, IsUniform) {
  // Over 6000 epochs, each of the 6 orders of three records comes 1000 times, give or take five
  // standard deviations (29 each).
  std::map<std::vector<uint32_t>, int> counts;
  for (int epoch = 0; epoch < 6000; ++epoch) ++counts[EpochOrder(1, epoch, 3)];
  ASSERT_EQ(counts.size(), 6u);
  for (const auto& entry : counts) EXPECT_NEAR(entry.second, 1000, 145);
}

// Data layers over an LMDB of 1x3x3 images whose pixels tell record and place.
class ShuffledDataLayerTest : public DataLayerCase {
 protected:
  static constexpr int kRecords = 10;

  void SetUp() override {
    DataLayerCase::SetUp();
    std::vector<std::string> values;
    for (int i = 0; i < kRecords; ++i) {
      Datum datum;
      datum.set_channels(1);
      datum.set_height(3);
      datum.set_width(3);
      datum.set_label(i);
      for (int p = 0; p < 9; ++p) datum.add_float_data(100 * i + p);
      values.push_back(datum.SerializeAsString());
    }
    Write(values);
  }

  LayerParameter Param(int batch_size, uint64_t seed) const {
    LayerParameter param = DataLayerCase::Param(batch_size);
    param.mutable_data_param()->set_shuffle(true);
    param.mutable_data_param()->set_shuffle_seed(seed);
    param.mutable_transform_param()->set_crop_size(2);
    param.mutable_transform_param()->set_mirror(true);
    return param;
  }
};

TEST_F(ShuffledDataLayerTest, EveryEpochHoldsEveryRecordInItsOwnOrder) {
  // A batch of 4 does not divide 10 records: the third batch runs on into the second epoch.
  const auto records = Read(Param(4, 7), 3 * kRecords);
  std::set<std::vector<int>> orders;
  for (int epoch = 0; epoch < 3; ++epoch) {
    std::vector<int> order;
    for (int i = 0; i < kRecords; ++i) order.push_back(records[epoch * kRecords + i][0]);
    const std::vector<uint32_t> expected = EpochOrder(7, epoch, kRecords);
    EXPECT_TRUE(std::equal(order.begin(), order.end(), expected.begin()));
    orders.insert(order);
  }
  EXPECT_EQ(orders.size(), 3u);
}

TEST_F(ShuffledDataLayerTest, CropAndMirrorBelongToTheRecordNotToTheBatch) {
  const auto batches_of_4 = Read(Param(4, 7), 2 * kRecords);
  Caffe::set_random_seed(1234);  // no running generator has a say
  EXPECT_EQ(batches_of_4, Read(Param(3, 7), 2 * kRecords));
  EXPECT_NE(batches_of_4, Read(Param(4, 8), 2 * kRecords));
  // All 4 crops, mirrored and not, come up: first pixel modulo 100 is the crop's corner or its mirror.
  std::set<std::pair<int, int>> seen;
  for (const auto& record : Read(Param(4, 7), 100 * kRecords)) {
    seen.insert({static_cast<int>(record[1]) % 100, static_cast<int>(record[2]) % 100});
  }
  EXPECT_EQ(seen.size(), 8u);
}

TEST_F(ShuffledDataLayerTest, SeedComesFromTheSolver) {
  SolverParameter solver;
  NetParameter net;
  *net.add_layer() = Param(4, 7);
  net.mutable_layer(0)->mutable_data_param()->clear_shuffle_seed();
  *net.add_layer() = Param(4, 9);
  net.add_layer()->set_type("ReLU");
  SetShuffleSeed(solver, &net);
  EXPECT_FALSE(net.layer(0).data_param().has_shuffle_seed());
  solver.set_random_seed(42);
  SetShuffleSeed(solver, &net);
  EXPECT_EQ(net.layer(0).data_param().shuffle_seed(), 42u);
  EXPECT_EQ(net.layer(1).data_param().shuffle_seed(), 9u);
  EXPECT_FALSE(net.layer(2).has_data_param());
}

TEST_F(ShuffledDataLayerTest, WrongDatabasesAreNamed) {
  LayerParameter param = Param(4, 7);
  param.mutable_data_param()->set_source("/nowhere/train_lmdb");
  EXPECT_ERROR(CheckDatabase(param), "Layer 'data': there is no LMDB at .*/nowhere/train_lmdb");
  param = Param(4, 7);
  param.mutable_data_param()->set_backend(DataParameter::LEVELDB);
  EXPECT_ERROR(CheckDatabase(param), "Layer 'data': .*backend: LMDB");
  param = Param(4, 7);
  {
    shared_ptr<db::DB> db(db::GetDB(DataParameter::LMDB));
    db->Open(folder_ + "/new", db::NEW);
  }
  param.mutable_data_param()->set_source(folder_ + "/new");
  EXPECT_ERROR(CheckDatabase(param), "Layer 'data': the LMDB .* has no records");
}

}  // namespace caffe
