// Times layers, a solver's iteration and copies in memory, and dumps what a layer computes: benchmarks/gpu.py
// starts it. Prints a line of JSON for everything that it has measured, in milliseconds.
//
// On the GPU, times are those between events. The passes of a layer are enqueued one after the other while the GPU is
// still busy with something else, and nothing is waited for in between: what is timed is the GPU, not how
// fast the host asks. Passes take turns on several copies of the layer's input and output, more than the
// cache holds, so that every pass reads its input from memory.

#include <gflags/gflags.h>
#include <glog/logging.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "caffe/caffe.hpp"
#include "caffe/util/upgrade_proto.hpp"
#include "caffe_acu/tools/npy.hpp"
#include "caffe_acu/util/device.hpp"

DEFINE_string(net, "", "Prototxt of Input layers and layers to be timed, each by itself.");
DEFINE_string(weights, "", "A caffemodel with parameters of the net's layers; others keep what their fillers gave.");
DEFINE_string(solver, "", "Prototxt of a solver whose net has Input layers: times its iterations.");
DEFINE_bool(copy_bandwidth, false, "Measure how fast memory is copied.");
DEFINE_string(dump, "", "Write what every layer of the net reads and computes as .npy below this folder.");
DEFINE_int32(gpu, -1, "The GPU to run on; -1: the CPU.");
DEFINE_int32(repetitions, 50, "Timed passes, of each kind; 0: none.");
DEFINE_int32(warm_up, 5, "Passes before those.");
DEFINE_int32(working_set, -1, "MiB of inputs and outputs that passes take turns on; -1: four times the GPU's cache.");
DEFINE_int32(head_start, 64, "Times that 256 MiB are set, to keep the GPU busy while the host gets ahead.");
DEFINE_int32(seed, 1, "Of inputs, and of parameters that are not loaded.");

namespace caffe {
namespace {

using std::string;
using std::vector;

constexpr size_t kMiB = size_t(1) << 20;

bool OnGpu() { return Caffe::mode() == Caffe::GPU; }

/// Points in time, of the GPU where there is one in use, else of the host.
class Marks {
 public:
  explicit Marks(int count) : host_(count) {
#ifndef CPU_ONLY
    if (!OnGpu()) return;
    events_.resize(count);
    for (cudaEvent_t& event : events_) CUDA_CHECK(cudaEventCreate(&event));
#endif
  }
#ifndef CPU_ONLY
  ~Marks() {
    for (cudaEvent_t event : events_) cudaEventDestroy(event);
  }
#endif
  void Set(int i) {
#ifndef CPU_ONLY
    if (OnGpu()) {
      CUDA_CHECK(cudaEventRecord(events_[i], 0));
      return;
    }
#endif
    host_[i] = std::chrono::steady_clock::now();
  }
  /// Milliseconds from each mark to the next. Waits for the GPU.
  vector<double> Intervals() const {
    vector<double> result;
    for (size_t i = 1; i < host_.size(); ++i) {
#ifndef CPU_ONLY
      if (OnGpu()) {
        float milliseconds;
        CUDA_CHECK(cudaEventSynchronize(events_[i]));
        CUDA_CHECK(cudaEventElapsedTime(&milliseconds, events_[i - 1], events_[i]));
        result.push_back(milliseconds);
        continue;
      }
#endif
      result.push_back(std::chrono::duration<double, std::milli>(host_[i] - host_[i - 1]).count());
    }
    return result;
  }

 private:
  vector<std::chrono::steady_clock::time_point> host_;
#ifndef CPU_ONLY
  vector<cudaEvent_t> events_;
#endif
};

/// Keeps the GPU busy for some milliseconds, in which the host gets ahead of it.
class HeadStart {
 public:
#ifndef CPU_ONLY
  HeadStart() {
    if (OnGpu() && FLAGS_head_start > 0) CUDA_CHECK(cudaMalloc(&memory_, kBytes));
  }
  ~HeadStart() { cudaFree(memory_); }
  void Give() {
    for (int i = 0; memory_ && i < FLAGS_head_start; ++i) CUDA_CHECK(cudaMemsetAsync(memory_, 0, kBytes, 0));
  }

