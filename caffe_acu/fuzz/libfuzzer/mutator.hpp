#ifndef CAFFE_ACU_FUZZ_LIBFUZZER_MUTATOR_HPP_
#define CAFFE_ACU_FUZZ_LIBFUZZER_MUTATOR_HPP_

#include <google/protobuf/message.h>

#include <random>
#include <string>
#include <vector>

namespace caffe {
namespace fuzz {

/// Changes messages field by field, so that they stay messages. (Debian has no libprotobuf-mutator.)
class Mutator {
 public:
  /// `words`: texts that mean something, to be put into fields.
  Mutator(unsigned seed, std::vector<std::string> words) : random_(seed), words_(std::move(words)) {}
  /// One change, somewhere.
  void Mutate(google::protobuf::Message* message);
  bool OneOf(unsigned count) { return Below(count) == 0; }

 private:
  typedef google::protobuf::FieldDescriptor Field;

  unsigned Below(size_t count) { return static_cast<unsigned>(random_() % count); }
  int64_t Number(int64_t now);
  double Real(double now);
  std::string Text(std::string now);
  void KeepWords(const google::protobuf::Message& message);
  void ChangeRepeated(google::protobuf::Message* message, const Field* field);
  void Add(google::protobuf::Message* message, const Field* field);
  void Change(google::protobuf::Message* message, const Field* field, int index);

  std::mt19937 random_;
  std::vector<std::string> words_;
};

}  // namespace fuzz
}  // namespace caffe

#endif  // CAFFE_ACU_FUZZ_LIBFUZZER_MUTATOR_HPP_
