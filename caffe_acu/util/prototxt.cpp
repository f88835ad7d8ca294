#include "caffe_acu/util/prototxt.hpp"

#include <glog/logging.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include <algorithm>
#include <numeric>
#include <regex>
#include <vector>

namespace caffe {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;

// Levenshtein distance.
int EditDistance(const std::string& a, const std::string& b) {
  std::vector<int> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 1; i <= a.size(); ++i) {
    int diagonal = row[0]++;
    for (size_t j = 1; j <= b.size(); ++j) {
      const int substituted = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row.back();
}

// " Did you mean ...?" for a field that the message named in protobuf's complaint does not have.
std::string Suggestion(const std::string& complaint) {
  static const std::regex unknown("type \"([A-Za-z.]+)\" has no field named \"([^\"]*)\"");
  std::smatch match;
  if (!std::regex_search(complaint, match, unknown)) return "";
  const Descriptor* type = DescriptorPool::generated_pool()->FindMessageTypeByName(match[1]);
  if (!type) return "";
  std::string best;
  int least = 1 << 30;
  for (int i = 0; i < type->field_count(); ++i) {
    const std::string& name = type->field(i)->name();
    const int distance = EditDistance(match[2], name);
    if (distance < least) {
      least = distance;
      best = name;
    }
  }
  return " Did you mean \"" + best + "\"?";
}

std::string last_prototxt;

class Reporter : public google::protobuf::io::ErrorCollector {
 public:
  explicit Reporter(const std::string& filename) : filename_(filename) {}
  void AddError(int line, int column, const std::string& complaint) override {
    LOG(ERROR) << Where(line, column) << complaint << Suggestion(complaint);
  }
  void AddWarning(int line, int column, const std::string& complaint) override {
    LOG(WARNING) << Where(line, column) << complaint;
  }

 private:
  std::string Where(int line, int column) const {
    return filename_ + ":" + std::to_string(line + 1) + ":" + std::to_string(column + 1) + ": ";
  }
  std::string filename_;
};

}  // namespace

bool ParsePrototxt(const std::string& filename, google::protobuf::io::ZeroCopyInputStream* input,
                   google::protobuf::Message* message) {
  last_prototxt = filename;
  Reporter reporter(filename);
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&reporter);
  return parser.Parse(input, message);
}

const std::string& LastPrototxt() { return last_prototxt; }

}  // namespace caffe
