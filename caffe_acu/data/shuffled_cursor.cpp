#include "caffe_acu/data/shuffled_cursor.hpp"

#include <numeric>
#include <random>
#include <utility>

#include "boost/filesystem.hpp"
#include "caffe/util/db_lmdb.hpp"
#include "caffe_acu/data/lmdb_file.hpp"

namespace caffe {
namespace {

// SplitMix64 (Steele, Lea, Flood 2014): spreads neighbouring inputs over all 64 bits.
uint64_t Mix(uint64_t z) {
  z += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

}  // namespace

std::vector<uint32_t> EpochOrder(uint64_t seed, uint64_t epoch, uint32_t records) {
  std::vector<uint32_t> order(records);
  std::iota(order.begin(), order.end(), 0u);
  // Fisher-Yates, written out because std::shuffle draws differently in each standard library.
  std::mt19937_64 draw(Mix(Mix(seed) + epoch));
  for (uint32_t left = records; left > 1; --left) {
    std::swap(order[left - 1], order[draw() % left]);
  }
  return order;
}

uint32_t RecordSeed(uint64_t seed, uint64_t epoch, uint32_t index) {
  return static_cast<uint32_t>(Mix(Mix(Mix(seed) + epoch) + index) >> 32);
}

ShuffledCursor::ShuffledCursor(shared_ptr<db::Cursor> cursor, const LayerParameter& layer)
    : cursor_(std::move(cursor)), seed_(layer.data_param().shuffle_seed()) {
  auto* const lmdb = dynamic_cast<db::LMDBCursor*>(cursor_.get());
  CHECK(lmdb) << "Layer '" << layer.name() << "': data_param.shuffle needs backend: LMDB";
  for (lmdb->SeekToFirst(); lmdb->valid(); lmdb->Next()) {
    const Record record = lmdb->record();
    locations_.push_back({record.key.data(), record.value.data(), static_cast<uint32_t>(record.key.size()),
                          static_cast<uint32_t>(record.value.size())});  // LMDB's limit is 4 GiB
  }
  StartEpoch(0);
}

void ShuffledCursor::StartEpoch(uint64_t epoch) {
  epoch_ = epoch;
  index_ = 0;
  order_ = EpochOrder(seed_, epoch, static_cast<uint32_t>(locations_.size()));
}

void ShuffledCursor::SeekToFirst() { StartEpoch(0); }

void ShuffledCursor::Next() {
  if (++index_ == locations_.size()) StartEpoch(epoch_ + 1);
}

void ShuffledCursor::Seek(uint64_t records) {
  StartEpoch(records / locations_.size());
  index_ = records % locations_.size();
}

Record ShuffledCursor::record() const {
  const Location& at = locations_[order_[index_]];
  return {{at.key, at.key_size}, {at.value, at.value_size}, RecordSeed(seed_, epoch_, index_)};
}

void SetShuffleSeed(const SolverParameter& solver, NetParameter* net) {
  if (solver.random_seed() < 0) return;
  for (LayerParameter& layer : *net->mutable_layer()) {
    if (!layer.has_data_param()) continue;
    DataParameter* data = layer.mutable_data_param();
    if (data->shuffle() && !data->has_shuffle_seed()) data->set_shuffle_seed(solver.random_seed());
  }
}

void CheckDatabase(const LayerParameter& layer) {
  const DataParameter& data = layer.data_param();
  const std::string where = "Layer '" + layer.name() + "': ";
  CHECK_EQ(data.backend(), DataParameter::LMDB)
      << where << "this build reads LMDBs only; write `backend: LMDB` into its data_param";
  const boost::filesystem::path file = boost::filesystem::path(data.source()) / "data.mdb";
  if (!boost::filesystem::exists(file)) {
    LOG(FATAL) << where << "there is no LMDB at data_param.source \"" << data.source()
               << "\" (a relative path starts at the folder in which the program was started). "
                  "Make one with `caffe-acu data`, or mend the path.";
  }
  const std::string damage = LmdbDamage(data.source());
  LOG_IF(FATAL, !damage.empty()) << where << "the LMDB \"" << data.source() << "\" " << damage << ".";
}

void SetAccess(const LayerParameter& layer, db::DB* database) {
  if (layer.data_param().shuffle()) static_cast<db::LMDB*>(database)->ReadAtRandom();
}

}  // namespace caffe
