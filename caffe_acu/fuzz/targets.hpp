#ifndef CAFFE_ACU_FUZZ_TARGETS_HPP_
#define CAFFE_ACU_FUZZ_TARGETS_HPP_

#include <google/protobuf/message.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace caffe {
namespace fuzz {

/// A reader of files that people download, for libFuzzer and for the tests that give it the inputs which once were too
/// much.
struct Target {
  const char* name;
  /// Reads bytes in place of such a file, and computes with what is in it. Throws Error for a bad one, or bad_alloc
  /// for one that wants more memory than there is; anything else is a mistake of ours.
  void (*run)(std::string_view input);
  /// The message that the file holds, as it is if it can be read; null for one that is no message.
  std::unique_ptr<google::protobuf::Message> (*message)();
  /// Whether it is written as text.
  bool text;
  /// Small files that are in order.
  std::vector<std::string> (*seeds)();
};

const std::vector<Target>& Targets();

/// Null if there is none of that name.
const Target* FindTarget(const std::string& name);

/// Runs the target on its own: with the same random numbers each time, and swallows what bad files may throw.
void RunTarget(const Target& target, std::string_view input);

extern const Target kPrototxt, kWeights, kHdf5, kSolverState, kDatum;

}  // namespace fuzz
}  // namespace caffe

#endif  // CAFFE_ACU_FUZZ_TARGETS_HPP_
