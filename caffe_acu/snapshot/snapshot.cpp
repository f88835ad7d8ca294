#include "caffe_acu/snapshot/snapshot.hpp"

#include <functional>
#include <map>
#include <regex>

#include "boost/filesystem.hpp"
#include "caffe/proto/caffe.pb.h"
#include "caffe/util/upgrade_proto.hpp"
#include "caffe_acu/snapshot/digests.hpp"
#include "caffe_acu/snapshot/solver_state.hpp"
#include "caffe_acu/util/hdf5_input.hpp"

namespace caffe {
namespace {

namespace fs = boost::filesystem;

// Throws unless a solverstate and its caffemodel, which differ in their extension, are whole: by their digests, or, if
// there are none, as far as their format tells.
void CheckPair(const std::string& state_path) {
  std::string model_path = state_path;
  const std::string extension = ".solverstate";
  model_path.replace(model_path.rfind(extension), extension.size(), ".caffemodel");
  LOG_IF(FATAL, !fs::exists(model_path)) << state_path << ": its weights are missing, " << model_path;
  const bool recorded = CheckDigest(state_path) && CheckDigest(model_path);
  if (recorded) return;
  if (fs::path(state_path).extension() == ".h5") {
    for (const std::string& path : {state_path, model_path}) Hdf5Input{path};
    return;
  }
  SolverState state;
  ReadSolverState(state_path, &state);
  NetParameter net;
  ReadNetParamsFromBinaryFileOrDie(model_path, &net);
}

}  // namespace

std::string LastGoodSnapshot(const std::string& prefix) {
  const fs::path place(prefix);
  const fs::path folder = place.has_parent_path() ? place.parent_path() : ".";
  const std::string begin = place.filename().string() + "_iter_";
  if (!fs::is_directory(folder)) return "";
  const std::regex state("([0-9]{1,9})\\.solverstate(\\.h5)?"), part("[0-9]+\\.[a-z0-9.]+\\.partial");
  std::multimap<int, std::string, std::greater<int>> found;
  std::vector<fs::path> parts;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    const size_t hidden = name[0] == '.' && begin[0] != '.';
    if (name.compare(hidden, begin.size(), begin) != 0) continue;
    const std::string end = name.substr(hidden + begin.size());
    std::smatch match;
    if (hidden && std::regex_match(end, part)) parts.push_back(entry.path());
    if (!hidden && std::regex_match(end, match, state)) {
      // The path as Caffe would write it, which begins like the prefix.
      found.emplace(std::stoi(match[1]), prefix + "_iter_" + end);
    }
  }
  for (const fs::path& file : parts) fs::remove(file);
  for (const auto& snapshot : found) {
    try {
      CheckPair(snapshot.second);
      return snapshot.second;
    } catch (const Error& error) {
      LOG(WARNING) << "passed over a snapshot: " << error.what();
    }
  }
  return "";
}

}  // namespace caffe
