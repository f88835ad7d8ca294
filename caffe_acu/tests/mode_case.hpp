#ifndef CAFFE_ACU_TESTS_MODE_CASE_HPP_
#define CAFFE_ACU_TESTS_MODE_CASE_HPP_

#include <string>

#include "boost/filesystem.hpp"
#include "caffe/common.hpp"
#include "caffe/util/io.hpp"
#include "gtest/gtest.h"

namespace caffe {

/// Tests that run in the mode that is their parameter, with a folder that is theirs and ends with them.
class ModeCase : public ::testing::TestWithParam<Caffe::Brew> {
 protected:
  void SetUp() override {
    Caffe::set_mode(GetParam());
    MakeTempDir(&folder_);
  }
  void TearDown() override {
    boost::filesystem::remove_all(folder_);
    Caffe::set_mode(Caffe::CPU);
  }

  std::string folder_;
};

}  // namespace caffe

/// Runs the tests of a ModeCase on the CPU and, if this build is for GPUs, there.
#ifdef CPU_ONLY
#define INSTANTIATE_MODES(Case) INSTANTIATE_TEST_CASE_P(CPU, Case, ::testing::Values(Caffe::CPU))
#else
#define INSTANTIATE_MODES(Case)                                          \
  INSTANTIATE_TEST_CASE_P(CPU, Case, ::testing::Values(Caffe::CPU)); \
  INSTANTIATE_TEST_CASE_P(GPU, Case, ::testing::Values(Caffe::GPU))
#endif

#endif  // CAFFE_ACU_TESTS_MODE_CASE_HPP_
