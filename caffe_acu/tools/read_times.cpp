// Times how fast a Data layer reads an LMDB: benchmarks/reading.py starts it. Prints a line of JSON.
//
// What is timed is the layer with its prefetch thread, with nobody who does anything with the images; or, with --raw,
// the reading alone: every record is touched, on all threads, and none is decoded.

#include <gflags/gflags.h>
#include <glog/logging.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <numeric>
#include <string>
#include <vector>

#include "caffe/caffe.hpp"
#include "caffe/layers/data_layer.hpp"
#include "caffe/util/db_lmdb.hpp"
#include "caffe_acu/data/read_ahead.hpp"
#include "caffe_acu/data/shuffled_cursor.hpp"
#include "caffe_acu/util/parallel.hpp"

DEFINE_string(source, "", "The LMDB.");
DEFINE_bool(shuffle, false, "Read in a random order.");
DEFINE_bool(raw, false, "Touch the records and do not decode them.");
DEFINE_int32(batch_size, 64, "Records of a batch.");
DEFINE_int32(prefetch, 4, "Batches that the layer prefetches.");
DEFINE_int32(crop, 224, "crop_size, with mirror; 0: whole images.");
DEFINE_int32(records, 10000, "How many to read.");
DEFINE_double(seconds, 0, "Stop after this time, if more than 0.");
DEFINE_int32(seed, 1, "Of the order, so that two runs need not read the same records.");

namespace caffe {
namespace {

double Seconds(std::chrono::steady_clock::time_point since) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - since).count();
}

LayerParameter Layer() {
  LayerParameter layer;
  layer.set_name("data");
  layer.set_type("Data");
  layer.set_phase(TRAIN);
  DataParameter* data = layer.mutable_data_param();
  data->set_source(FLAGS_source);
  data->set_backend(DataParameter::LMDB);
  data->set_batch_size(FLAGS_batch_size);
  data->set_prefetch(FLAGS_prefetch);
  data->set_shuffle(FLAGS_shuffle);
  data->set_shuffle_seed(FLAGS_seed);
  layer.mutable_transform_param()->set_crop_size(FLAGS_crop);
  layer.mutable_transform_param()->set_mirror(FLAGS_crop > 0);
  return layer;
}

/// Calls next_batch until enough has been read, and prints how long that took.
template <typename NextBatch>
void Time(std::chrono::steady_clock::time_point begin, const NextBatch& next_batch) {
  const double set_up = Seconds(begin);
  begin = std::chrono::steady_clock::now();
  int records = 0;
  double seconds = 0;
  while (records < FLAGS_records && (FLAGS_seconds <= 0 || seconds < FLAGS_seconds)) {
    next_batch();
    records += FLAGS_batch_size;
    seconds = Seconds(begin);
  }
  std::printf("{\"records\": %d, \"seconds\": %.6g, \"records_per_s\": %.6g, \"set_up_s\": %.6g}\n", records, seconds,
              records / seconds, set_up);
}

void TimeLayer() {
  Blob<float> images, labels;
  const std::vector<Blob<float>*> bottom, top{&images, &labels};
  const auto begin = std::chrono::steady_clock::now();
  DataLayer<float> layer(Layer());
  layer.SetUp(bottom, top);
  Time(begin, [&] { layer.Forward(bottom, top); });
}

void TimeRaw() {
  const LayerParameter param = Layer();
  const auto begin = std::chrono::steady_clock::now();
  const shared_ptr<db::DB> lmdb(db::GetDB(DataParameter::LMDB));
  SetAccess(param, lmdb.get());
  lmdb->Open(FLAGS_source, db::READ);
  const shared_ptr<db::LMDBCursor> in_order(static_cast<db::LMDBCursor*>(lmdb->NewCursor()));
  shared_ptr<ShuffledCursor> shuffled;
  if (FLAGS_shuffle) shuffled.reset(new ShuffledCursor(in_order, param));
  db::Cursor* const cursor = shuffled ? static_cast<db::Cursor*>(shuffled.get()) : in_order.get();
  ReadAhead read_ahead(param.data_param());
  std::atomic<unsigned> sum(0);
  Time(begin, [&] {
    while (read_ahead.WantsMore()) {
      read_ahead.Add(shuffled ? shuffled->record() : in_order->record());
      cursor->Next();
      if (!cursor->valid()) cursor->SeekToFirst();
    }
    const std::vector<Record> batch = read_ahead.Take();
    ParallelFor(FLAGS_batch_size, [&](int i) {
      sum += std::accumulate(batch[i].value.begin(), batch[i].value.end(), 0u);
    });
  });
}

}  // namespace
}  // namespace caffe

int main(int argc, char** argv) {
  FLAGS_logtostderr = true;
  FLAGS_minloglevel = google::GLOG_WARNING;
  gflags::SetUsageMessage("times how fast a Data layer reads an LMDB (--source); prints JSON");
  caffe::GlobalInit(&argc, &argv);
  const auto fail = [](const char* message) {
    std::fprintf(stderr, "read_times: %s\n", message);
    return 2;
  };
  if (FLAGS_source.empty()) return fail("nothing to read: give --source (see --help)");
  if (std::min({FLAGS_batch_size, FLAGS_prefetch, FLAGS_records}) < 1 || FLAGS_crop < 0) {
    return fail("--batch_size, --prefetch and --records take 1 or more, --crop 0 or more");
  }
  caffe::Caffe::set_mode(caffe::Caffe::CPU);
  if (FLAGS_raw) {
    caffe::TimeRaw();
  } else {
    caffe::TimeLayer();
  }
  return 0;
}
