#include "caffe_acu/layers/active_layer.hpp"

#include "caffe/filler.hpp"
#include "caffe_acu/gpu/active_convolution.hpp"
#include "caffe_acu/layers/layer_error.hpp"

namespace caffe {

template <typename Dtype>
void ActiveLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& /*top*/) {
  const ConvolutionParameter& param = this->layer_param_.convolution_param();
  LAYER_CHECK(param.num_output() > 0) << "convolution_param.num_output is missing or 0";
  LAYER_CHECK(param.axis() == 1) << "convolution_param.axis is " << param.axis() << "; only 1 is supported";
  LAYER_CHECK(bottom[0]->num_axes() == 4)
      << "the bottom has shape " << bottom[0]->shape_string() << "; it needs 4 axes, (N, C, H, W)";
  settings_ = ReadSettings();
  channels_ = bottom[0]->shape(1);
  outputs_ = param.num_output();
  LAYER_CHECK(channels_ > 0) << "the bottom has no channels";
  LAYER_CHECK(settings_.groups > 0 && channels_ % settings_.groups == 0 && outputs_ % settings_.groups == 0)
      << settings_.groups << " convolution groups do not divide both " << channels_ << " input channels and num_output "
      << outputs_;
  if (settings_.sets_slice_outputs) {
    LAYER_CHECK(outputs_ % settings_.sets == 0)
        << settings_.sets << " position sets do not divide num_output " << outputs_;
  } else {
    LAYER_CHECK(channels_ % settings_.sets == 0)
        << settings_.sets << " position sets do not divide " << channels_ << " input channels";
  }
  MakeBlobs();
  this->param_propagate_down_.resize(kNumBlobs, true);
  WarnOfDefaultRates();
}

template <typename Dtype>
void ActiveLayer<Dtype>::MakeBlobs() {
  const ConvolutionParameter& param = this->layer_param_.convolution_param();
  const int kh = settings_.kernel[0], kw = settings_.kernel[1];
  const vector<int> shapes[kNumBlobs] = {{outputs_, channels_ / settings_.groups, kh, kw},
                                         has_bias() ? vector<int>{outputs_} : vector<int>{1, 1, 1, 1},
                                         {settings_.sets, 1, kh, kw},
                                         {settings_.sets, 1, kh, kw}};
  vector<shared_ptr<Blob<Dtype>>>& blobs = this->blobs_;
  if (!blobs.empty()) {  // they came with the layer's description
    LAYER_CHECK(blobs.size() == kNumBlobs)
        << "it comes with " << blobs.size() << " blobs; it has 4: weight, bias, x, y";
    for (int i = 0; i < kNumBlobs; ++i) {
      LAYER_CHECK(blobs[i]->shape() == shapes[i])
          << "its blob " << i << " has shape " << blobs[i]->shape_string() << ", not "
          << Blob<Dtype>(shapes[i]).shape_string();
    }
    return;
  }
  for (const vector<int>& shape : shapes) blobs.emplace_back(new Blob<Dtype>(shape));
  shared_ptr<Filler<Dtype>>(GetFiller<Dtype>(param.weight_filler()))->Fill(blobs[kWeight].get());
  if (has_bias()) {
    shared_ptr<Filler<Dtype>>(GetFiller<Dtype>(param.bias_filler()))->Fill(blobs[kBias].get());
  } else {
    blobs[kBias]->mutable_cpu_data()[0] = 0;  // a solver updates every blob, so it must exist in memory
  }
  FillPositions();
}

template <typename Dtype>
void ActiveLayer<Dtype>::FillPositions() {
  const int synapses = settings_.synapses();
  int fixed = settings_.rule.fixed_synapse;
  for (int k = 0; k < synapses && fixed == PositionRule::kAtOrigin; ++k) {
    if (settings_.start[k].x == 0 && settings_.start[k].y == 0) fixed = k;
  }
  Dtype* x = this->blobs_[kX]->mutable_cpu_data();
  Dtype* y = this->blobs_[kY]->mutable_cpu_data();
  for (int i = 0; i < settings_.sets * synapses; ++i) {
    Dtype noise[2] = {0, 0};
    if (settings_.noise > 0 && i % synapses != fixed) {
      caffe_rng_gaussian<Dtype>(2, Dtype(0), static_cast<Dtype>(settings_.noise), noise);
    }
    x[i] = static_cast<Dtype>(settings_.start[i % synapses].x) + noise[0];
    y[i] = static_cast<Dtype>(settings_.start[i % synapses].y) + noise[1];
  }
}

// Positions at the rate of the weights fly apart within a few iterations, and nothing says why.
template <typename Dtype>
void ActiveLayer<Dtype>::WarnOfDefaultRates() const {
  if (this->phase_ != TRAIN || !settings_.rule.learn || settings_.synapses() == 1) return;
  if (this->layer_param_.param_size() < kNumBlobs && Caffe::root_solver()) {
    LOG(WARNING) << LayerLabel(this->layer_param_) << "no param {} for its positions, which then learn at "
                 << "the full rate. The papers: four param blocks (weight, bias, x, y), the last two "
                 << "{ lr_mult: 0.01 decay_mult: 0 }.";
  }
}

template <typename Dtype>
void ActiveLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) {
  for (size_t i = 0; i < bottom.size(); ++i) {
    LAYER_CHECK(bottom[i]->num_axes() == 4 && bottom[i]->shape(1) == channels_)
        << "bottom " << i << " has shape " << bottom[i]->shape_string() << "; it needs 4 axes and "
        << channels_ << " channels, as the weights have";
    for (int axis = 0; axis < 2; ++axis) {
      const int size = bottom[i]->shape(2 + axis);
      LAYER_CHECK(size + 2 * settings_.pad[axis] >= settings_.extent[axis])
          << "bottom " << i << " has " << (axis == 0 ? "height " : "width ") << size << ", with pad "
          << settings_.pad[axis] << " less than the kernel's " << settings_.extent[axis];
    }
    const ActiveConvolutionShape shape = Shape(*bottom[i]);
    top[i]->Reshape({shape.images, outputs_, shape.geometry.out_height, shape.geometry.out_width});
  }
}

