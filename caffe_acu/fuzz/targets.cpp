#include "caffe_acu/fuzz/targets.hpp"

#include <new>

#include "caffe/common.hpp"
#include "caffe_acu/util/error.hpp"

namespace caffe {
namespace fuzz {

const std::vector<Target>& Targets() {
  static const std::vector<Target> targets = {kPrototxt, kWeights, kHdf5, kSolverState, kDatum};
  return targets;
}

const Target* FindTarget(const std::string& name) {
  for (const Target& target : Targets()) {
    if (name == target.name) return &target;
  }
  return nullptr;
}

void RunTarget(const Target& target, std::string_view input) {
  Caffe::set_mode(Caffe::CPU);
  Caffe::set_random_seed(1);
  try {
    target.run(input);
  } catch (const Error&) {
  } catch (const std::bad_alloc&) {
  }
}

}  // namespace fuzz
}  // namespace caffe
