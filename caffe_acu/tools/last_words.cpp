// Linked into every program: an Error that nothing catches, in whatever thread, becomes one line and exit code 1.
#include <glog/logging.h>
#include <unistd.h>

#include <cstdlib>
#include <exception>
#include <new>

namespace {

[[noreturn]] void SayLastWords() {
  try {
    if (std::exception_ptr error = std::current_exception()) std::rethrow_exception(error);
    LOG(ERROR) << "terminated without an exception";
  } catch (const caffe::Error& error) {
    LOG(ERROR) << error.what() << (error.stack().empty() ? "" : "\n" + error.stack());
  } catch (const std::bad_alloc&) {
    LOG(ERROR) << "out of memory. A smaller batch_size, crop or image needs less.";
  } catch (const std::exception& error) {
    LOG(ERROR) << error.what();
  } catch (...) {
    LOG(ERROR) << "an exception of an unknown type";
  }
  google::FlushLogFiles(google::GLOG_INFO);
  // No destructors: other threads may be running.
  _exit(EXIT_FAILURE);
}

[[maybe_unused]] const std::terminate_handler before = std::set_terminate(&SayLastWords);

}  // namespace
