#include "caffe_acu/data/decoded_record.hpp"

#include <opencv2/imgcodecs.hpp>

#include <algorithm>

namespace caffe {
namespace {

bool IsJpeg(std::string_view data) { return data.substr(0, 3) == "\xff\xd8\xff"; }

/// Whether the JPEG's end marker is there. OpenCV makes up the pixels that are missing from one that is cut off,
/// and says nothing.
bool JpegHasEnd(std::string_view data) {
  const auto byte = [data](size_t i) { return static_cast<unsigned char>(data[i]); };
  // Over the segments before the first scan: a thumbnail in there has an end of its own.
  size_t at = 2;
  while (at + 4 <= data.size() && byte(at) == 0xff && byte(at + 1) != 0xda) {
    const bool fill = byte(at + 1) == 0xff;
    at += fill ? 1 : 2 + 256 * byte(at + 2) + byte(at + 3);
  }
  return data.find("\xff\xd9", at) != std::string_view::npos;
}

}  // namespace

DecodedRecord::DecodedRecord(std::string_view value, const TransformationParameter& transform) {
  if (!datum.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
    damage = "is not a Datum";
    return;
  }
  if (datum.encoded()) {
    Decode(transform);
  } else {
    damage = WrongSizes(datum);
  }
  if (!damage.empty()) return;
  const bool encoded = datum.encoded();
  const int crop = transform.crop_size();
  const int height = encoded ? image.rows : datum.height(), width = encoded ? image.cols : datum.width();
  if (std::min(height, width) < crop) {
    damage = "is an image of " + std::to_string(height) + "x" + std::to_string(width) + ", smaller than crop_size " +
             std::to_string(crop);
    return;
  }
  shape = {1, encoded ? image.channels() : datum.channels(), crop ? crop : height, crop ? crop : width};
}

void DecodedRecord::Decode(const TransformationParameter& transform) {
  const std::string& data = datum.data();
  if (IsJpeg(data) && !JpegHasEnd(data)) {
    damage = "holds a JPEG image that is cut off";
    return;
  }
  const int flag = transform.force_color()  ? cv::IMREAD_COLOR
                   : transform.force_gray() ? cv::IMREAD_GRAYSCALE
                                            : cv::IMREAD_UNCHANGED;
  image = DecodedImage(data, flag);
  if (image.empty()) {
    damage = "holds an image that cannot be decoded";
  } else if (image.depth() != CV_8U) {
    damage = "holds an image with more than 8 bits a channel";
  }
}

cv::Mat DecodedImage(const std::string& data, int flag) {
  if (data.empty()) return {};
  try {
    // Only read, so that it need not be copied.
    const cv::Mat bytes(1, static_cast<int>(data.size()), CV_8U, const_cast<char*>(data.data()));
    return cv::imdecode(bytes, flag);
  } catch (const cv::Exception&) {  // an image of an impossible size, say
    return {};
  }
}

std::string WrongSizes(const Datum& datum) {
  const int64_t channels = datum.channels(), height = datum.height(), width = datum.width();
  if (std::min({channels, height, width}) < 1) return "is a Datum without an image";
  const int64_t values = datum.data().empty() ? datum.float_data_size() : datum.data().size();
  // Compared by division: the product of three damaged numbers may overflow.
  if (values % (channels * height) == 0 && values / (channels * height) == width) return "";
  return "has " + std::to_string(values) + " values, not " + std::to_string(channels) + " channels of " +
         std::to_string(height) + "x" + std::to_string(width);
}

}  // namespace caffe
