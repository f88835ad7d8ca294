#include "caffe_acu/step/position_log.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "boost/crc.hpp"
#include "caffe_acu/step/position_step.hpp"

namespace caffe {

namespace {

const std::string kMagic = "ACUPOSLG";
constexpr uint32_t kVersion = 1;

template <typename T>
void Put(T value, std::string* bytes) {
  bytes->append(reinterpret_cast<const char*>(&value), sizeof value);
}

void Put(const std::string& text, std::string* bytes) {
  Put(static_cast<uint32_t>(text.size()), bytes);
  *bytes += text;
}

template <typename T>
T Get(const std::string& bytes, size_t place) {
  T value;
  std::memcpy(&value, bytes.data() + place, sizeof value);
  return value;
}

uint32_t Checksum(const std::string& bytes, size_t size) {
  boost::crc_32_type crc;
  crc.process_bytes(bytes.data(), size);
  return crc.checksum();
}

// Whether one of the two begins with the other: a file's beginning may have been cut short.
bool AgreeAtTheBeginning(const std::string& a, const std::string& b) {
  const size_t size = std::min(a.size(), b.size());
  return a.compare(0, size, b, 0, size) == 0;
}

}  // namespace

PositionLogFile::PositionLogFile(const std::string& path, const std::string& header, size_t values)
    : path_(path),
      header_(kMagic + header),
      record_size_(sizeof(int64_t) + values * sizeof(float) + sizeof(uint32_t)) {}

PositionLogFile::~PositionLogFile() { Close(); }

bool PositionLogFile::GoOnAt(int64_t iteration) {
  Close();
  file_ = open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (file_ < 0 || lseek(file_, 0, SEEK_END) < 0) return Fail();  // of a pipe nothing could be cut off
  const std::string beginning = Read(0, header_.size());
  LOG_IF(FATAL, !AgreeAtTheBeginning(beginning, kMagic))
      << path_ << ": is no position log. Let position_log name a file that may be overwritten.";
  LOG_IF(FATAL, iteration > 0 && !AgreeAtTheBeginning(beginning, header_))
      << path_ << ": the position log of another network (other layers, position sets, kernels or acu_param). "
      << "Let position_log name another file.";
  int64_t kept = 0;
  if (beginning == header_) {
    kept = header_.size();
    while (IsRecordBefore(iteration, Read(kept, record_size_))) kept += record_size_;
  }
  if (ftruncate(file_, kept) != 0) return Fail();
  return kept > 0 || Write(header_);
}

bool PositionLogFile::Append(int64_t iteration, const std::vector<float>& values) {
  std::string record;
  record.reserve(record_size_);
  Put(iteration, &record);
  record.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
  Put(Checksum(record, record.size()), &record);
  return Write(record);
}

// False for what is cut short or damaged.
bool PositionLogFile::IsRecordBefore(int64_t iteration, const std::string& bytes) const {
  if (bytes.size() < record_size_) return false;
  const size_t content = record_size_ - sizeof(uint32_t);
  return Get<uint32_t>(bytes, content) == Checksum(bytes, content) && Get<int64_t>(bytes, 0) < iteration;
}

// Fewer bytes where the file ends, or cannot be read.
std::string PositionLogFile::Read(int64_t begin, size_t size) const {
  std::string bytes(size, '\0');
  size_t read = 0;
  while (read < size) {
    const ssize_t more = pread(file_, &bytes[read], size - read, begin + read);
    if (more < 0 && errno == EINTR) continue;
    if (more <= 0) break;
    read += more;
  }
  bytes.resize(read);
  return bytes;
}

bool PositionLogFile::Write(const std::string& bytes) {
  size_t written = 0;
  while (written < bytes.size()) {
    const ssize_t more = write(file_, bytes.data() + written, bytes.size() - written);
    if (more < 0 && errno == EINTR) continue;
    if (more < 0) return Fail();
    written += more;
  }
  return true;
}

bool PositionLogFile::Fail() {
  const char* why = std::strerror(errno);
  LOG(WARNING) << path_ << ": positions cannot be logged: " << why << ". Training goes on without.";
  Close();
  return false;
}

void PositionLogFile::Close() {
  if (file_ >= 0) close(file_);
  file_ = -1;
}

template <typename Dtype>
void PositionLog<Dtype>::BeforeUpdate(const Net<Dtype>& net, const SolverParameter& param, int iter) {
  if (!started_) Start(net, param);
  if (file_ && iter != next_ && !file_->GoOnAt(iter)) file_.reset();
  next_ = iter + 1;
  if (file_ && iter % param.position_interval() == 0) Append(iter);
}

template <typename Dtype>
void PositionLog<Dtype>::AfterUpdate(const SolverParameter& param, int iter) {
  if (!file_ || iter != param.max_iter()) return;
  Append(iter);
  next_ = -1;  // whoever goes on from here logs this iteration as any other
}

template <typename Dtype>
void PositionLog<Dtype>::Start(const Net<Dtype>& net, const SolverParameter& param) {
  started_ = true;
  if (param.position_log().empty() || !Caffe::root_solver()) return;
  LOG_IF(FATAL, param.position_interval() < 1)
      << "position_interval is " << param.position_interval() << "; it must be at least 1";
  std::string layers;
  size_t values = 0;
  for (const shared_ptr<Layer<Dtype>>& layer : net.layers()) {
    const auto* has_positions = dynamic_cast<const HasPositions*>(layer.get());
    if (!has_positions) continue;
    const PositionRule rule = has_positions->position_rule();
    blobs_.push_back(layer->blobs()[rule.x_blob].get());
    blobs_.push_back(layer->blobs()[rule.y_blob].get());
    const Blob<Dtype>& x = *blobs_.back();
    values += 2 * x.count();
    Put(layer->layer_param().name(), &layers);
    Put(layer->layer_param().type(), &layers);
    for (int axis : {0, 2, 3}) Put(static_cast<uint32_t>(x.shape(axis)), &layers);
    Put(static_cast<int32_t>(rule.fixed_synapse), &layers);
    Put(static_cast<int32_t>(rule.warmup_iter), &layers);
  }
  if (blobs_.empty()) return;
  std::string header;
  Put(kVersion, &header);
  Put(static_cast<uint32_t>(blobs_.size() / 2), &header);
  file_.reset(new PositionLogFile(param.position_log(), header + layers, values));
}

template <typename Dtype>
void PositionLog<Dtype>::Append(int iter) {
  std::vector<float> values;
  for (const Blob<Dtype>* blob : blobs_) {
    const Dtype* data = blob->cpu_data();
    values.insert(values.end(), data, data + blob->count());
  }
  if (!file_->Append(iter, values)) file_.reset();
}

INSTANTIATE_CLASS(PositionLog);

}  // namespace caffe
