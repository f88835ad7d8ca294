#ifndef CAFFE_ACU_STEP_POSITION_LOG_HPP_
#define CAFFE_ACU_STEP_POSITION_LOG_HPP_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "caffe/net.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

/**
 * @brief A file of one header, which the network determines, and records of one size. Numbers are little-endian.
 *
 *   header  char[8] "ACUPOSLG", uint32 version (1), uint32 number of layers; for each layer, in the net's order:
 *           name and type (each a uint32 length and as many bytes), uint32 sets, uint32 kh, uint32 kw,
 *           int32 fixed synapse (an index, -1: none, -2: the first one at exactly (0, 0)), int32 warmup_iter
 *   record  int64 iteration; for each layer float32 x (sets, kh * kw), then float32 y; uint32 CRC-32 of all before
 *
 * Every record goes to the system at once, so a killed process leaves at most the last one short. What cannot be
 * written is warned of once, and the methods return false from then on.
 */
class PositionLogFile {
 public:
  PositionLogFile(const std::string& path, const std::string& header, size_t values);
  ~PositionLogFile();
  PositionLogFile(const PositionLogFile&) = delete;
  PositionLogFile& operator=(const PositionLogFile&) = delete;

  /// Opens the file and cuts off what a run that goes on at the iteration will write, and what is damaged; at
  /// iteration 0 that is everything. Ends the program if the file is another network's, or no position log.
  bool GoOnAt(int64_t iteration);
  bool Append(int64_t iteration, const std::vector<float>& values);

 private:
  bool IsRecordBefore(int64_t iteration, const std::string& bytes) const;
  std::string Read(int64_t begin, size_t size) const;
  bool Write(const std::string& bytes);
  bool Fail();
  void Close();

  const std::string path_;
  const std::string header_;
  const size_t record_size_;
  int file_ = -1;
};

/**
 * @brief The positions of all layers over the iterations: SolverParameter's position_log and position_interval.
 *
 * The record of iteration i holds what a snapshot `_iter_i` holds: the positions before update i. There is one
 * for every multiple of the interval, and one at max_iter. Only the root solver writes.
 */
template <typename Dtype>
class PositionLog {
 public:
  void BeforeUpdate(const Net<Dtype>& net, const SolverParameter& param, int iter);
  /// `iter` counts the update.
  void AfterUpdate(const SolverParameter& param, int iter);

 private:
  void Start(const Net<Dtype>& net, const SolverParameter& param);
  void Append(int iter);

  bool started_ = false;
  std::unique_ptr<PositionLogFile> file_;  // none without positions, or when it cannot be written
  std::vector<const Blob<Dtype>*> blobs_;  // x and y of the first layer, of the second, ...
  int next_ = -1;                          // the iteration that comes next, unless a snapshot is restored
};

}  // namespace caffe

#endif  // CAFFE_ACU_STEP_POSITION_LOG_HPP_
