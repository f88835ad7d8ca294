// libFuzzer's entrance: fuzz_caffe --target=NAME [options and folders of libFuzzer], or --target=NAME --seeds=FOLDER to
// write the target's seeds. See scripts/fuzz.sh.
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/stubs/logging.h>
#include <google/protobuf/text_format.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "caffe/layer_factory.hpp"
#include "caffe_acu/fuzz/libfuzzer/memory_limit.hpp"
#include "caffe_acu/fuzz/libfuzzer/mutator.hpp"
#include "caffe_acu/fuzz/targets.hpp"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace {

using caffe::fuzz::Target;
using google::protobuf::Message;
using google::protobuf::TextFormat;

constexpr size_t kMemory = size_t(512) << 20;  // bytes that Caffe may ask for because of one input

const Target* target;

// The value of "--name=value", which libFuzzer passes over.
const char* Option(int count, char** arguments, const char* name) {
  for (int i = 1; i < count; ++i) {
    const size_t length = std::strlen(name);
    if (std::strncmp(arguments[i], name, length) == 0) return arguments[i] + length;
  }
  return nullptr;
}

void WriteSeeds(const std::string& folder) {
  int number = 0;
  for (const std::string& seed : target->seeds()) {
    std::ofstream(folder + "/seed_" + std::to_string(number++), std::ios::binary) << seed;
  }
}

// Names that mean something in a network.
std::vector<std::string> Words() {
  std::vector<std::string> words = {"xavier", "msra", "gaussian", "uniform", "constant", "bilinear", "positive_unitball"};
  for (const std::string& type : caffe::LayerRegistry<float>::LayerTypeList()) words.push_back(type);
  return words;
}

bool Parse(std::string_view data, Message* message) {
  if (!target->text) return message->ParseFromArray(data.data(), static_cast<int>(data.size()));
  TextFormat::Parser parser;
  class Silent : public google::protobuf::io::ErrorCollector {
    void AddError(int, int, const std::string&) override {}
  } silent;
  parser.RecordErrorsTo(&silent);
  return parser.ParseFromString(std::string(data), message);
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* count, char*** arguments) {
  FLAGS_minloglevel = google::GLOG_FATAL;
  google::SetStderrLogging(google::GLOG_FATAL);
  google::protobuf::SetLogHandler(nullptr);
  const char* name = Option(*count, *arguments, "--target=");
  target = name ? caffe::fuzz::FindTarget(name) : nullptr;
  if (!target) {
    std::fprintf(stderr, "fuzz_caffe: --target=NAME is missing, or none of:");
    for (const Target& known : caffe::fuzz::Targets()) std::fprintf(stderr, " %s", known.name);
    std::fprintf(stderr, "\n");
    std::exit(2);
  }
  if (const char* folder = Option(*count, *arguments, "--seeds=")) {
    WriteSeeds(folder);
    std::exit(0);
  }
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const caffe::fuzz::MemoryLimit limit(kMemory);
  caffe::fuzz::RunTarget(*target, {reinterpret_cast<const char*>(data), size});
  return 0;
}

// Half of all changes are to the message, the others to bytes.
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  static const std::vector<std::string> words = Words();
  caffe::fuzz::Mutator mutator(seed, words);
  const std::unique_ptr<Message> message = target->message();
  if (mutator.OneOf(4) || !Parse({reinterpret_cast<const char*>(data), size}, message.get())) {
    return LLVMFuzzerMutate(data, size, max_size);
  }
  do {
    mutator.Mutate(message.get());
  } while (!mutator.OneOf(3));
  std::string changed;
  if (target->text) {
    TextFormat::PrintToString(*message, &changed);
  } else {
    message->SerializePartialToString(&changed);
  }
  if (changed.size() > max_size) return LLVMFuzzerMutate(data, size, max_size);
  std::memcpy(data, changed.data(), changed.size());
  return changed.size();
}
