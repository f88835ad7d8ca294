#ifndef CAFFE_ACU_UTIL_MULTIARCH_HPP_
#define CAFFE_ACU_UTIL_MULTIARCH_HPP_

// One build that is portable and fast: an inner loop is compiled for several processors, and the one at
// hand chosen when it is called. The loops are written with the compiler's vector extension, so that a
// processor not listed here (ARM, say) gets the plain version. So does what Clang compiles, which serves for looking for
// mistakes only.
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define CAFFE_ACU_HAS_LEVELS
#endif

namespace caffe {

/// What a kernel may use: the width of a vector in bytes, and how many vectors fit into registers.
struct Baseline {
  static constexpr int kVectorBytes = 16;
  static constexpr int kRegisters = 16;
};
struct X86V3 {  // AVX2 and FMA
  static constexpr int kVectorBytes = 32;
  static constexpr int kRegisters = 16;
};
struct X86V4 {  // AVX-512
  static constexpr int kVectorBytes = 64;
  static constexpr int kRegisters = 32;
};

enum class Processor { kBaseline, kX86V3, kX86V4 };

/// The best of the above that this processor is; CAFFE_ACU_PROCESSOR=baseline, x86-64-v3 or x86-64-v4 in the
/// environment asks for a lesser one. Known when the library is loaded, so that asking costs nothing.
extern const Processor kThisProcessor;

/// A vector of T, and the same at any address.
template <typename T, int kBytes>
struct Vector {
  typedef T type __attribute__((vector_size(kBytes)));
  typedef T unaligned __attribute__((vector_size(kBytes), aligned(sizeof(T)), may_alias));
  static constexpr int kLanes = kBytes / static_cast<int>(sizeof(T));
};

}  // namespace caffe

#define CAFFE_ACU_INLINE inline __attribute__((always_inline))

// Defines Name for T, from an always-inlined template Name##Kernel<Level, T>, for every level. Params and
// Args are parenthesised: the parameter list, and the names in it.
#ifdef CAFFE_ACU_HAS_LEVELS
#define CAFFE_ACU_MULTIARCH(T, Name, Params, Args)                                                              \
  static void Name##ForBaseline Params { Name##Kernel<Baseline, T> Args; }                                      \
  __attribute__((target("arch=x86-64-v3"))) static void Name##ForX86V3 Params { Name##Kernel<X86V3, T> Args; }  \
  __attribute__((target("arch=x86-64-v4"))) static void Name##ForX86V4 Params { Name##Kernel<X86V4, T> Args; }  \
  template <>                                                                                                   \
  void Name<T> Params {                                                                                         \
    switch (kThisProcessor) {                                                                                  \
      case Processor::kX86V4: return Name##ForX86V4 Args;                                                       \
      case Processor::kX86V3: return Name##ForX86V3 Args;                                                       \
      default: return Name##ForBaseline Args;                                                                   \
    }                                                                                                           \
  }
#else
#define CAFFE_ACU_MULTIARCH(T, Name, Params, Args) \
  template <>                                      \
  void Name<T> Params {                            \
    Name##Kernel<Baseline, T> Args;                \
  }
#endif

#endif  // CAFFE_ACU_UTIL_MULTIARCH_HPP_
