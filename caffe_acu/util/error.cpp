#include "caffe_acu/util/error.hpp"

#include <execinfo.h>
#include <glog/logging.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>

namespace caffe {
namespace {

std::string WithoutFolders(const char* file) {
  const char* slash = std::strrchr(file, '/');
  return slash ? slash + 1 : file;
}

std::string InOneLine(const std::string& words) {
  const size_t end = words.find_last_not_of(" \n");
  std::string line = words.substr(0, end == std::string::npos ? 0 : end + 1);
  std::replace(line.begin(), line.end(), '\n', ' ');
  return line;
}

std::string StackTrace() {
  if (!std::getenv("CAFFE_ACU_STACK_TRACE")) return "";
  constexpr int kDepth = 64, kOwn = 2;
  void* addresses[kDepth];
  const int depth = backtrace(addresses, kDepth);
  const std::unique_ptr<char*, decltype(&std::free)> names(backtrace_symbols(addresses, depth), &std::free);
  std::string lines;
  for (int i = kOwn; names && i < depth; ++i) lines += std::string("    ") + names.get()[i] + "\n";
  return lines;
}

}  // namespace

Error::Error(const char* file, int line, const std::string& message)
    : std::runtime_error(message), message_(InOneLine(message)), file_(WithoutFolders(file)), stack_(StackTrace()),
      line_(line) {
  Compose();
}

void Error::SetLayer(const std::string& name, const std::string& type, const std::string& prototxt) {
  if (!layer_.empty()) return;
  layer_ = name;
  type_ = type;
  prototxt_ = prototxt;
  Compose();
}

void Error::SetSolver(const std::string& name) {
  solver_ = name;
  Compose();
}

void Error::Compose() {
  text_.clear();
  if (!solver_.empty()) text_ += solver_ + ": ";
  if (!prototxt_.empty()) text_ += prototxt_ + ": ";
  if (!layer_.empty()) text_ += type_ + " layer '" + layer_ + "': ";
  text_ += message_ + " [" + file_ + ":" + std::to_string(line_) + "]";
}

Raise& Raise::InLayer(const std::string& name, const std::string& type, const std::string& prototxt) {
  layer_ = name;
  type_ = type;
  prototxt_ = prototxt;
  return *this;
}

void Raise::operator&(const std::ostream& words) const {
  Error error(file_, line_, static_cast<const std::ostringstream&>(words).str());
  if (!layer_.empty()) error.SetLayer(layer_, type_, prototxt_);
  // A second exception would end the process if it left a destructor that the first one called.
  if (function_[0] == '~' || std::uncaught_exceptions() > 0) {
    LOG(ERROR) << error.what();
    return;
  }
  throw error;
}

}  // namespace caffe
