#include "caffe_acu/sampling/tiles.hpp"

#include <algorithm>
#include <cstdint>

namespace caffe {

Tiles::Tiles(const SamplingGeometry& geometry)
    : out_height_(geometry.out_height), out_width_(geometry.out_width) {
  rows_per_tile_ = std::max(1, kTilePixels / out_width_);
  pieces_ = (out_width_ + kTilePixels - 1) / kTilePixels;
  most_rows_ = std::min(rows_per_tile_, out_height_);
  most_columns_ = (out_width_ + pieces_ - 1) / pieces_;
}

int Tiles::Count(int images) const {
  const int64_t rows = static_cast<int64_t>(images) * out_height_;
  return static_cast<int>((rows + rows_per_tile_ - 1) / rows_per_tile_ * pieces_);
}

int Tiles::Get(int index, int begin, int end, std::vector<TilePart>* parts) const {
  parts->clear();
  int64_t row = static_cast<int64_t>(index / pieces_) * rows_per_tile_;
  const int64_t last = std::min(row + rows_per_tile_, static_cast<int64_t>(end - begin) * out_height_);
  const int column = index % pieces_ * most_columns_;
  const int columns = std::min(most_columns_, out_width_ - column);
  int at = 0;
  while (row < last) {
    const int in_image = static_cast<int>(row % out_height_);
    const int rows = static_cast<int>(std::min<int64_t>(out_height_ - in_image, last - row));
    parts->push_back({begin + static_cast<int>(row / out_height_), {in_image, column, rows, columns}, at});
    at += rows * columns;
    row += rows;
  }
  return at;
}

}  // namespace caffe
