#ifndef CAFFE_ACU_CUDNN_CHOICE_HPP_
#define CAFFE_ACU_CUDNN_CHOICE_HPP_

#ifdef USE_CUDNN
#include <cudnn.h>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <vector>

namespace caffe {

/// One of cuDNN's algorithms for a pass, and the bytes of workspace that it needs.
template <typename Algorithm>
struct AlgorithmChoice {
  Algorithm algorithm;
  size_t workspace;
};

/// What an algorithm has to keep to.
struct AlgorithmLimits {
  cudnnMathType_t math;  // the descriptor's, with which it will run
  size_t workspace;      // bytes
  bool deterministic;
};

/**
 * @brief The first of cuDNN's `results`, which are listed best first, that keeps to the limits; none if no
 *        result does.
 *
 * The results' own sizes are not to be trusted: they belong to the result's type of math, which may be
 * another than the descriptor's. So workspace_of(algorithm) gives the bytes that an algorithm needs as it
 * will be run, or none if it cannot be run so. An algorithm may be listed once for each type of math; then
 * only the place with the descriptor's counts. Listed once, under whichever, it is run in ours.
 */
template <typename Performance, typename WorkspaceOf>
std::optional<AlgorithmChoice<decltype(Performance::algo)>> ChooseAlgorithm(const std::vector<Performance>& results,
                                                                            const AlgorithmLimits& limits,
                                                                            WorkspaceOf workspace_of) {
  const auto listed_with_our_math = [&](const Performance& result) {
    return std::any_of(results.begin(), results.end(), [&](const Performance& other) {
      return other.algo == result.algo && other.mathType == limits.math;
    });
  };
  for (const Performance& result : results) {
    if (result.status != CUDNN_STATUS_SUCCESS) continue;
    if (limits.deterministic && result.determinism != CUDNN_DETERMINISTIC) continue;
    if (result.mathType != limits.math && listed_with_our_math(result)) continue;
    const std::optional<size_t> workspace = workspace_of(result.algo);
    if (workspace && *workspace <= limits.workspace) return {{result.algo, *workspace}};
  }
  return std::nullopt;
}

}  // namespace caffe
#endif

#endif  // CAFFE_ACU_CUDNN_CHOICE_HPP_
