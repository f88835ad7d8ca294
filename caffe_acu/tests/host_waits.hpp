#ifndef CAFFE_ACU_TESTS_HOST_WAITS_HPP_
#define CAFFE_ACU_TESTS_HOST_WAITS_HPP_

#include <cstddef>

/// How often the host has waited for the GPU, or copied from or to it. Null but in the emulation, which counts.
extern "C" long caffe_acu_emulation_host_waits() __attribute__((weak));

/// Changes the memory of the emulated GPU, in bytes, and how many GPUs there are, 0 or 1. Null but in the emulation.
extern "C" void caffe_acu_emulation_device(size_t memory, int devices) __attribute__((weak));

#endif  // CAFFE_ACU_TESTS_HOST_WAITS_HPP_
