#include "caffe_acu/util/prototxt.hpp"

#include <glog/logging.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <vector>

namespace caffe {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;

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

// What stands between the quotes that begin at or after `from`, which goes behind them; empty if there is none.
// (Regular expressions would take a stack as deep as a name is long.)
std::string Quoted(const std::string& text, size_t* from) {
  const size_t begin = text.find('"', *from);
  const size_t end = begin == std::string::npos ? begin : text.find('"', begin + 1);
  if (end == std::string::npos) return "";
  *from = end + 1;
  return text.substr(begin + 1, end - begin - 1);
}

// " There are A, B." for an enumeration that has not the value; protobuf names its field, not the message.
std::string ValuesOf(const std::string& field_name, const std::string& wrong) {
  std::set<std::string> values;
  const google::protobuf::FileDescriptor* file = NetParameter::descriptor()->file();
  for (int i = 0; i < file->message_type_count(); ++i) {
    const FieldDescriptor* field = file->message_type(i)->FindFieldByName(field_name);
    if (!field || !field->enum_type()) continue;
    for (int k = 0; k < field->enum_type()->value_count(); ++k) values.insert(field->enum_type()->value(k)->name());
  }
  std::string sentence;
  for (const std::string& value : values) sentence += (sentence.empty() ? " There are " : ", ") + value;
  return sentence.empty() ? "" : sentence + "." + DidYouMean(wrong, {values.begin(), values.end()});
}

// What one of protobuf's complaints is about.
struct Complaint {
  explicit Complaint(const std::string& words) {
    size_t at = words.find("Message type \"");
    if (at != std::string::npos && words.find("has no field named") != std::string::npos) {
      const std::string type_name = Quoted(words, &at);
      name = Quoted(words, &at);
      const Descriptor* type = DescriptorPool::generated_pool()->FindMessageTypeByName(type_name);
      std::vector<std::string> names;
      for (int i = 0; type && i < type->field_count(); ++i) names.push_back(type->field(i)->name());
      suggestion = DidYouMean(name, names);
    }
    at = words.find("Unknown enumeration value of \"");
    if (at != std::string::npos) {
      name = Quoted(words, &at);
      suggestion = ValuesOf(Quoted(words, &at), name);
    }
    at = words.find("Non-repeated field \"");
    if (at != std::string::npos) name = Quoted(words, &at);
  }
  std::string name;        // of what is wrong; protobuf gives the place of what follows it
  std::string suggestion;  // as a sentence
};

// Protobuf counts a tab as up to eight columns, editors as one character.
size_t Characters(const std::string& line, int columns) {
  constexpr int kTab = 8;
  size_t i = 0;
  for (int column = 0; i < line.size() && column < columns; ++i) column += line[i] == '\t' ? kTab - column % kTab : 1;
  return i;
}

// Without its end; counted from 0.
std::string Line(const std::string& text, int number) {
  size_t begin = 0;
  for (; number > 0 && begin != std::string::npos; --number) {
    begin = text.find('\n', begin);
    if (begin != std::string::npos) ++begin;
  }
  return begin == std::string::npos ? "" : text.substr(begin, text.find('\n', begin) - begin);
}

// Of the nets that this thread makes.
thread_local std::string last_prototxt;
thread_local std::map<std::string, std::string> layer_places;  // of its layers, by their names: file:line

std::string Place(const std::string& filename, int line) { return filename + ":" + std::to_string(line + 1); }

// Keeps the first mistake; those after it mostly follow from it.
class Reporter : public google::protobuf::io::ErrorCollector {
 public:
  Reporter(const std::string& filename, const std::string& text) : filename_(filename), text_(text) {}
  void AddError(int line, int column, const std::string& words) override {
    if (!mistake_.empty()) return;
    const Complaint complaint(words);
    mistake_ = Where(line, column, complaint.name) + words + complaint.suggestion;
  }
  void AddWarning(int line, int column, const std::string& words) override {
    LOG(WARNING) << Where(line, column, "") << words;
  }
  const std::string& mistake() const { return mistake_; }

 private:
  // "file:line:column: " of the name that ends before the given place, or of the place if it is not on that line.
  std::string Where(int line, int column, const std::string& name) const {
    const std::string text = Line(text_, line);
    size_t at = Characters(text, column);
    const size_t begin = name.empty() || at < name.size() ? std::string::npos : text.rfind(name, at - name.size());
    if (begin != std::string::npos) at = begin;
    return Place(filename_, line) + ":" + std::to_string(at + 1) + ": ";
  }
  std::string filename_, mistake_;
  const std::string& text_;
};

// Where the layers of a network stand in the file; with doubles of a name, as for two phases, the first.
void KeepLayerPlaces(const std::string& filename, const google::protobuf::Message& message,
                     const google::protobuf::TextFormat::ParseInfoTree& locations) {
  layer_places.clear();
  const NetParameter* net = dynamic_cast<const NetParameter*>(&message);
  const FieldDescriptor* field = NetParameter::descriptor()->FindFieldByName("layer");
  for (int i = 0; net && i < net->layer_size(); ++i) {
    const int line = locations.GetLocation(field, i).line;
    if (line >= 0) layer_places.emplace(net->layer(i).name(), Place(filename, line));
  }
}

}  // namespace

std::string DidYouMean(const std::string& wrong, const std::vector<std::string>& names) {
  std::string best;
  int least = static_cast<int>(std::max<size_t>(3, wrong.size()));  // more, and nothing of it would be left
  for (const std::string& name : names) {
    if (name.size() > wrong.size() + least || wrong.size() > name.size() + least) continue;
    const int distance = EditDistance(wrong, name);
    if (distance < least) {
      least = distance;
      best = name;
    }
  }
  return best.empty() ? "" : " Did you mean \"" + best + "\"?";
}

bool ParsePrototxt(const std::string& filename, google::protobuf::io::ZeroCopyInputStream* input,
                   google::protobuf::Message* message) {
  last_prototxt = filename;
  std::string text;
  const void* data;
  for (int size; input->Next(&data, &size);) text.append(static_cast<const char*>(data), size);
  Reporter reporter(filename, text);
  google::protobuf::TextFormat::ParseInfoTree locations;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&reporter);
  parser.WriteLocationsTo(&locations);
  if (!parser.ParseFromString(text, message)) LOG(FATAL) << reporter.mistake();
  KeepLayerPlaces(filename, *message, locations);
  return true;
}

std::string PrototxtOf(const LayerParameter& layer) {
  const auto place = layer_places.find(layer.name());
  return place == layer_places.end() ? last_prototxt : place->second;
}

}  // namespace caffe
