// The part of cuRAND that Caffe uses. Its numbers are others than a GPU's, with the same distributions.
#include <curand.h>

#include <algorithm>
#include <random>

namespace {

std::mt19937_64* Of(curandGenerator_t generator) { return reinterpret_cast<std::mt19937_64*>(generator); }

template <typename T, typename Distribution>
curandStatus_t Fill(curandGenerator_t generator, T* values, size_t count, Distribution distribution) {
  std::generate_n(values, count, [&] { return distribution(*Of(generator)); });
  return CURAND_STATUS_SUCCESS;
}

}  // namespace

extern "C" {

curandStatus_t curandCreateGenerator(curandGenerator_t* generator, curandRngType_t) {
  *generator = reinterpret_cast<curandGenerator_t>(new std::mt19937_64());
  return CURAND_STATUS_SUCCESS;
}
curandStatus_t curandDestroyGenerator(curandGenerator_t generator) {
  delete Of(generator);
  return CURAND_STATUS_SUCCESS;
}
curandStatus_t curandSetPseudoRandomGeneratorSeed(curandGenerator_t generator, unsigned long long seed) {
  Of(generator)->seed(seed);
  return CURAND_STATUS_SUCCESS;
}
// Only 0 is asked for, right after a seed.
curandStatus_t curandSetGeneratorOffset(curandGenerator_t, unsigned long long offset) {
  return offset == 0 ? CURAND_STATUS_SUCCESS : CURAND_STATUS_OUT_OF_RANGE;
}
curandStatus_t curandGenerate(curandGenerator_t generator, unsigned* values, size_t count) {
  return Fill(generator, values, count, std::uniform_int_distribution<unsigned>());
}
// (0, 1], as on a GPU.
curandStatus_t curandGenerateUniform(curandGenerator_t generator, float* values, size_t count) {
  return Fill(generator, values, count,
              [](std::mt19937_64& random) { return 1 - std::uniform_real_distribution<float>()(random); });
}
curandStatus_t curandGenerateUniformDouble(curandGenerator_t generator, double* values, size_t count) {
  return Fill(generator, values, count,
              [](std::mt19937_64& random) { return 1 - std::uniform_real_distribution<double>()(random); });
}
curandStatus_t curandGenerateNormal(curandGenerator_t generator, float* values, size_t count, float mean, float sigma) {
  return Fill(generator, values, count, std::normal_distribution<float>(mean, sigma));
}
curandStatus_t curandGenerateNormalDouble(curandGenerator_t generator, double* values, size_t count, double mean,
                                          double sigma) {
  return Fill(generator, values, count, std::normal_distribution<double>(mean, sigma));
}

}  // extern "C"