template <typename Dtype>
ActiveConvolutionShape ActiveLayer<Dtype>::Shape(const Blob<Dtype>& bottom) const {
  const Settings& s = settings_;
  const auto output = [&](int axis) {
    return (bottom.shape(2 + axis) + 2 * s.pad[axis] - s.extent[axis]) / s.stride[axis] + 1;
  };
  const SamplingGeometry geometry = {
      bottom.shape(2), bottom.shape(3), output(0), output(1), s.stride[0], s.stride[1],
      s.centre[0] - s.pad[0], s.centre[1] - s.pad[1]};
  return {bottom.shape(0), channels_, outputs_ / slices(), s.groups, s.synapses(), s.sets / slices(), geometry,
          outputs_};
}

template <typename Dtype>
template <typename Function>
void ActiveLayer<Dtype>::ForEachSlice(const vector<Blob<Dtype>*>& bottom, Function f) const {
  for (size_t i = 0; i < bottom.size(); ++i) {
    if (bottom[i]->shape(0) == 0) continue;
    const ActiveConvolutionShape shape = Shape(*bottom[i]);
    for (int slice = 0; slice < slices(); ++slice) f(i, shape, slice);
  }
}

template <typename Dtype>
ActiveConvolutionParameters<Dtype> ActiveLayer<Dtype>::Parameters(const ActiveConvolutionShape& shape, int slice,
                                                                  Data data) const {
  const int positions = slice * shape.sets * shape.synapses;
  const auto of = [&](int blob) { return (*this->blobs_[blob].*data)(); };
  return {of(kWeight) + slice * shape.weight_size(), has_bias() ? of(kBias) + slice * shape.outputs : nullptr,
          of(kX) + positions, of(kY) + positions};
}

template <typename Dtype>
ActiveConvolutionGradients<Dtype> ActiveLayer<Dtype>::Gradients(const ActiveConvolutionShape& shape, int slice,
                                                                MutableDiff diff, Blob<Dtype>* bottom,
                                                                bool propagate_down) const {
  const auto of = [&](int blob, bool wanted, int offset) -> Dtype* {
    return wanted && this->param_propagate_down_[blob] ? (*this->blobs_[blob].*diff)() + offset : nullptr;
  };
  const int positions = slice * shape.sets * shape.synapses;
  ActiveConvolutionGradients<Dtype> gradients;
  gradients.input = propagate_down ? (bottom->*diff)() : nullptr;
  gradients.add_to_input = slice > 0;
  gradients.weight = of(kWeight, true, slice * shape.weight_size());
  gradients.bias = of(kBias, has_bias(), slice * shape.outputs);
  gradients.alpha = of(kX, settings_.rule.learn, positions);
  gradients.beta = of(kY, settings_.rule.learn, positions);
  return gradients;
}

template <typename Dtype>
void ActiveLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) {
  ForEachSlice(bottom, [&](size_t i, const ActiveConvolutionShape& shape, int slice) {
    ActiveConvolutionForward(shape, bottom[i]->cpu_data(), Parameters(shape, slice, &Blob<Dtype>::cpu_data),
                             top[i]->mutable_cpu_data() + slice * shape.outputs * shape.geometry.out_size());
  });
}

template <typename Dtype>
void ActiveLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                                      const vector<Blob<Dtype>*>& bottom) {
  ForEachSlice(bottom, [&](size_t i, const ActiveConvolutionShape& shape, int slice) {
    ActiveConvolutionBackward(shape, bottom[i]->cpu_data(), Parameters(shape, slice, &Blob<Dtype>::cpu_data),
                              top[i]->cpu_diff() + slice * shape.outputs * shape.geometry.out_size(),
                              Gradients(shape, slice, &Blob<Dtype>::mutable_cpu_diff, bottom[i], propagate_down[i]));
  });
}

#ifndef CPU_ONLY

template <typename Dtype>
void ActiveLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) {
  ForEachSlice(bottom, [&](size_t i, const ActiveConvolutionShape& shape, int slice) {
    const ActiveConvolutionParameters<Dtype> p = Parameters(shape, slice, &Blob<Dtype>::gpu_data);
    ActiveConvolutionForwardGpu(shape, bottom[i]->gpu_data(), p.weight, p.bias,
                                DevicePositions<Dtype>::Learned(p.alpha, p.beta),
                                top[i]->mutable_gpu_data() + slice * shape.outputs * shape.geometry.out_size());
  });
}

template <typename Dtype>
void ActiveLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                                      const vector<Blob<Dtype>*>& bottom) {
  ForEachSlice(bottom, [&](size_t i, const ActiveConvolutionShape& shape, int slice) {
    const ActiveConvolutionParameters<Dtype> p = Parameters(shape, slice, &Blob<Dtype>::gpu_data);
    ActiveConvolutionBackwardGpu(shape, bottom[i]->gpu_data(), p.weight,
                                 DevicePositions<Dtype>::Learned(p.alpha, p.beta),
                                 top[i]->gpu_diff() + slice * shape.outputs * shape.geometry.out_size(),
                                 Gradients(shape, slice, &Blob<Dtype>::mutable_gpu_diff, bottom[i], propagate_down[i]));
  });
}

#endif

INSTANTIATE_CLASS(ActiveLayer);

}  // namespace caffe
