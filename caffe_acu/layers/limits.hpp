#ifndef CAFFE_ACU_LAYERS_LIMITS_HPP_
#define CAFFE_ACU_LAYERS_LIMITS_HPP_

#include <string>
#include <vector>

#include "caffe/blob.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

// What upstream's layers and solvers do not ask before they divide by it, index with it, or wait for it. All throw
// Error; Net gives it the layer's name.

/// No layer can work with these parameters: 0 of what is counted from 1, more than an int holds, a filler that there
/// is not.
void CheckParameters(const LayerParameter& layer);

/// The layer cannot work on bottoms of these shapes.
template <typename Dtype>
void CheckBottoms(const LayerParameter& layer, const std::vector<Blob<Dtype>*>& bottoms);

/// A layer's description without the blobs that it may have; layers take those as they are, of whatever shape.
LayerParameter WithoutBlobs(const LayerParameter& layer);

/// Copies the blobs of a layer's description into those of the layer, which must have the same shapes. A layer without
/// blobs takes none.
template <typename Dtype>
void TakeBlobs(const LayerParameter& layer, const std::vector<shared_ptr<Blob<Dtype>>>& blobs);

/// No solver can work with these parameters.
void CheckParameters(const SolverParameter& solver);

/// The kernel, with its dilation, is larger than the image with its padding.
void CheckKernelFits(int image, int pad, int kernel_extent);

/// A label, or an index, that is none of 0 to classes - 1.
void RefuseLabel(int label, int classes);
inline void CheckLabel(int label, int classes) {
  if (__builtin_expect(label < 0 || label >= classes, 0)) RefuseLabel(label, classes);
}

}  // namespace caffe

#endif  // CAFFE_ACU_LAYERS_LIMITS_HPP_
