// What fuzzing runs for hours (scripts/fuzz.sh), on its seeds and on the inputs that once were too much for it.
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>

#include "boost/filesystem.hpp"
#include "caffe/common.hpp"
#include "caffe_acu/fuzz/targets.hpp"
#include "gtest/gtest.h"

namespace caffe {
namespace {

namespace fs = boost::filesystem;

// Bad input ends in an Error, which RunTarget takes. Anything else ends the test, or the program.
void Give(const fuzz::Target& target, const std::string& input, const std::string& name) {
  SCOPED_TRACE(std::string(target.name) + " " + name);
  EXPECT_NO_THROW(fuzz::RunTarget(target, input));
}

TEST(HostileInputTest, SeedsAreInOrder) {
  for (const fuzz::Target& target : fuzz::Targets()) {
    const std::vector<std::string> seeds = target.seeds();
    ASSERT_FALSE(seeds.empty()) << target.name;
    EXPECT_NO_THROW(target.run(seeds[0])) << target.name;
    for (size_t i = 0; i < seeds.size(); ++i) Give(target, seeds[i], "seed " + std::to_string(i));
  }
}

TEST(HostileInputTest, SeedsThatAreCutOff) {
  for (const fuzz::Target& target : fuzz::Targets()) {
    const std::string seed = target.seeds()[0];
    for (size_t part = 0; part < 16; ++part) Give(target, seed.substr(0, seed.size() * part / 16), std::to_string(part));
  }
}

TEST(HostileInputTest, WhatOnceWasTooMuch) {
  const char* folder = std::getenv("CAFFE_ACU_FUZZ_REGRESSIONS");
  if (!folder) {
    std::cout << "CAFFE_ACU_FUZZ_REGRESSIONS does not name caffe_acu/fuzz/regressions: left out" << std::endl;
    return;
  }
  int inputs = 0;
  for (const fs::directory_entry& of_target : fs::directory_iterator(folder)) {
    const fuzz::Target* target = fuzz::FindTarget(of_target.path().filename().string());
    ASSERT_TRUE(target) << of_target.path();
    for (const fs::directory_entry& entry : fs::directory_iterator(of_target)) {
      std::ifstream file(entry.path().string(), std::ios::binary);
      Give(*target, {std::istreambuf_iterator<char>(file), {}}, entry.path().filename().string());
      ++inputs;
    }
  }
  EXPECT_GT(inputs, 0) << folder;
}

}  // namespace
}  // namespace caffe
