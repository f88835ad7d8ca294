#include "caffe_acu/shapes/start_positions.hpp"

#include <cmath>

namespace caffe {

std::vector<Position> LatticePositions(int kernel_h, int kernel_w, double dilation_h, double dilation_w) {
  std::vector<Position> positions;
  for (int i = 0; i < kernel_h; ++i) {
    for (int j = 0; j < kernel_w; ++j) {
      positions.push_back({(j - kernel_w / 2) * dilation_w, (i - kernel_h / 2) * dilation_h});
    }
  }
  return positions;
}

std::vector<Position> RingPositions(int synapses, double radius, double angle, bool rounded) {
  std::vector<Position> positions = {{0, 0}};
  for (int i = 1; i < synapses; ++i) {
    const double t = 2 * M_PI * (i - 1) / (synapses - 1) + angle;
    Position p = {radius * std::cos(t), radius * std::sin(t)};
    if (rounded) p = {std::round(p.x), std::round(p.y)};
    positions.push_back(p);
  }
  return positions;
}

}  // namespace caffe
