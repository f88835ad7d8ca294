#ifndef CAFFE_ACU_UTIL_ERROR_HPP_
#define CAFFE_ACU_UTIL_ERROR_HPP_

#include <sstream>
#include <stdexcept>
#include <string>

namespace caffe {

/// What a failed CHECK or a LOG(FATAL) throws, in Caffe's sources and in ours (compat/glog/logging.h).
class Error : public std::runtime_error {
 public:
  Error(const char* file, int line, const std::string& message);

  /// Names the layer in which it happened; the first name stays, which is the nearest. `prototxt`: the file, and line
  /// if it is known, that describes the layer; may be empty.
  void SetLayer(const std::string& name, const std::string& type, const std::string& prototxt);

  /// Names the one of several solvers in which it happened, such as "GPU 2".
  void SetSolver(const std::string& name);

  /// One line: solver, prototxt, layer, message, and the place in the sources.
  const char* what() const noexcept override { return text_.c_str(); }
  const std::string& message() const { return message_; }
  const std::string& layer() const { return layer_; }
  const std::string& prototxt() const { return prototxt_; }
  /// Place in the sources, without folders.
  const std::string& file() const { return file_; }
  int line() const { return line_; }
  /// Where it was thrown, as addresses and functions, a line each; only with CAFFE_ACU_STACK_TRACE in the environment.
  const std::string& stack() const { return stack_; }

 private:
  void Compose();

  std::string message_, file_, solver_, layer_, type_, prototxt_, stack_, text_;
  int line_;
};

/// A training that has left the finite numbers. It cannot go on, whereas one without a snapshot can.
class NotFinite : public Error {
 public:
  using Error::Error;
};

/// Raise(..) & Words().stream() << "...": throws them. `&` binds less than `<<`, so all words are there.
class Raise {
 public:
  Raise(const char* file, int line, const char* function) : file_(file), line_(line), function_(function) {}
  Raise& InLayer(const std::string& name, const std::string& type, const std::string& prototxt);

  /// In a destructor, or what one calls while another exception is on its way, it only logs.
  void operator&(const std::ostream& words) const;

 private:
  const char* file_;
  int line_;
  const char* function_;
  std::string layer_, type_, prototxt_;
};

/// What is to be thrown, as a stream.
class Words {
 public:
  std::ostream& stream() { return stream_; }

 private:
  std::ostringstream stream_;
};

}  // namespace caffe

#endif  // CAFFE_ACU_UTIL_ERROR_HPP_
