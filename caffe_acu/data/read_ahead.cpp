#include "caffe_acu/data/read_ahead.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

namespace caffe {
namespace {

void AskForPages(std::string_view value) {
  static const uintptr_t page = sysconf(_SC_PAGESIZE);
  const uintptr_t first = reinterpret_cast<uintptr_t>(value.data());
  const uintptr_t begin = first & ~(page - 1);
  // Without the advice the pages come when they are touched, so whether it is taken does not matter.
  madvise(reinterpret_cast<void*>(begin), first + value.size() - begin, MADV_WILLNEED);
}

}  // namespace

ReadAhead::ReadAhead(const DataParameter& data)
    : batch_(data.batch_size()), wanted_(batch_ + std::max<size_t>(kLeastRecords, batch_ * data.prefetch())) {}

bool ReadAhead::WantsMore() const {
  return records_.size() < batch_ || (records_.size() < wanted_ && bytes_ < kMostBytes);
}

void ReadAhead::Add(const Record& record) {
  AskForPages(record.value);
  records_.push_back(record);
  bytes_ += record.value.size();
}

std::vector<Record> ReadAhead::Take() {
  const auto end = records_.begin() + batch_;
  const std::vector<Record> batch(records_.begin(), end);
  records_.erase(records_.begin(), end);
  for (const Record& record : batch) bytes_ -= record.value.size();
  return batch;
}

}  // namespace caffe
