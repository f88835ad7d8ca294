#include "caffe_acu/tools/caffe_resume.hpp"

#include <gflags/gflags.h>
#include <glog/logging.h>

#include "caffe_acu/snapshot/snapshot.hpp"

DEFINE_string(resume, "",
              "Optional; auto: train on from the last good snapshot of the solver's snapshot_prefix, if there is one.");

namespace caffe {

void ChooseSnapshot(const SolverParameter& solver, std::string* snapshot) {
  if (FLAGS_resume.empty()) return;
  LOG_IF(FATAL, FLAGS_resume != "auto")
      << "--resume " << FLAGS_resume << ": it takes auto; a certain one is given to --snapshot";
  LOG_IF(FATAL, !snapshot->empty()) << "--resume auto and --snapshot " << *snapshot << ": give one of them";
  *snapshot = LastGoodSnapshot(solver.snapshot_prefix());
  LOG(INFO) << (snapshot->empty() ? "no snapshot of " + solver.snapshot_prefix() + " to go on from: the training begins"
                                  : "going on from " + *snapshot);
}

}  // namespace caffe