 private:
  static constexpr size_t kBytes = 256 * kMiB;
  void* memory_ = nullptr;
#else
  void Give() {}
#endif
};

double Quantile(vector<double> values, double fraction) {
  std::sort(values.begin(), values.end());
  const double place = fraction * (values.size() - 1);
  const size_t below = static_cast<size_t>(place), above = std::min(below + 1, values.size() - 1);
  return values[below] + (place - below) * (values[above] - values[below]);
}

string Quartiles(const vector<double>& values) {
  char text[160];
  std::snprintf(text, sizeof text, "{\"lower_quartile\": %.6g, \"median\": %.6g, \"upper_quartile\": %.6g}",
                Quantile(values, .25), Quantile(values, .5), Quantile(values, .75));
  return text;
}

string Quoted(const string& text) {
  string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + '"';
}

void Print(const string& fields) {
  std::printf("{%s}\n", fields.c_str());
  std::fflush(stdout);  // a later layer may end the program
}

void FillGaussian(Blob<float>* blob, bool diff) {
  caffe_rng_gaussian<float>(blob->count(), 0, 1, diff ? blob->mutable_cpu_diff() : blob->mutable_cpu_data());
}

/// A layer's input and output, filled at random, with the output's gradient.
struct Blobs {
  Blobs(const vector<Blob<float>*>& net_bottoms, const vector<Blob<float>*>& net_tops) {
    const auto copy = [this](const Blob<float>* like) {
      owned.emplace_back(new Blob<float>(like->shape()));
      return owned.back().get();
    };
    for (const Blob<float>* blob : net_bottoms) bottoms.push_back(copy(blob));
    for (const Blob<float>* blob : net_tops) tops.push_back(copy(blob));
    for (Blob<float>* blob : bottoms) FillGaussian(blob, false);
    for (Blob<float>* blob : tops) FillGaussian(blob, true);
  }
  size_t bytes() const {
    size_t count = 0;
    for (const auto& blob : owned) count += blob->count();
    return count * sizeof(float);
  }
  vector<std::unique_ptr<Blob<float>>> owned;
  vector<Blob<float>*> bottoms, tops;
};

size_t WorkingSet() {
  if (FLAGS_working_set >= 0) return FLAGS_working_set * kMiB;
#ifndef CPU_ONLY
  if (OnGpu()) {
    int cache = 0;
    CUDA_CHECK(cudaDeviceGetAttribute(&cache, cudaDevAttrL2CacheSize, FLAGS_gpu));
    return size_t(4) * cache;
  }
#endif
  return 0;
}

/// One layer of a net, apart from it.
class Timed {
 public:
  Timed(const Net<float>& net, int index)
      : layer_(net.layers()[index].get()), propagate_(net.bottom_need_backward()[index]) {
    constexpr size_t kMostCopies = 64;
    do {
      copies_.emplace_back(net.bottom_vecs()[index], net.top_vecs()[index]);
    } while (copies_.size() < kMostCopies && copies_.size() * copies_[0].bytes() < WorkingSet());
  }

  void Time(HeadStart* head_start) {
    const string forward = Quartiles(Series(head_start, false)), both = Quartiles(Series(head_start, true));
    const LayerParameter& param = layer_->layer_param();
    Print("\"layer\": " + Quoted(param.name()) + ", \"type\": " + Quoted(param.type()) +
          ", \"repetitions\": " + std::to_string(FLAGS_repetitions) + ", \"copies\": " +
          std::to_string(copies_.size()) + ", \"bytes\": " + std::to_string(copies_[0].bytes()) +
          ", \"forward_ms\": " + forward + ", \"forward_backward_ms\": " + both);
  }

