#ifndef CAFFE_ACU_GPU_RANDOM_HPP_
#define CAFFE_ACU_GPU_RANDOM_HPP_

#ifndef CPU_ONLY
#include <curand.h>

#include <cstdint>

namespace caffe {

/// Where this thread's generator of cuRAND, Caffe::curand_generator(), is in its sequence of 32-bit numbers.
struct GpuRandom {
  uint64_t seed, drawn;
};
GpuRandom PlaceOfGpuRandom();

/// Puts this thread's generator to a place; replaces Caffe's calls that seed it.
curandStatus_t SeedGpuRandom(curandGenerator_t generator, uint64_t seed, uint64_t drawn = 0);

/// Caffe::curand_generator(), for a call that draws so many numbers.
curandGenerator_t CountedGenerator(uint64_t numbers);

}  // namespace caffe

#endif  // CPU_ONLY
#endif  // CAFFE_ACU_GPU_RANDOM_HPP_
