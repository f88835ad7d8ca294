#ifndef CAFFE_ACU_SNAPSHOT_WHOLE_FILE_HPP_
#define CAFFE_ACU_SNAPSHOT_WHOLE_FILE_HPP_

#include <google/protobuf/message.h>

#include <functional>
#include <string>

namespace caffe {

/**
 * @brief A file that appears whole or not at all: written beside its place, on the disk before it gets its name.
 *
 * What is not committed is removed; where its folder does not let it, the next file tries again. A link stays one, and
 * what is no regular file, /dev/null say, is written itself.
 * All throw Error, which names the file and what the system says.
 */
class PartialFile {
 public:
  explicit PartialFile(const std::string& path);
  ~PartialFile();
  PartialFile(const PartialFile&) = delete;
  PartialFile& operator=(const PartialFile&) = delete;

  /// Where to write: `.<name>.<process>.partial` in the same folder; what is no file there, itself.
  const std::string& name() const { return name_; }
  /// Gives the file its name; within WriteTogether, at its end.
  void Commit();

 private:
  std::string path_, name_;
};

/// Files that `body` commits in this thread get their names together when it is done, in their order; in front of the
/// last, which thereby tells that all is there, come the digests of all (digests.hpp), if they are a snapshot's.
void WriteTogether(const std::function<void()>& body);

void WriteWhole(const std::string& path, const std::string& bytes);

/// Replaces WriteProtoToBinaryFile's body.
void WriteProtoWhole(const std::string& path, const google::protobuf::Message& message);

}  // namespace caffe

#endif  // CAFFE_ACU_SNAPSHOT_WHOLE_FILE_HPP_
