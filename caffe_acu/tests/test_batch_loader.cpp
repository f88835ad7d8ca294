#include <climits>
#include <functional>
#include <string>
#include <vector>

#include <opencv2/imgcodecs.hpp>

#include "caffe/util/rng.hpp"
#include "caffe_acu/data/read_ahead.hpp"
#include "caffe_acu/data/shuffled_cursor.hpp"
#include "caffe_acu/tests/data_layer_case.hpp"
#include "caffe_acu/tests/expect_error.hpp"
#include "caffe_acu/util/parallel.hpp"

namespace caffe {
namespace {

// Images whose pixels all differ from their neighbours', so that a wrong crop, mirror or channel shows.
cv::Mat Pixels(int number, int height, int width, int type) {
  cv::Mat image(height, width, type);
  const int channels = image.channels();
  for (int i = 0; i < height * width * channels; ++i) {
    image.ptr<uchar>(i / (width * channels))[i % (width * channels)] = static_cast<uchar>(29 * number + 7 * i);
  }
  return image;
}

Datum Encoded(int label, const cv::Mat& image, const char* format) {
  std::vector<uchar> bytes;
  CHECK(cv::imencode(format, image, bytes));
  Datum datum;
  datum.set_label(label);
  datum.set_encoded(true);
  datum.set_data(bytes.data(), bytes.size());
  return datum;
}

// One of each kind of Datum, all 3 x 6 x 7: by number % 4, a PNG, a JPEG, bytes, floats.
Datum Mixed(int number) {
  constexpr int kHeight = 6, kWidth = 7;
  const cv::Mat image = Pixels(number, kHeight, kWidth, CV_8UC3);
  if (number % 4 == 0) return Encoded(number, image, ".png");
  if (number % 4 == 1) return Encoded(number, image, ".jpg");
  Datum datum;
  datum.set_label(number);
  datum.set_channels(3);
  datum.set_height(kHeight);
  datum.set_width(kWidth);
  for (int i = 0; i < image.rows * image.cols * 3; ++i) {
    if (number % 4 == 2) {
      datum.mutable_data()->push_back(static_cast<char>(image.data[i]));
    } else {
      datum.add_float_data(image.data[i] + 0.5f);
    }
  }
  return datum;
}

struct Crop {
  int top, left, size;
  bool mirror;
};

// As upstream draws it: mirror, row, column.
Crop RandomCrop(unsigned seed, const cv::Mat& image, int size) {
  rng_t draw(seed);
  const bool mirror = draw() % 2;
  const int top = draw() % (image.rows - size + 1);
  return {top, static_cast<int>(draw() % (image.cols - size + 1)), size, mirror};
}

// What the record is to become, as Read gives it. `mean` takes channel, row and column of the whole image.
std::vector<float> Expected(const Datum& datum, const std::function<Crop(const cv::Mat&)>& crop_of, float scale,
                            const std::function<float(int, int, int)>& mean) {
  cv::Mat image(datum.height(), datum.width(), CV_32FC3);
  if (datum.encoded()) {
    const std::vector<char> bytes(datum.data().begin(), datum.data().end());
    cv::imdecode(bytes, cv::IMREAD_UNCHANGED).convertTo(image, CV_32F);
  } else {
    for (int c = 0; c < 3; ++c) {
      for (int y = 0; y < image.rows; ++y) {
        for (int x = 0; x < image.cols; ++x) {
          const int i = (c * image.rows + y) * image.cols + x;
          image.at<cv::Vec3f>(y, x)[c] =
              datum.data().empty() ? datum.float_data(i) : static_cast<uchar>(datum.data()[i]);
        }
      }
    }
  }
  const Crop crop = crop_of(image);
  std::vector<float> record{static_cast<float>(datum.label())};
  for (int c = 0; c < 3; ++c) {
    for (int y = 0; y < crop.size; ++y) {
      for (int x = 0; x < crop.size; ++x) {
        const int row = crop.top + y, column = crop.left + (crop.mirror ? crop.size - 1 - x : x);
        record.push_back((image.at<cv::Vec3f>(row, column)[c] - mean(c, row, column)) * scale);
      }
    }
  }
  return record;
}

float NoMean(int, int, int) { return 0; }

}  // namespace

class BatchLoaderTest : public DataLayerCase {
 protected:
  static constexpr int kRecords = 9, kCrop = 4;

