#include "caffe_acu/snapshot/whole_file.hpp"

#include <fcntl.h>
#include <glog/logging.h>
#include <google/protobuf/io/zero_copy_stream_impl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

#include "boost/filesystem.hpp"
#include "caffe_acu/snapshot/digests.hpp"

namespace caffe {
namespace {

namespace fs = boost::filesystem;
using google::protobuf::io::FileOutputStream;

// Removes parts of files; what cannot be removed now, of a folder that is gone or read-only for a while, is tried again
// at each further call.
void RemoveParts(const std::vector<std::string>& parts) {
  static std::mutex mutex;
  static std::vector<std::string> left;
  const auto removed = [](const std::string& part) {
    boost::system::error_code error;
    const fs::path folder = fs::path(part).parent_path();
    return unlink(part.c_str()) == 0 || (errno == ENOENT && fs::is_directory(folder.empty() ? "." : folder, error));
  };
  const std::lock_guard<std::mutex> lock(mutex);
  left.insert(left.end(), parts.begin(), parts.end());
  left.erase(std::remove_if(left.begin(), left.end(), removed), left.end());
}

// Files of a WriteTogether, as long as it collects what this thread commits.
class Waiting {
 public:
  Waiting() {
    CHECK(!of_this_thread) << "files are written together already";
    of_this_thread = this;
  }
  ~Waiting() {
    of_this_thread = nullptr;
    std::vector<std::string> parts;
    for (const auto& file : files_) parts.push_back(file.second);
    RemoveParts(parts);
  }
  void Add(const std::string& path, const std::string& name) { files_.emplace_back(path, name); }
  void Name();

  static thread_local Waiting* of_this_thread;

 private:
  std::vector<std::pair<std::string, std::string>> files_;  // what they will be called, where they are until then
};

thread_local Waiting* Waiting::of_this_thread = nullptr;

[[noreturn]] void Refuse(const std::string& path, int error) {
  throw Error(__FILE__, __LINE__, path + ": cannot be written: " + std::strerror(error));
}

// A descriptor that is closed in any case.
class OpenFile {
 public:
  OpenFile(const std::string& path, int flags) : descriptor_(open(path.c_str(), flags | O_CLOEXEC, 0666)) {
    if (descriptor_ < 0) Refuse(path, errno);
  }
  ~OpenFile() { close(descriptor_); }
  int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
};

// Some file systems do not know how to force a folder, or a device, to the disk.
void ForceToDisk(const std::string& path, int flags) {
  const OpenFile file(path, flags);
  if (fsync(file.descriptor()) != 0 && errno != EINVAL && errno != ENOTSUP) Refuse(path, errno);
}

void Rename(const std::string& from, const std::string& to) {
  if (std::rename(from.c_str(), to.c_str()) != 0) Refuse(to, errno);
  const fs::path folder = fs::path(to).parent_path();
  ForceToDisk(folder.empty() ? "." : folder.string(), O_RDONLY | O_DIRECTORY);
}

void Waiting::Name() {
  of_this_thread = nullptr;
  if (files_.empty()) return;
  const std::string digests = DigestsOf(files_.back().first);
  std::string lines;
  for (const auto& file : files_) lines += DigestLine(file.first, file.second);
  for (; !files_.empty(); files_.erase(files_.begin())) {
    if (files_.size() == 1 && !digests.empty()) WriteWhole(digests, lines);
    Rename(files_.front().second, files_.front().first);
  }
}

// Calls body, and unwinds its stack also if nothing catches what it throws, which the language leaves open.
void Unwinding(const std::function<void()>& body) {
  try {
    body();
  } catch (...) {
    throw;
  }
}

void Write(const std::string& path, const std::function<bool(FileOutputStream*)>& body) {
  Unwinding([&] {
    PartialFile partial(path);
    {
      const OpenFile file(partial.name(), O_WRONLY | O_CREAT | O_TRUNC);
      FileOutputStream output(file.descriptor());
      const bool taken = body(&output) && output.Flush();
      if (output.GetErrno()) Refuse(path, output.GetErrno());
      LOG_IF(FATAL, !taken) << path << ": cannot be written: it would be larger than 2 GiB";
    }
    partial.Commit();
  });
}

}  // namespace

PartialFile::PartialFile(const std::string& path) : path_(path), name_(path) {
  RemoveParts({});
  boost::system::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (fs::exists(status)) {
    const fs::path target = fs::canonical(path, error);
    if (error || !fs::is_regular_file(status)) return;  // what has no name to replace: in memory alone, or a device
    path_ = target.string();
  }
  const fs::path place(path_);
  const std::string hidden = "." + place.filename().string() + "." + std::to_string(getpid()) + ".partial";
  name_ = (place.parent_path() / hidden).string();
}

PartialFile::~PartialFile() {
  if (!name_.empty() && name_ != path_) RemoveParts({name_});
}

void PartialFile::Commit() {
  ForceToDisk(name_, O_WRONLY);
  if (name_ != path_) {
    if (Waiting::of_this_thread) {
      Waiting::of_this_thread->Add(path_, name_);
    } else {
      Rename(name_, path_);
    }
  }
  name_.clear();
}

void WriteTogether(const std::function<void()>& body) {
  Unwinding([&] {
    Waiting files;
    body();
    files.Name();
  });
}

void WriteWhole(const std::string& path, const std::string& bytes) {
  Write(path, [&](FileOutputStream* output) {
    for (size_t begin = 0; begin < bytes.size();) {
      void* place;
      int size;
      if (!output->Next(&place, &size)) return false;
      const size_t part = std::min<size_t>(size, bytes.size() - begin);
      std::memcpy(place, bytes.data() + begin, part);
      output->BackUp(size - static_cast<int>(part));
      begin += part;
    }
    return true;
  });
}

void WriteProtoWhole(const std::string& path, const google::protobuf::Message& message) {
  Write(path, [&](FileOutputStream* output) { return message.SerializeToZeroCopyStream(output); });
}

}  // namespace caffe
