#ifndef CAFFE_ACU_DATA_SHUFFLED_CURSOR_HPP_
#define CAFFE_ACU_DATA_SHUFFLED_CURSOR_HPP_

#include <cstdint>
#include <string>
#include <vector>

#include "caffe/common.hpp"
#include "caffe/proto/caffe.pb.h"
#include "caffe/util/db.hpp"
#include "caffe_acu/data/record.hpp"

namespace caffe {

/// The order of an epoch: a permutation of 0 .. records-1, a function of its arguments alone, so that
/// every rank, thread and resumed run agrees on it.
std::vector<uint32_t> EpochOrder(uint64_t seed, uint64_t epoch, uint32_t records);

/// Seed for the random numbers (crop, mirror) of one record, likewise a pure function.
uint32_t RecordSeed(uint64_t seed, uint64_t epoch, uint32_t index);

/**
 * @brief Walks over a database for ever, each epoch in the order EpochOrder gives.
 *
 * It never becomes invalid: the record after an epoch's last is the next epoch's first. It knows where every record
 * lies and reads none of them, so that records of other ranks cost nothing.
 */
class ShuffledCursor : public db::Cursor {
 public:
  /// Notes where the records of `cursor`, which must come from an LMDB, lie. That reads the keys' pages.
  ShuffledCursor(shared_ptr<db::Cursor> cursor, const LayerParameter& layer);

  void SeekToFirst() override;
  void Next() override;
  std::string key() override { return std::string(record().key); }
  std::string value() override { return std::string(record().value); }
  bool valid() override { return true; }
  /// To where it is after so many calls of Next().
  void Seek(uint64_t records);

  /// The record, with a seed for its random numbers.
  Record record() const;

 private:
  // A Record without the seed, in as few bytes as it can be, because there is one for each record.
  struct Location {
    const char *key, *value;
    uint32_t key_size, value_size;
  };

  void StartEpoch(uint64_t epoch);

  shared_ptr<db::Cursor> cursor_;  // keeps the records in memory
  uint64_t seed_;
  std::vector<Location> locations_;
  std::vector<uint32_t> order_;
  uint64_t epoch_ = 0;
  uint32_t index_ = 0;  // in the epoch
};

/// Gives the shuffling data layers of a net the solver's random_seed, unless they name one themselves.
void SetShuffleSeed(const SolverParameter& solver, NetParameter* net);

/// Ends the program with a sentence that names layer and cure if the layer's database cannot be read.
void CheckDatabase(const LayerParameter& layer);

/// Prepares the database, which is not open yet, for the order in which the layer reads it.
void SetAccess(const LayerParameter& layer, db::DB* database);

}  // namespace caffe

#endif  // CAFFE_ACU_DATA_SHUFFLED_CURSOR_HPP_