  /// Writes one pass, with the parameters' gradients from zero.
  void Dump(const std::filesystem::path& folder) {
    for (auto& blob : layer_->blobs()) caffe_set(blob->count(), 0.f, blob->mutable_cpu_diff());
    Pass(0, true);
    std::filesystem::create_directories(folder);
    const auto write = [&folder](const string& name, const Blob<float>& blob) {
      WriteNpy(folder / (name + ".npy"), blob.shape(), blob.cpu_data());
      WriteNpy(folder / (name + "_diff.npy"), blob.shape(), blob.cpu_diff());
    };
    const auto write_all = [&write](const string& name, const vector<Blob<float>*>& blobs) {
      for (size_t i = 0; i < blobs.size(); ++i) write(name + std::to_string(i), *blobs[i]);
    };
    write_all("bottom", copies_[0].bottoms);
    write_all("top", copies_[0].tops);
    for (size_t i = 0; i < layer_->blobs().size(); ++i) write("blob" + std::to_string(i), *layer_->blobs()[i]);
  }

 private:
  void Pass(int number, bool backward) {
    const Blobs& blobs = copies_[number % copies_.size()];
    layer_->Forward(blobs.bottoms, blobs.tops);
    if (backward) layer_->Backward(blobs.tops, propagate_, blobs.bottoms);
  }

  vector<double> Series(HeadStart* head_start, bool backward) {
    // Every copy is moved to the GPU before it counts.
    const int warm_up = std::max<int>(FLAGS_warm_up, copies_.size());
    for (int i = 0; i < warm_up; ++i) Pass(i, backward);
    Marks marks(FLAGS_repetitions + 1);
    head_start->Give();
    marks.Set(0);
    for (int i = 0; i < FLAGS_repetitions; ++i) {
      Pass(i, backward);
      marks.Set(i + 1);
    }
    return marks.Intervals();
  }

  Layer<float>* layer_;
  vector<bool> propagate_;
  vector<Blobs> copies_;
};

void Layers() {
  NetParameter param;
  ReadNetParamsFromTextFileOrDie(FLAGS_net, &param);
  param.mutable_state()->set_phase(TRAIN);
  param.set_force_backward(true);
  Net<float> net(param);
  if (!FLAGS_weights.empty()) net.CopyTrainedLayersFrom(FLAGS_weights);
  HeadStart head_start;
  for (size_t i = 0; i < net.layers().size(); ++i) {
    const string type = net.layers()[i]->type();
    if (type == "Input" || type == "Split") continue;
    Timed layer(net, i);
    if (!FLAGS_dump.empty()) layer.Dump(std::filesystem::path(FLAGS_dump) / net.layer_names()[i]);
    if (FLAGS_repetitions > 0) layer.Time(&head_start);
  }
}

void Iterations() {
  constexpr int kClasses = 10;
  SolverParameter param;
  ReadSolverParamsFromTextFileOrDie(FLAGS_solver, &param);
  param.set_solver_mode(OnGpu() ? SolverParameter::GPU : SolverParameter::CPU);
  const std::unique_ptr<Solver<float>> solver(SolverRegistry<float>::CreateSolver(param));
  const Net<float>& net = *solver->net();
  for (size_t i = 0; i < net.layers().size(); ++i) {
    if (string(net.layers()[i]->type()) != "Input") continue;
    const vector<Blob<float>*>& tops = net.top_vecs()[i];
    for (size_t j = 0; j < tops.size(); ++j) {
      FillGaussian(tops[j], false);
      float* values = tops[j]->mutable_cpu_data();
      // After the images, labels.
      for (int k = 0; j > 0 && k < tops[j]->count(); ++k) values[k] = k % kClasses;
    }
  }
  solver->Step(FLAGS_warm_up);
  // An iteration ends with the host reading the loss of the next, so the host's clock tells.
  vector<double> milliseconds;
  for (int i = 0; i < FLAGS_repetitions; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    solver->Step(1);
    milliseconds.push_back(
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
  }
  Print("\"solver\": " + Quoted(net.name()) + ", \"repetitions\": " + std::to_string(FLAGS_repetitions) +
        ", \"iteration_ms\": " + Quartiles(milliseconds));
}

void CopyBandwidth() {
  const size_t bytes = (OnGpu() ? 2048 : 128) * kMiB;
  Marks marks(FLAGS_repetitions + 1);
  vector<double> milliseconds;
  if (OnGpu()) {
#ifndef CPU_ONLY
    void *from, *to;
    CUDA_CHECK(cudaMalloc(&from, bytes));
    CUDA_CHECK(cudaMalloc(&to, bytes));
    CUDA_CHECK(cudaMemset(from, 1, bytes));
    for (int i = -FLAGS_warm_up; i <= FLAGS_repetitions; ++i) {
      if (i >= 0) marks.Set(i);
      CUDA_CHECK(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, 0));
    }
    milliseconds = marks.Intervals();
    CUDA_CHECK(cudaFree(from));
    CUDA_CHECK(cudaFree(to));
#endif
  } else {
    const vector<char> from(bytes, 1);
    vector<char> to(bytes);
    for (int i = 0; i <= FLAGS_repetitions; ++i) {
      marks.Set(i);
      std::memcpy(to.data(), from.data(), bytes);
    }
    milliseconds = marks.Intervals();
  }
  char speed[80];
  std::snprintf(speed, sizeof speed, "\"copy_gb_per_s\": %.6g, \"bytes\": %zu",
                2e-6 * bytes / Quantile(milliseconds, .5), bytes);
  Print(speed);
}

/// What is measured on; cudnn 0: it cannot be used, and convolutions are Caffe's own.
void PrintDevice() {
  string fields = "\"device\": \"CPU\"";
#ifndef CPU_ONLY
  if (OnGpu()) {
    cudaDeviceProp device;
    int driver = 0, runtime = 0;
    CUDA_CHECK(cudaGetDeviceProperties(&device, FLAGS_gpu));
    CUDA_CHECK(cudaDriverGetVersion(&driver));
    CUDA_CHECK(cudaRuntimeGetVersion(&runtime));
    fields = "\"device\": " + Quoted(device.name) + ", \"cuda_of_driver\": " + std::to_string(driver) +
             ", \"cuda_runtime\": " + std::to_string(runtime);
#ifdef USE_CUDNN
    fields += ", \"cudnn\": " + std::to_string(CudnnIsUsable() ? cudnnGetVersion() : 0);
#endif
  }
#endif
  Print(fields);
}

}  // namespace
}  // namespace caffe

