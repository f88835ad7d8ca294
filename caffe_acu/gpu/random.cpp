#ifndef CPU_ONLY
#include "caffe_acu/gpu/random.hpp"

#include "caffe/common.hpp"

namespace caffe {
namespace {

thread_local GpuRandom place{0, 0};

}  // namespace

GpuRandom PlaceOfGpuRandom() { return place; }

curandStatus_t SeedGpuRandom(curandGenerator_t generator, uint64_t seed, uint64_t drawn) {
  place = {seed, drawn};
  const curandStatus_t status = curandSetPseudoRandomGeneratorSeed(generator, seed);
  return status == CURAND_STATUS_SUCCESS ? curandSetGeneratorOffset(generator, drawn) : status;
}

curandGenerator_t CountedGenerator(uint64_t numbers) {
  place.drawn += numbers;
  return Caffe::curand_generator();
}

}  // namespace caffe
#endif  // CPU_ONLY
