#ifndef CAFFE_ACU_DATA_DECODED_RECORD_HPP_
#define CAFFE_ACU_DATA_DECODED_RECORD_HPP_

#include <opencv2/core/core.hpp>

#include <string>
#include <string_view>
#include <vector>

#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// A record's Datum, and its image where that is encoded.
struct DecodedRecord {
  /// Reads a record's value. What is wrong with it goes to `damage`, as the end of a sentence that
  /// begins with the record; the rest is of use if that stays empty.
  DecodedRecord(std::string_view value, const TransformationParameter& transform);

  Datum datum;
  cv::Mat image;           // of an encoded Datum
  std::vector<int> shape;  // (1, C, H, W), cropped
  std::string damage;

 private:
  void Decode(const TransformationParameter& transform);
};

/// The image in an encoded Datum's data, by a flag of cv::imread; empty if it cannot be decoded.
cv::Mat DecodedImage(const std::string& data, int flag);

/// What is wrong with the sizes of a Datum that is not encoded, as the end of a sentence; empty if nothing is.
std::string WrongSizes(const Datum& datum);

}  // namespace caffe

#endif  // CAFFE_ACU_DATA_DECODED_RECORD_HPP_
