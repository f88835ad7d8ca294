#ifndef CAFFE_ACU_TESTS_EXPECT_ERROR_HPP_
#define CAFFE_ACU_TESTS_EXPECT_ERROR_HPP_

#include <regex>
#include <string>

#include "caffe_acu/util/error.hpp"
#include "gtest/gtest.h"

namespace caffe {

template <typename Body>
std::string ErrorOf(Body body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace caffe

/// The statement has to throw a caffe::Error of one line, in which the pattern is found.
#define EXPECT_ERROR(statement, pattern)                                           \
  do {                                                                             \
    const std::string said = ::caffe::ErrorOf([&] { statement; });                 \
    EXPECT_TRUE(std::regex_search(said, std::regex(pattern))) << "it said: " << said; \
    EXPECT_EQ(said.find('\n'), std::string::npos) << said;                         \
  } while (0)

#endif  // CAFFE_ACU_TESTS_EXPECT_ERROR_HPP_
