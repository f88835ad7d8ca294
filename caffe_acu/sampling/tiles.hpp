#ifndef CAFFE_ACU_SAMPLING_TILES_HPP_
#define CAFFE_ACU_SAMPLING_TILES_HPP_

#include <vector>

#include "caffe_acu/sampling/plan.hpp"

namespace caffe {

/// A part of an image's outputs, and the place of its first pixel among the pixels of the tile.
struct TilePart {
  int image;
  OutputPart part;
  int at;

  int pixels() const { return part.rows * part.columns; }
  /// Of its first pixel in an output plane; those that follow are neighbours, since rows are whole or single.
  int in_plane(int out_width) const { return part.row * out_width + part.column; }
};

/**
 * @brief Cuts the outputs of some images into tiles of at most kTilePixels pixels, of which one is
 *        sampled and multiplied while it stays in a core's cache.
 *
 * A tile is a run of whole rows, which goes on from one image into the next: small planes share tiles. A
 * row that is longer than a tile is cut.
 */
class Tiles {
 public:
  static constexpr int kTilePixels = 256;

  explicit Tiles(const SamplingGeometry& geometry);

  /// Largest sizes of a part.
  int most_rows() const { return most_rows_; }
  int most_columns() const { return most_columns_; }
  /// Number of tiles of `images` images.
  int Count(int images) const;
  /// Tile `index` of images begin .. end-1; returns its number of pixels.
  int Get(int index, int begin, int end, std::vector<TilePart>* parts) const;

 private:
  int out_height_, out_width_;
  int rows_per_tile_;
  int pieces_;  // of a row
  int most_rows_, most_columns_;
};

}  // namespace caffe

#endif  // CAFFE_ACU_SAMPLING_TILES_HPP_