  void WriteDatums(const std::vector<Datum>& datums) const {
    std::vector<std::string> values;
    for (const Datum& datum : datums) values.push_back(datum.SerializeAsString());
    Write(values);
  }
  void WriteMixed() const {
    std::vector<Datum> datums;
    for (int i = 0; i < kRecords; ++i) datums.push_back(Mixed(i));
    WriteDatums(datums);
  }
  LayerParameter CropParam(int batch_size) const {
    LayerParameter param = Param(batch_size);
    param.mutable_transform_param()->set_crop_size(kCrop);
    param.mutable_transform_param()->set_mirror(true);
    return param;
  }
  LayerParameter ShuffledParam(int batch_size) const {
    LayerParameter param = CropParam(batch_size);
    param.mutable_data_param()->set_shuffle(true);
    param.mutable_data_param()->set_shuffle_seed(kSeed);
    return param;
  }
  // Message of a layer that reads the LMDB and ends with it. The layer's thread keeps ahead of Forward.
  void ExpectDeath(const LayerParameter& param, const std::string& message) const {
    EXPECT_ERROR(Read(param, kRecords), message);
  }

  static constexpr uint64_t kSeed = 5;
};

TEST_F(BatchLoaderTest, TestPhaseCropsTheCentre) {
  WriteMixed();
  LayerParameter param = Param(4);
  param.set_phase(TEST);
  TransformationParameter* transform = param.mutable_transform_param();
  transform->set_crop_size(kCrop);
  transform->set_scale(0.25);
  for (float mean : {10, 20, 30}) transform->add_mean_value(mean);
  const auto centre = [](const cv::Mat&) { return Crop{1, 1, kCrop, false}; };
  const auto mean = [](int c, int, int) { return 10.f * (c + 1); };
  const auto records = Read(param, 2 * kRecords);
  for (int i = 0; i < 2 * kRecords; ++i) EXPECT_EQ(records[i], Expected(Mixed(i % kRecords), centre, 0.25, mean)) << i;
}

TEST_F(BatchLoaderTest, ShuffledRecordsHaveTheirOwnSeedWithAnyNumberOfThreads) {
  WriteMixed();
  for (int threads : {1, 4}) {
    const ThreadLimit limit(threads);
    const auto records = Read(ShuffledParam(4), 3 * kRecords);
    for (int epoch = 0; epoch < 3; ++epoch) {
      const std::vector<uint32_t> order = EpochOrder(kSeed, epoch, kRecords);
      for (int i = 0; i < kRecords; ++i) {
        const auto crop = [&](const cv::Mat& image) { return RandomCrop(RecordSeed(kSeed, epoch, i), image, kCrop); };
        EXPECT_EQ(records[epoch * kRecords + i], Expected(Mixed(order[i]), crop, 1, NoMean)) << threads << " " << i;
      }
    }
  }
}

TEST_F(BatchLoaderTest, RecordsInOrderHaveTheirOwnSeedWithAnyNumberOfThreads) {
  WriteMixed();
  for (int threads : {1, 4}) {
    const ThreadLimit limit(threads);
    Caffe::set_random_seed(3);
    const auto records = Read(CropParam(4), 2 * kRecords);
    // The layer draws its seed of a generator that it has seeded from the main one.
    Caffe::set_random_seed(3);
    const uint32_t seed = rng_t(caffe_rng_rand())() % INT_MAX;
    for (int i = 0; i < 2 * kRecords; ++i) {
      const auto crop = [&](const cv::Mat& image) { return RandomCrop(RecordSeed(seed, 0, i), image, kCrop); };
      EXPECT_EQ(records[i], Expected(Mixed(i % kRecords), crop, 1, NoMean)) << threads << " " << i;
    }
  }
}

TEST_F(BatchLoaderTest, MeanFileIsCroppedWithTheImage) {
  WriteMixed();
  Blob<float> mean(1, 3, 6, 7);
  for (int i = 0; i < mean.count(); ++i) mean.mutable_cpu_data()[i] = i * i;
  BlobProto proto;
  mean.ToProto(&proto);
  const std::string file = folder_ + "/mean.binaryproto";
  WriteProtoToBinaryFile(proto, file);
  LayerParameter param = ShuffledParam(kRecords);
  param.mutable_transform_param()->set_mean_file(file);
  const auto records = Read(param, kRecords);
  const std::vector<uint32_t> order = EpochOrder(kSeed, 0, kRecords);
  for (int i = 0; i < kRecords; ++i) {
    const auto crop = [&](const cv::Mat& image) { return RandomCrop(RecordSeed(kSeed, 0, i), image, kCrop); };
    const auto at = [&](int c, int y, int x) { return mean.data_at(0, c, y, x); };
    EXPECT_EQ(records[i], Expected(Mixed(order[i]), crop, 1, at)) << i;
  }
}

TEST_F(BatchLoaderTest, ColourIsForced) {
  const cv::Mat colour = Pixels(0, 6, 7, CV_8UC3), grey = Pixels(1, 6, 7, CV_8UC1);
  WriteDatums({Encoded(0, colour, ".png"), Encoded(1, grey, ".png")});
  LayerParameter param = Param(2);
  param.mutable_transform_param()->set_force_color(true);
  auto records = Read(param, 2);
  for (int i = 0; i < 3 * 42; ++i) {
    EXPECT_EQ(records[0][1 + i], colour.data[i % 42 * 3 + i / 42]);
    EXPECT_EQ(records[1][1 + i], grey.data[i % 42]);
  }
  param.mutable_transform_param()->set_force_gray(true);
  EXPECT_ERROR(Read(param, 2), "force_color and force_gray");
  param.mutable_transform_param()->clear_force_color();
  records = Read(param, 2);
  ASSERT_EQ(records[0].size(), 43u);
  for (int i = 0; i < 42; ++i) {
    const uchar* bgr = colour.data + 3 * i;
    EXPECT_NEAR(records[0][1 + i], 0.114 * bgr[0] + 0.587 * bgr[1] + 0.299 * bgr[2], 1);
  }
}

TEST_F(BatchLoaderTest, ImagesOfOtherShapesNeedABatchSizeOfOne) {
  const auto image = [](int i) { return Pixels(i, 3 + i % 2, 4 + i % 3, i % 2 ? CV_8UC1 : CV_8UC3); };
  std::vector<Datum> datums;
  for (int i = 0; i < kRecords; ++i) datums.push_back(Encoded(i, image(i), ".png"));
  WriteDatums(datums);
  Blob<float> images;
  const std::vector<Blob<float>*> bottom, top{&images};  // without labels
  {
    DataLayer<float> layer(Param(1));
    layer.SetUp(bottom, top);
    for (int i = 0; i < 2 * kRecords; ++i) {
      layer.Forward(bottom, top);
      const cv::Mat expected = image(i % kRecords);
      ASSERT_EQ(images.shape(), std::vector<int>({1, expected.channels(), expected.rows, expected.cols})) << i;
      for (int p = 0; p < images.count(); ++p) {
        const int place = p % images.count(2), channel = p / images.count(2);
        EXPECT_EQ(images.cpu_data()[p], expected.data[place * expected.channels() + channel]);
      }
    }
  }
  ExpectDeath(Param(2), "Layer 'data': record \"1\" of the LMDB \".*db\" has 1 channels of 4x5, record \"0\" of the "
                        "same batch 3 channels of 3x4.*crop_size");
}

TEST_F(BatchLoaderTest, SolversShareTheRecords) {
  WriteMixed();
  const int solvers = 4, batch = 3, count = 12;
  for (bool shuffle : {false, true}) {
    LayerParameter param = ShuffledParam(batch);
    param.mutable_data_param()->set_shuffle(shuffle);
    for (Phase phase : {TRAIN, TEST}) {
      param.set_phase(phase);
      Caffe::set_solver_count(solvers);
      for (int rank = 0; rank < solvers; ++rank) {
        Caffe::set_solver_rank(rank);
        const auto records = Read(param, count);
        for (int i = 0; i < count; ++i) {
          // A solver that tests does so alone.
          const int turn = phase == TEST ? i : solvers * i + rank;
          const int record = shuffle ? EpochOrder(kSeed, turn / kRecords, kRecords)[turn % kRecords] : turn % kRecords;
          EXPECT_EQ(records[i][0], record) << shuffle << " " << phase << " " << rank << " " << i;
        }
      }
      Caffe::set_solver_count(1);
      Caffe::set_solver_rank(0);
    }
  }
}

// Each kind of damage, in a record that is read later than the others.
class DamagedRecordTest : public BatchLoaderTest {
 protected:
  void ExpectDamage(const std::string& value, const std::string& message, bool shuffle = false) {
    std::vector<std::string> values;
    for (int i = 0; i < kRecords; ++i) values.push_back(Mixed(i).SerializeAsString());
    values[7] = value;
    boost::filesystem::remove_all(source_);
    Write(values);
    LayerParameter param = ShuffledParam(4);
    param.mutable_data_param()->set_shuffle(shuffle);
    EXPECT_ERROR(Read(param, 2 * kRecords), "Layer 'data': record \"7\" of the LMDB \".*/db\" " + message +
                                                ".*\\. `caffe-acu data verify .*` finds");
  }
  void ExpectDamage(const Datum& datum, const std::string& message) {
    ExpectDamage(datum.SerializeAsString(), message);
  }
};

TEST_F(DamagedRecordTest, NoDatum) {
  ExpectDamage(std::string(300, '\xff'), "is not a Datum");
  const std::string whole = Mixed(0).SerializeAsString();
  ExpectDamage(whole.substr(0, whole.size() / 2), "is not a Datum");
  ExpectDamage(Datum(), "is a Datum without an image");
  const bool shuffle = true;
  ExpectDamage("", "is a Datum without an image", shuffle);
}

TEST_F(DamagedRecordTest, NoImage) {
  Datum datum = Mixed(0);
  datum.set_data(datum.data().substr(0, datum.data().size() / 2));
  ExpectDamage(datum, "holds an image that cannot be decoded");
  datum.clear_data();
  ExpectDamage(datum, "holds an image that cannot be decoded");
}

TEST_F(DamagedRecordTest, JpegThatIsCutOff) {
  Datum datum = Encoded(1, Pixels(1, 60, 70, CV_8UC3), ".jpg");
  const std::string whole = datum.data();
  // Two pieces that OpenCV takes for images: the last bytes are missing; or they are zeros.
  datum.set_data(whole.substr(0, whole.size() - 2));
  ExpectDamage(datum, "holds a JPEG image that is cut off");
  datum.set_data(whole.substr(0, whole.size() / 2) + std::string(whole.size() / 2, '\0'));
  ExpectDamage(datum, "holds a JPEG image that is cut off");
  // The end of a thumbnail is not the image's.
  const std::string thumbnail = std::string("\xff\xe1\x00\x06", 4) + "\xff\xd8\xff\xd9";
  datum.set_data(whole.substr(0, 2) + thumbnail + whole.substr(2, whole.size() / 2));
  ExpectDamage(datum, "holds a JPEG image that is cut off");
}

TEST_F(DamagedRecordTest, OtherNumberOfValues) {
  Datum datum = Mixed(2);
  datum.set_width(8);
  ExpectDamage(datum, "has 126 values, not 3 channels of 6x8");
  datum = Mixed(3);
  datum.set_channels(INT_MAX);
  datum.set_height(INT_MAX);
  ExpectDamage(datum, "has 126 values, not 2147483647 channels");
}

TEST_F(DamagedRecordTest, OtherImages) {
  ExpectDamage(Encoded(7, Pixels(7, 3, 7, CV_8UC3), ".png"), "is an image of 3x7, smaller than crop_size 4");
  ExpectDamage(Encoded(7, cv::Mat::zeros(6, 7, CV_16UC3), ".png"), "holds an image with more than 8 bits");
}

TEST_F(DamagedRecordTest, TheFirstRecordIsNamedInSetUp) {
  Write({"\xff"});
  Blob<float> images;
  const std::vector<Blob<float>*> bottom, top{&images};
  DataLayer<float> layer(Param(1));
  EXPECT_ERROR(layer.SetUp(bottom, top), "Layer 'data': record \"0\" of the LMDB .* is not a Datum");
}

TEST(ReadAheadTest, HoldsWhatThePrefetchingNeedsAndNotMore) {
  DataParameter data;
  data.set_batch_size(100);
  data.set_prefetch(2);
  const std::string value(1, 'x');
  const auto fill = [&](ReadAhead* read_ahead, std::string_view with) {
    int added = 0;
    while (read_ahead->WantsMore()) read_ahead->Add({value, with, static_cast<uint32_t>(added++)});
    return added;
  };
  ReadAhead read_ahead(data);
  EXPECT_EQ(fill(&read_ahead, value), 300);
  const std::vector<Record> batch = read_ahead.Take();
  ASSERT_EQ(batch.size(), 100u);
  for (uint32_t i = 0; i < 100; ++i) EXPECT_EQ(batch[i].seed, i);
  EXPECT_EQ(fill(&read_ahead, value), 100);
  EXPECT_EQ(read_ahead.Take()[0].seed, 100u);

  data.set_batch_size(1);
  ReadAhead of_small_batches(data);
  EXPECT_EQ(fill(&of_small_batches, value), 1 + static_cast<int>(ReadAhead::kLeastRecords));

  // Large records: a batch must be whole, beyond it memory is the limit. Nothing is there, and nothing is read.
  data.set_batch_size(100);
  ReadAhead of_large_records(data);
  EXPECT_EQ(fill(&of_large_records, std::string_view(nullptr, ReadAhead::kMostBytes)), 100);
  ReadAhead of_medium_records(data);
  EXPECT_EQ(fill(&of_medium_records, std::string_view(nullptr, ReadAhead::kMostBytes / 128)), 128);
  of_medium_records.Take();
  EXPECT_EQ(fill(&of_medium_records, std::string_view(nullptr, ReadAhead::kMostBytes / 128)), 100);
}

}  // namespace caffe
