#ifndef CAFFE_ACU_TESTS_HOST_WAITS_HPP_
#define CAFFE_ACU_TESTS_HOST_WAITS_HPP_

/// How often the host has waited for the GPU, or copied from or to it. Null but in the emulation, which counts.
extern "C" long caffe_acu_emulation_host_waits() __attribute__((weak));

#endif  // CAFFE_ACU_TESTS_HOST_WAITS_HPP_
