// Stands in for glog's header: what fails throws caffe::Error where glog would end the process. Logging stays glog's.
// (glog's own fatal message is sent by a destructor, out of which nothing can be thrown.)
#ifndef CAFFE_ACU_COMPAT_GLOG_LOGGING_H_
#define CAFFE_ACU_COMPAT_GLOG_LOGGING_H_

#include_next <glog/logging.h>

#include <optional>
#include <sstream>
#include <string>
#include <utility>

#include "caffe_acu/util/error.hpp"

namespace caffe {

// Out of line, so that comparisons in inner loops are nothing but comparisons.
template <typename A, typename B>
[[gnu::cold, gnu::noinline]] std::string ComparisonWords(const A& a, const B& b, const char* expression) {
  std::ostringstream words;
  words << "Check failed: " << expression << " (" << a << " vs. " << b << ") ";
  return words.str();
}

// What is wrong with a comparison, if anything is. Operands are computed once. (The compiler takes this folder for the
// system's, so that comparing signed with unsigned, as Caffe does everywhere, is no warning.)
#define CAFFE_ACU_COMPARISON(NAME, OP)                                                                        \
  template <typename A, typename B>                                                                          \
  inline std::optional<std::string> Check##NAME(const A& a, const B& b, const char* expression) {            \
    if (__builtin_expect(static_cast<bool>(a OP b), 1)) return std::nullopt;                                 \
    return ComparisonWords(a, b, expression);                                                                \
  }
CAFFE_ACU_COMPARISON(EQ, ==)
CAFFE_ACU_COMPARISON(NE, !=)
CAFFE_ACU_COMPARISON(LE, <=)
CAFFE_ACU_COMPARISON(LT, <)
CAFFE_ACU_COMPARISON(GE, >=)
CAFFE_ACU_COMPARISON(GT, >)
#undef CAFFE_ACU_COMPARISON

template <typename Pointer>
Pointer CheckNotNull(const char* file, int line, const char* expression, Pointer&& pointer) {
  if (pointer == nullptr) throw Error(file, line, std::string("Check failed: ") + expression + " is null");
  return std::forward<Pointer>(pointer);
}

}  // namespace caffe

#undef LOG
#undef LOG_IF
#undef CHECK
#undef CHECK_EQ
#undef CHECK_NE
#undef CHECK_LE
#undef CHECK_LT
#undef CHECK_GE
#undef CHECK_GT
#undef CHECK_NOTNULL
// Nothing uses these; glog's would end the process.
#undef CHECK_STREQ
#undef CHECK_STRNE
#undef CHECK_STRCASEEQ
#undef CHECK_STRCASENE
#undef CHECK_DOUBLE_EQ
#undef CHECK_NEAR
#undef PCHECK

#define CAFFE_ACU_RAISE ::caffe::Raise(__FILE__, __LINE__, __func__)
#define CAFFE_ACU_LOG_INFO COMPACT_GOOGLE_LOG_INFO.stream()
#define CAFFE_ACU_LOG_WARNING COMPACT_GOOGLE_LOG_WARNING.stream()
#define CAFFE_ACU_LOG_ERROR COMPACT_GOOGLE_LOG_ERROR.stream()
#define CAFFE_ACU_LOG_FATAL CAFFE_ACU_RAISE & ::caffe::Words().stream()
#define LOG(severity) CAFFE_ACU_LOG_##severity

#define CAFFE_ACU_VOID_INFO ::google::LogMessageVoidify() &
#define CAFFE_ACU_VOID_WARNING ::google::LogMessageVoidify() &
#define CAFFE_ACU_VOID_ERROR ::google::LogMessageVoidify() &
#define CAFFE_ACU_VOID_FATAL
#define LOG_IF(severity, condition) \
  static_cast<void>(0), !(condition) ? (void)0 : CAFFE_ACU_VOID_##severity LOG(severity)

#define CHECK(condition)                                                \
  __builtin_expect(static_cast<bool>(condition), 1) ? (void)0 : CAFFE_ACU_RAISE & \
      ::caffe::Words().stream() << "Check failed: " #condition " "

// A loop of one turn, since an if would make compilers ask whose the else of an if around it is.
#define CAFFE_ACU_CHECK_OP(NAME, OP, a, b)                                                                    \
  for (auto caffe_acu_failure = ::caffe::Check##NAME(a, b, #a " " #OP " " #b);                                \
       __builtin_expect(caffe_acu_failure.has_value(), 0); caffe_acu_failure.reset())                         \
  CAFFE_ACU_RAISE & ::caffe::Words().stream() << *caffe_acu_failure
#define CHECK_EQ(a, b) CAFFE_ACU_CHECK_OP(EQ, ==, a, b)
#define CHECK_NE(a, b) CAFFE_ACU_CHECK_OP(NE, !=, a, b)
#define CHECK_LE(a, b) CAFFE_ACU_CHECK_OP(LE, <=, a, b)
#define CHECK_LT(a, b) CAFFE_ACU_CHECK_OP(LT, <, a, b)
#define CHECK_GE(a, b) CAFFE_ACU_CHECK_OP(GE, >=, a, b)
#define CHECK_GT(a, b) CAFFE_ACU_CHECK_OP(GT, >, a, b)
// Labels and indices out of range, among others, which a release of glog would not look at.
#undef DCHECK_EQ
#undef DCHECK_NE
#undef DCHECK_LE
#undef DCHECK_LT
#undef DCHECK_GE
#undef DCHECK_GT
#define DCHECK_EQ CHECK_EQ
#define DCHECK_NE CHECK_NE
#define DCHECK_LE CHECK_LE
#define DCHECK_LT CHECK_LT
#define DCHECK_GE CHECK_GE
#define DCHECK_GT CHECK_GT
#define CHECK_NOTNULL(pointer) ::caffe::CheckNotNull(__FILE__, __LINE__, #pointer, pointer)

#endif  // CAFFE_ACU_COMPAT_GLOG_LOGGING_H_