int main(int argc, char** argv) {
  FLAGS_logtostderr = true;
  FLAGS_minloglevel = google::GLOG_WARNING;
  gflags::SetUsageMessage("times layers (--net), iterations (--solver) and copies (--copy_bandwidth); prints JSON");
  caffe::GlobalInit(&argc, &argv);
  const auto fail = [](const char* message) {
    std::fprintf(stderr, "layer_times: %s\n", message);
    return 2;
  };
  if (FLAGS_net.empty() && FLAGS_solver.empty() && !FLAGS_copy_bandwidth) {
    return fail("nothing to do: give --net, --solver or --copy_bandwidth (see --help)");
  }
  if (FLAGS_repetitions < 0 || FLAGS_warm_up < 0) return fail("--repetitions and --warm_up take 0 or more");
  if (FLAGS_repetitions == 0 && (FLAGS_dump.empty() || !FLAGS_solver.empty() || FLAGS_copy_bandwidth)) {
    return fail("--repetitions 0 leaves nothing to do but --dump");
  }
  if (FLAGS_gpu >= 0) {
#ifdef CPU_ONLY
    return fail("--gpu: this is a build for the CPU only");
#endif
    caffe::Caffe::SetDevice(FLAGS_gpu);
    caffe::Caffe::set_mode(caffe::Caffe::GPU);
  } else {
    caffe::Caffe::set_mode(caffe::Caffe::CPU);
  }
  caffe::Caffe::set_random_seed(FLAGS_seed);
  caffe::PrintDevice();
  if (FLAGS_copy_bandwidth) caffe::CopyBandwidth();
  if (!FLAGS_net.empty()) caffe::Layers();
  if (!FLAGS_solver.empty()) caffe::Iterations();
  return 0;
}
