// The part of cuRAND that Caffe uses. Its numbers are others than a GPU's, with the same distributions, and as there they
// are made of one sequence of 32-bit numbers: one for a float, two for a double.
#include <curand.h>

#include <cmath>
#include <cstdint>

#include "caffe_acu/emulation/memory.hpp"

namespace {

// SplitMix64 (Steele, Lea, Flood 2014) of the place in the sequence.
class Sequence {
 public:
  const int device = emulation::CurrentDevice();

  void Seed(uint64_t seed) { seed_ = Mix(seed); }
  void SetOffset(uint64_t offset) { place_ = offset; }

  uint32_t Bits() { return static_cast<uint32_t>(Mix(seed_ + place_++) >> 32); }
  // (0, 1], as on a GPU.
  void Uniform(float* value) { *value = ((Bits() >> 8) + 1) * 0x1p-24f; }
  void Uniform(double* value) {
    const uint64_t high = Bits();
    *value = (((high << 32 | Bits()) >> 11) + 1) * 0x1p-53;
  }

 private:
  static uint64_t Mix(uint64_t z) {
    z += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

  uint64_t seed_ = 0, place_ = 0;
};

Sequence& Of(curandGenerator_t generator) { return *reinterpret_cast<Sequence*>(generator); }

void RequireOwn(curandGenerator_t generator, void* values) {
  emulation::RequireCurrent("cuRAND", Of(generator).device);
  emulation::RequireOwnMemory("cuRAND", values);
}

template <typename T>
curandStatus_t Uniform(curandGenerator_t generator, T* values, size_t count) {
  RequireOwn(generator, values);
  for (size_t i = 0; i < count; ++i) Of(generator).Uniform(values + i);
  return CURAND_STATUS_SUCCESS;
}

// Box and Muller (1958): in pairs.
template <typename T>
curandStatus_t Normal(curandGenerator_t generator, T* values, size_t count, T mean, T sigma) {
  if (count % 2) return CURAND_STATUS_LENGTH_NOT_MULTIPLE;
  RequireOwn(generator, values);
  for (size_t i = 0; i < count; i += 2) {
    T u, v;
    Of(generator).Uniform(&u);
    Of(generator).Uniform(&v);
    const T radius = sigma * std::sqrt(-2 * std::log(u)), angle = 2 * static_cast<T>(M_PI) * v;
    values[i] = mean + radius * std::cos(angle);
    values[i + 1] = mean + radius * std::sin(angle);
  }
  return CURAND_STATUS_SUCCESS;
}

}  // namespace

extern "C" {

curandStatus_t curandCreateGenerator(curandGenerator_t* generator, curandRngType_t) {
  *generator = reinterpret_cast<curandGenerator_t>(new Sequence());
  return CURAND_STATUS_SUCCESS;
}
curandStatus_t curandDestroyGenerator(curandGenerator_t generator) {
  delete &Of(generator);
  return CURAND_STATUS_SUCCESS;
}
// Another seed leaves the offset as it is.
curandStatus_t curandSetPseudoRandomGeneratorSeed(curandGenerator_t generator, unsigned long long seed) {
  Of(generator).Seed(seed);
  return CURAND_STATUS_SUCCESS;
}
curandStatus_t curandSetGeneratorOffset(curandGenerator_t generator, unsigned long long offset) {
  Of(generator).SetOffset(offset);
  return CURAND_STATUS_SUCCESS;
}
curandStatus_t curandGenerate(curandGenerator_t generator, unsigned* values, size_t count) {
  RequireOwn(generator, values);
  for (size_t i = 0; i < count; ++i) values[i] = Of(generator).Bits();
  return CURAND_STATUS_SUCCESS;
}
curandStatus_t curandGenerateUniform(curandGenerator_t generator, float* values, size_t count) {
  return Uniform(generator, values, count);
}
curandStatus_t curandGenerateUniformDouble(curandGenerator_t generator, double* values, size_t count) {
  return Uniform(generator, values, count);
}
curandStatus_t curandGenerateNormal(curandGenerator_t generator, float* values, size_t count, float mean, float sigma) {
  return Normal(generator, values, count, mean, sigma);
}
curandStatus_t curandGenerateNormalDouble(curandGenerator_t generator, double* values, size_t count, double mean,
                                          double sigma) {
  return Normal(generator, values, count, mean, sigma);
}

}  // extern "C"
