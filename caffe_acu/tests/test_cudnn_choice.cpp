// Which of cuDNN's algorithms is taken, and which shapes cuDNN gets: neither needs a GPU.
#ifdef USE_CUDNN
#include <map>
#include <optional>
#include <vector>

#include "caffe_acu/cudnn/choice.hpp"
#include "caffe_acu/cudnn/convolution.hpp"
#include "gtest/gtest.h"

namespace caffe {

// The three passes have types of their own for results, with the same fields.
template <typename Performance>
class CudnnChoiceTest : public ::testing::Test {
 protected:
  typedef decltype(Performance::algo) Algorithm;

  void List(int algorithm, cudnnMathType_t math = CUDNN_FMA_MATH, cudnnDeterminism_t determinism = CUDNN_DETERMINISTIC,
            cudnnStatus_t status = CUDNN_STATUS_SUCCESS) {
    Performance result = {};
    result.algo = static_cast<Algorithm>(algorithm);
    result.status = status;
    result.memory = 12345;  // of another type of math; must not count
    result.determinism = determinism;
    result.mathType = math;
    results_.push_back(result);
  }
  // The algorithm's number, or -1.
  int Chosen(size_t limit = 100, bool deterministic = false) {
    const auto choice = ChooseAlgorithm(results_, {CUDNN_FMA_MATH, limit, deterministic}, [&](Algorithm algorithm) {
      const auto found = workspaces_.find(algorithm);
      return found == workspaces_.end() ? std::nullopt : std::optional<size_t>(found->second);
    });
    if (!choice) return -1;
    EXPECT_EQ(choice->workspace, workspaces_.at(choice->algorithm));
    return choice->algorithm;
  }

  std::vector<Performance> results_;
  // Bytes by algorithm; those that are not here cannot run.
  std::map<int, size_t> workspaces_ = {{0, 0}, {1, 50}, {2, 100}, {3, 101}};
};

typedef ::testing::Types<cudnnConvolutionFwdAlgoPerf_t, cudnnConvolutionBwdDataAlgoPerf_t,
                         cudnnConvolutionBwdFilterAlgoPerf_t>
    Performances;
TYPED_TEST_CASE(CudnnChoiceTest, Performances);

TYPED_TEST(CudnnChoiceTest, TestNothingListed) { EXPECT_EQ(this->Chosen(), -1); }

TYPED_TEST(CudnnChoiceTest, TestFirstIsBest) {
  this->List(1);
  this->List(0);
  EXPECT_EQ(this->Chosen(), 1);
}

TYPED_TEST(CudnnChoiceTest, TestStatus) {
  this->List(1, CUDNN_FMA_MATH, CUDNN_DETERMINISTIC, CUDNN_STATUS_NOT_SUPPORTED);
  this->List(2);
  EXPECT_EQ(this->Chosen(), 2);
}

TYPED_TEST(CudnnChoiceTest, TestWorkspaceMayEqualTheLimit) {
  this->List(3);
  this->List(2);
  this->List(0);
  EXPECT_EQ(this->Chosen(100), 2);
  EXPECT_EQ(this->Chosen(99), 0);
  EXPECT_EQ(this->Chosen(101), 3);
}

TYPED_TEST(CudnnChoiceTest, TestNothingFits) {
  this->List(3);
  this->List(2);
  EXPECT_EQ(this->Chosen(99), -1);
}

TYPED_TEST(CudnnChoiceTest, TestCannotRunWithOurMath) {
  this->List(4);
  this->List(1);
  EXPECT_EQ(this->Chosen(), 1);
}

TYPED_TEST(CudnnChoiceTest, TestDeterministic) {
  this->List(1, CUDNN_FMA_MATH, CUDNN_NON_DETERMINISTIC);
  this->List(2, CUDNN_FMA_MATH, CUDNN_DETERMINISTIC);
  EXPECT_EQ(this->Chosen(100, false), 1);
  EXPECT_EQ(this->Chosen(100, true), 2);
  EXPECT_EQ(this->Chosen(99, true), -1);
}

// Fast in TF32, in which it will not run: its other place in the list tells how fast it is for us.
TYPED_TEST(CudnnChoiceTest, TestPlaceWithOurMathCounts) {
  this->List(2, CUDNN_DEFAULT_MATH);
  this->List(1, CUDNN_FMA_MATH);
  this->List(2, CUDNN_FMA_MATH);
  EXPECT_EQ(this->Chosen(), 1);
}

TYPED_TEST(CudnnChoiceTest, TestListedWithOtherMathOnly) {
  this->List(2, CUDNN_DEFAULT_MATH);
  this->List(1, CUDNN_FMA_MATH);
  EXPECT_EQ(this->Chosen(), 2);
}

class CudnnConvolutionShapeTest : public ::testing::Test {
 protected:
  // 7 x 5 pixels padded to 9 x 7, a kernel of 3 x 3 with stride 2.
  CudnnConvolutionShape shape_ = {2, {4, 7, 5}, {6, 4, 3}, {{3, 3}}, {{2, 2}}, {{1, 1}}, {{1, 1}}, 2};
};

TEST_F(CudnnConvolutionShapeTest, TestProper) {
  EXPECT_TRUE(shape_.IsProper());
  shape_.kernel = {9, 7};
  EXPECT_TRUE(shape_.IsProper());
  shape_.kernel = {10, 7};
  EXPECT_FALSE(shape_.IsProper());
  shape_.kernel = {9, 8};
  EXPECT_FALSE(shape_.IsProper());
}

TEST_F(CudnnConvolutionShapeTest, TestDilatedKernel) {
  shape_.dilation = {4, 3};
  EXPECT_TRUE(shape_.IsProper());
  shape_.dilation = {4, 4};
  EXPECT_FALSE(shape_.IsProper());
}

TEST_F(CudnnConvolutionShapeTest, TestEmpty) {
  CudnnConvolutionShape shape = shape_;
  shape.images = 0;
  EXPECT_FALSE(shape.IsProper());
  shape = shape_;
  shape.input[1] = 0;
  EXPECT_FALSE(shape.IsProper());
  shape = shape_;
  shape.output[2] = 0;
  EXPECT_FALSE(shape.IsProper());
}

// It is the key under which a choice is kept: every size counts.
TEST_F(CudnnConvolutionShapeTest, TestComparesAllSizes) {
  const auto change = [this](int which) {
    CudnnConvolutionShape s = shape_;
    int* sizes[] = {&s.images,    &s.input[0],  &s.input[1],  &s.input[2], &s.output[0], &s.output[1],
                    &s.output[2], &s.kernel[0], &s.kernel[1], &s.stride[0], &s.stride[1], &s.pad[0],
                    &s.pad[1],    &s.dilation[0], &s.dilation[1], &s.groups};
    ++*sizes[which];
    return s;
  };
  EXPECT_TRUE(shape_ == shape_);
  EXPECT_FALSE(shape_ < shape_);
  for (int which = 0; which < 16; ++which) {
    EXPECT_FALSE(shape_ == change(which)) << which;
    EXPECT_TRUE(shape_ < change(which)) << which;
    EXPECT_FALSE(change(which) < shape_) << which;
  }
}

}  // namespace caffe
#endif
