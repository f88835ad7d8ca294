// HDF5 files of weights and of solvers: what Caffe makes of their content. The input is a NetParameter that describes
// the file, since the HDF5 library itself is known to fail on files that are none: layer.name is a group, layer.top
// names its data sets, blobs have their sizes, and layer.type is what is in those that are texts.
#include <hdf5.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <sstream>

#include "caffe/util/rng.hpp"
#include "caffe_acu/fuzz/small_solver.hpp"
#include "caffe_acu/fuzz/targets.hpp"
#include "caffe_acu/util/error.hpp"

namespace caffe {
namespace fuzz {
namespace {

enum Kind { kFloat, kDouble, kInt, kText, kAnyText, kByte, kKinds };

hid_t TypeOf(Kind kind, const std::string& text) {
  switch (kind) {
    case kDouble: return H5Tcopy(H5T_NATIVE_DOUBLE);
    case kInt: return H5Tcopy(H5T_NATIVE_INT);
    case kByte: return H5Tcopy(H5T_NATIVE_UCHAR);
    case kText:
    case kAnyText: {
      const hid_t type = H5Tcopy(H5T_C_S1);
      H5Tset_size(type, kind == kText ? std::max<size_t>(text.size(), 1) : H5T_VARIABLE);
      return type;
    }
    default: return H5Tcopy(H5T_NATIVE_FLOAT);
  }
}

// As many dimensions, of whatever size, as the file is to tell of; only small ones get values.
void WriteDataSet(hid_t group, const std::string& name, const BlobProto& blob, const std::string& text) {
  const Kind kind = static_cast<Kind>(static_cast<unsigned>(blob.num()) % kKinds);
  std::vector<hsize_t> sizes;
  double count = 1;
  for (int i = 0; i < std::min(blob.shape().dim_size(), 32); ++i) {
    sizes.push_back(static_cast<hsize_t>(blob.shape().dim(i)));
    count *= static_cast<double>(sizes.back());
  }
  const hid_t type = TypeOf(kind, text), space = H5Screate_simple(static_cast<int>(sizes.size()), sizes.data(), nullptr);
  const hid_t set = space < 0 ? -1 : H5Dcreate2(group, name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  if (set >= 0 && count < 1 << 16) {
    const char* const of_any_length = text.c_str();
    if (kind == kText && count == 1) {
      H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, text.c_str());
    } else if (kind == kAnyText && count == 1) {
      H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, &of_any_length);
    } else if (kind != kText && kind != kAnyText) {
      std::vector<float> values(static_cast<size_t>(count) + 1, blob.data_size() ? blob.data(0) : 0);
      H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
    }
  }
  if (set >= 0) H5Dclose(set);
  if (space >= 0) H5Sclose(space);
  H5Tclose(type);
}

void WriteFile(const NetParameter& description, const std::string& path) {
  const hid_t links = H5Pcreate(H5P_LINK_CREATE);
  H5Pset_create_intermediate_group(links, 1);
  const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  for (const LayerParameter& layer : description.layer()) {
    const std::string name = "/" + layer.name();
    hid_t group = H5Gopen2(file, name.c_str(), H5P_DEFAULT);
    if (group < 0) group = H5Gcreate2(file, name.c_str(), links, H5P_DEFAULT, H5P_DEFAULT);
    for (int i = 0; group >= 0 && i < layer.blobs_size(); ++i) {
      const std::string set = i < layer.top_size() ? layer.top(i) : std::to_string(i);
      if (!set.empty()) WriteDataSet(group, set, layer.blobs(i), layer.type());
    }
    if (group >= 0) H5Gclose(group);
  }
  H5Pclose(links);
  H5Fclose(file);
}

void Run(std::string_view input) {
  NetParameter description;
  CHECK(description.ParseFromArray(input.data(), static_cast<int>(input.size())));
  for (LayerParameter& layer : *description.mutable_layer()) {
    if (layer.type().find('/') != std::string::npos) layer.set_type("");  // no other file is to be read
  }
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  char path[] = "/tmp/caffe-acu-XXXXXX.h5";
  const int descriptor = mkstemps(path, 3);
  CHECK_GE(descriptor, 0);
  close(descriptor);
  try {
    WriteFile(description, path);
    try {
      Net<float> net(SmallNet(TEST));
      net.CopyTrainedLayersFrom(std::string(path));
      net.Forward();
    } catch (const Error&) {
    }
    SmallSolver solver;
    solver.Restore(path);
    solver.Train();
  } catch (...) {
    std::remove(path);
    throw;
  }
  std::remove(path);
}

std::vector<std::string> Seeds() {
  TrainingState training;
  std::ostringstream random;
  random << *caffe_rng();
  training.set_random(random.str());
  NetParameter state, weights;
  LayerParameter* root = state.add_layer();
  root->set_type(training.ShortDebugString());
  for (const char* name : {"iter", "current_step", "training_state"}) {
    root->add_top(name);
    BlobProto* blob = root->add_blobs();
    const bool text = root->top_size() == 3;
    blob->set_num(text ? kText : kInt);
    if (!text) blob->mutable_shape()->add_dim(1);
  }
  LayerParameter* history = state.add_layer();
  history->set_name("history");
  Net<float>(SmallNet(TRAIN)).ToProto(&weights);
  for (LayerParameter& layer : *weights.mutable_layer()) {
    layer.set_name("data/" + layer.name());
    layer.clear_top();
    for (BlobProto& blob : *layer.mutable_blobs()) {
      blob.clear_data();
      blob.add_data(0.25f);
      *history->add_blobs() = blob;
    }
  }
  NetParameter both(weights);
  both.MergeFrom(state);
  root->set_type("no state");
  return {both.SerializeAsString(), weights.SerializeAsString(), state.SerializeAsString()};
}

std::unique_ptr<google::protobuf::Message> Message() { return std::make_unique<NetParameter>(); }

}  // namespace

extern const Target kHdf5 = {"hdf5", &Run, &Message, false, &Seeds};

}  // namespace fuzz
}  // namespace caffe
