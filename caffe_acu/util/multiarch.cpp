#include "caffe_acu/util/multiarch.hpp"

#include <glog/logging.h>

#include <algorithm>
#include <cstdlib>
#include <string>

namespace caffe {
namespace {

Processor Detect() {
#ifdef CAFFE_ACU_HAS_LEVELS
  __builtin_cpu_init();
  if (__builtin_cpu_supports("x86-64-v4")) return Processor::kX86V4;
  if (__builtin_cpu_supports("x86-64-v3")) return Processor::kX86V3;
#endif
  return Processor::kBaseline;
}

Processor Choose() {
  const Processor detected = Detect();
  const char* text = std::getenv("CAFFE_ACU_PROCESSOR");
  if (!text) return detected;
  const std::string name = text;
  if (name == "x86-64-v4") return std::min(detected, Processor::kX86V4);
  if (name == "x86-64-v3") return std::min(detected, Processor::kX86V3);
  if (name == "baseline") return Processor::kBaseline;
  LOG(WARNING) << "CAFFE_ACU_PROCESSOR=" << name << " is none of baseline, x86-64-v3, x86-64-v4; it is ignored";
  return detected;
}

}  // namespace

const Processor kThisProcessor = Choose();

}  // namespace caffe
