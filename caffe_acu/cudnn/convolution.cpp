#ifdef USE_CUDNN
#include "caffe_acu/cudnn/convolution.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "caffe_acu/cudnn/choice.hpp"
#include "caffe_acu/cudnn/handle.hpp"
#include "caffe_acu/gpu/workspace.hpp"

namespace caffe {
namespace {

// cuDNN's functions for each pass. Those of one name differ only in the types of their operands, which come
// in the order of the pass's Run: what is read first and second, then what is written.
struct ForwardPass {  // x, w -> y
  using Performance = cudnnConvolutionFwdAlgoPerf_t;
  static constexpr auto kMostResults = cudnnGetConvolutionForwardAlgorithmMaxCount;
  static constexpr auto kGuess = cudnnGetConvolutionForwardAlgorithm_v7;
  static constexpr auto kMeasure = cudnnFindConvolutionForwardAlgorithmEx;
  static constexpr auto kWorkspaceSize = cudnnGetConvolutionForwardWorkspaceSize;
  static constexpr auto kRun = cudnnConvolutionForward;
  static constexpr auto kSimplest = CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM;
  static constexpr auto kSimplestDeterministic = CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM;
};

struct BackwardDataPass {  // w, dy -> dx
  using Performance = cudnnConvolutionBwdDataAlgoPerf_t;
  static constexpr auto kMostResults = cudnnGetConvolutionBackwardDataAlgorithmMaxCount;
  static constexpr auto kGuess = cudnnGetConvolutionBackwardDataAlgorithm_v7;
  static constexpr auto kMeasure = cudnnFindConvolutionBackwardDataAlgorithmEx;
  static constexpr auto kWorkspaceSize = cudnnGetConvolutionBackwardDataWorkspaceSize;
  static constexpr auto kRun = cudnnConvolutionBackwardData;
  static constexpr auto kSimplest = CUDNN_CONVOLUTION_BWD_DATA_ALGO_0;
  static constexpr auto kSimplestDeterministic = CUDNN_CONVOLUTION_BWD_DATA_ALGO_1;
};

struct BackwardFilterPass {  // x, dy -> dw
  using Performance = cudnnConvolutionBwdFilterAlgoPerf_t;
  static constexpr auto kMostResults = cudnnGetConvolutionBackwardFilterAlgorithmMaxCount;
  static constexpr auto kGuess = cudnnGetConvolutionBackwardFilterAlgorithm_v7;
  static constexpr auto kMeasure = cudnnFindConvolutionBackwardFilterAlgorithmEx;
  static constexpr auto kWorkspaceSize = cudnnGetConvolutionBackwardFilterWorkspaceSize;
  static constexpr auto kRun = cudnnConvolutionBackwardFilter;
  static constexpr auto kSimplest = CUDNN_CONVOLUTION_BWD_FILTER_ALGO_0;
  static constexpr auto kSimplestDeterministic = CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1;
};

// What a pass works on: descriptors, and the GPU's memory.
template <typename First, typename Second, typename Result>
struct Operands {
  cudnnHandle_t handle;
  const CudnnConvolutionSettings& settings;
  const First& first;
  const void* first_data;
  const Second& second;
  const void* second_data;
  const Result& result;
  void* result_data;
};

size_t SizeInBytes(cudnnTensorDescriptor_t tensor) {
  size_t bytes = 0;
  CUDNN_CHECK(cudnnGetTensorSizeInBytes(tensor, &bytes));
  return bytes;
}

size_t SizeInBytes(cudnnFilterDescriptor_t filter) {
  size_t bytes = 0;
  CUDNN_CHECK(cudnnGetFilterSizeInBytes(filter, &bytes));
  return bytes;
}

// TF32 is an affair of single precision only.
template <typename Dtype>
constexpr cudnnMathType_t kMath = std::is_same<Dtype, float>::value ? CUDNN_FMA_MATH : CUDNN_DEFAULT_MATH;

// Bytes of workspace with which an algorithm can run, if it can.
template <typename Pass, typename Operands, typename Algorithm>
std::optional<size_t> WorkspaceOf(const Operands& o, Algorithm algorithm) {
  size_t bytes = 0;
  const bool runs = Pass::kWorkspaceSize(o.handle, o.first, o.second, o.settings, o.result, algorithm, &bytes) ==
                    CUDNN_STATUS_SUCCESS;
  return runs ? std::optional<size_t>(bytes) : std::nullopt;
}

// What cuDNN says of its algorithms, best first, without running them. Empty if it has nothing to say.
template <typename Pass, typename Operands>
std::vector<typename Pass::Performance> Guesses(const Operands& o) {
  int count = 0;
  CUDNN_CHECK(Pass::kMostResults(o.handle, &count));
  std::vector<typename Pass::Performance> results(count);
  const bool known = Pass::kGuess(o.handle, o.first, o.second, o.settings, o.result, static_cast<int>(results.size()),
                                  &count, results.data()) == CUDNN_STATUS_SUCCESS;
  results.resize(known ? count : 0);
  return results;
}

// The same measured, with as much workspace as any of the algorithms guessed can use within the limit. The
// measurement writes to the result; where that must not change, to the workspace.
template <typename Pass, typename Operands>
std::vector<typename Pass::Performance> Measurements(const Operands& o, bool keep_result) {
  std::vector<typename Pass::Performance> results = Guesses<Pass>(o);
  size_t workspace = 0;
  for (const auto& guess : results) {
    const std::optional<size_t> bytes = WorkspaceOf<Pass>(o, guess.algo);
    if (bytes && *bytes <= CudnnWorkspaceLimit()) workspace = std::max(workspace, *bytes);
  }
  constexpr size_t kAlignment = 256;
  const size_t copy = keep_result ? (SizeInBytes(o.result) + kAlignment - 1) / kAlignment * kAlignment : 0;
  char* const scratch = static_cast<char*>(GpuWorkspace(copy + workspace));
  int count = 0;
  CUDNN_CHECK(Pass::kMostResults(o.handle, &count));
  std::vector<typename Pass::Performance> measured(count);
  const bool done = Pass::kMeasure(o.handle, o.first, o.first_data, o.second, o.second_data, o.settings, o.result,
                                   keep_result ? scratch : o.result_data, static_cast<int>(measured.size()), &count,
                                   measured.data(), scratch + copy, workspace) == CUDNN_STATUS_SUCCESS;
  cudaGetLastError();  // else the next check of a kernel would report an algorithm that could not run
  if (!done) return results;
  measured.resize(count);
  return measured;
}

template <typename Pass>
using Choice = AlgorithmChoice<decltype(Pass::Performance::algo)>;

template <typename Pass, typename Operands>
Choice<Pass> Choose(const Operands& o, cudnnMathType_t math, bool keep_result) {
  const auto results = MeasureAlgorithms() ? Measurements<Pass>(o, keep_result) : Guesses<Pass>(o);
  const auto choice = ChooseAlgorithm(results, {math, CudnnWorkspaceLimit(), Deterministic()},
                                      [&](auto algorithm) { return WorkspaceOf<Pass>(o, algorithm); });
  if (choice) return *choice;
  Choice<Pass> simplest{Deterministic() ? Pass::kSimplestDeterministic : Pass::kSimplest, 0};
  CUDNN_CHECK(Pass::kWorkspaceSize(o.handle, o.first, o.second, o.settings, o.result, simplest.algorithm,
                                   &simplest.workspace));
  LOG(WARNING) << "cuDNN offers no algorithm within CAFFE_ACU_CUDNN_WORKSPACE_MIB="
               << (CudnnWorkspaceLimit() >> 20) << "; its simplest one takes " << (simplest.workspace >> 20) << " MiB";
  return simplest;
}

}  // namespace

template <typename Dtype>
CudnnPlanes<Dtype>::CudnnPlanes(int images, const std::array<int, 3>& plane) {
  const cudnnDataType_t type = cudnn::dataType<Dtype>::type;
  CUDNN_CHECK(cudnnSetTensor4dDescriptor(tensor_, CUDNN_TENSOR_NCHW, type, images, plane[0], plane[1], plane[2]));
  CUDNN_CHECK(cudnnSetTensor4dDescriptor(bias_, CUDNN_TENSOR_NCHW, type, 1, plane[0], 1, 1));
}

template <typename Dtype>
void CudnnPlanes<Dtype>::AddBias(const Dtype* bias, Dtype* data) const {
  const Dtype one = 1;
  CUDNN_CHECK(cudnnAddTensor(CudnnHandle(), &one, bias_, bias, &one, tensor_, data));
}

template <typename Dtype>
void CudnnPlanes<Dtype>::AddBiasGradient(const Dtype* gradient, Dtype* bias_gradient) const {
  const Dtype one = 1;
  CUDNN_CHECK(cudnnConvolutionBackwardBias(CudnnHandle(), &one, tensor_, gradient, &one, bias_, bias_gradient));
}

template <typename Dtype>
CudnnConvolution<Dtype>::CudnnConvolution(const CudnnConvolutionShape& shape)
    : shape_(shape), input_(shape.images, shape.input), output_(shape.images, shape.output) {
  const cudnnDataType_t type = cudnn::dataType<Dtype>::type;
  CUDNN_CHECK(cudnnSetFilter4dDescriptor(weight_, type, CUDNN_TENSOR_NCHW, shape.output[0],
                                         shape.input[0] / shape.groups, shape.kernel[0], shape.kernel[1]));
  CUDNN_CHECK(cudnnSetConvolution2dDescriptor(settings_, shape.pad[0], shape.pad[1], shape.stride[0], shape.stride[1],
                                              shape.dilation[0], shape.dilation[1], CUDNN_CROSS_CORRELATION, type));
  CUDNN_CHECK(cudnnSetConvolutionGroupCount(settings_, shape.groups));
  CUDNN_CHECK(cudnnSetConvolutionMathType(settings_, kMath<Dtype>));
}

template <typename Dtype>
template <typename Pass, typename First, typename Second, typename Result>
void CudnnConvolution<Dtype>::Run(const First& first, const Dtype* first_data, const Second& second,
                                  const Dtype* second_data, Dtype beta, const Result& result,
                                  Dtype* result_data) const {
  // By GPU and shape; there is one such map for each pass and type of data.
  static thread_local std::map<std::pair<int, CudnnConvolutionShape>, Choice<Pass>> choices;
  int device;
  CUDA_CHECK(cudaGetDevice(&device));
  const Operands<First, Second, Result> o = {CudnnHandle(), settings_,   first,  first_data,
                                             second,        second_data, result, result_data};
  auto found = choices.find({device, shape_});
  if (found == choices.end()) {
    const Choice<Pass> choice = Choose<Pass>(o, kMath<Dtype>, beta != 0);
    found = choices.emplace(std::make_pair(device, shape_), choice).first;
  }
  const Choice<Pass>& choice = found->second;
  const Dtype one = 1;
  CUDNN_CHECK(Pass::kRun(o.handle, &one, o.first, o.first_data, o.second, o.second_data, o.settings, choice.algorithm,
                         GpuWorkspace(choice.workspace), choice.workspace, &beta, o.result, o.result_data));
}

template <typename Dtype>
void CudnnConvolution<Dtype>::Forward(const Dtype* x, const Dtype* w, Dtype* y) const {
  Run<ForwardPass>(input_.tensor(), x, weight_, w, Dtype(0), output_.tensor(), y);
}

template <typename Dtype>
void CudnnConvolution<Dtype>::BackwardData(const Dtype* w, const Dtype* dy, Dtype* dx, Dtype beta) const {
  Run<BackwardDataPass>(weight_, w, output_.tensor(), dy, beta, input_.tensor(), dx);
}

template <typename Dtype>
void CudnnConvolution<Dtype>::BackwardFilter(const Dtype* x, const Dtype* dy, Dtype* dw) const {
  Run<BackwardFilterPass>(input_.tensor(), x, output_.tensor(), dy, Dtype(1), weight_, dw);
}

template class CudnnPlanes<float>;
template class CudnnPlanes<double>;
template class CudnnConvolution<float>;
template class CudnnConvolution<double>;

}  // namespace caffe
#endif
