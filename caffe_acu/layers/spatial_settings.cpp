#include "caffe_acu/layers/spatial_settings.hpp"

#include <string>

#include "caffe_acu/layers/layer_error.hpp"

namespace caffe {
namespace {

// One of the fields: `values` is the repeated spelling, h and w the other, each null if it is not there.
void Read(const std::string& name, const google::protobuf::RepeatedField<google::protobuf::uint32>& values,
          const unsigned* h, const unsigned* w, int if_absent, int least, int out[2]) {
  const std::string label = "convolution_param." + name;
  CHECK(values.empty() || !(h || w)) << label << " is given twice, as one field and as _h and _w";
  CHECK(!h == !w) << label << "_h and _w belong together; one is missing";
  CHECK_LE(values.size(), 2) << label << " has " << values.size() << " values; give one, or height and width";
  out[0] = out[1] = if_absent;
  if (h) {
    out[0] = static_cast<int>(*h);
    out[1] = static_cast<int>(*w);
  } else if (!values.empty()) {
    out[0] = static_cast<int>(values.Get(0));
    out[1] = static_cast<int>(values.Get(values.size() - 1));
  }
  if (!h && values.empty()) return;
  CHECK(out[0] >= least && out[1] >= least) << label << " must be at least " << least;
}

}  // namespace

SpatialSettings ReadSpatialSettings(const LayerParameter& layer) {
  const ConvolutionParameter& p = layer.convolution_param();
  const unsigned kernel[2] = {p.kernel_h(), p.kernel_w()}, stride[2] = {p.stride_h(), p.stride_w()};
  const unsigned pad[2] = {p.pad_h(), p.pad_w()};
  SpatialSettings s;
  InLayer(layer, true, [&] {
    Read("kernel_size", p.kernel_size(), p.has_kernel_h() ? &kernel[0] : nullptr,
         p.has_kernel_w() ? &kernel[1] : nullptr, 0, 1, s.kernel);
    Read("stride", p.stride(), p.has_stride_h() ? &stride[0] : nullptr,
         p.has_stride_w() ? &stride[1] : nullptr, 1, 1, s.stride);
    // Of the pads one may be missing, which is 0, as in upstream's convolution.
    const bool has_pad = p.has_pad_h() || p.has_pad_w();
    Read("pad", p.pad(), has_pad ? &pad[0] : nullptr, has_pad ? &pad[1] : nullptr, 0, 0, s.pad);
    Read("dilation", p.dilation(), nullptr, nullptr, 1, 1, s.dilation);
  });
  return s;
}

}  // namespace caffe
