#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "boost/filesystem.hpp"
#include "boost/make_shared.hpp"
#include "caffe/util/io.hpp"
#include "caffe_acu/snapshot/digests.hpp"
#include "caffe_acu/snapshot/hdf5_image.hpp"
#include "caffe_acu/snapshot/snapshot.hpp"
#include "caffe_acu/snapshot/solver_state.hpp"
#include "caffe_acu/snapshot/whole_file.hpp"
#include "caffe_acu/tests/expect_error.hpp"
#include "gtest/gtest.h"

namespace caffe {
namespace {

namespace fs = boost::filesystem;

std::string Content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

void Put(const std::string& path, const std::string& content) { std::ofstream(path, std::ios::binary) << content; }

}  // namespace

class SnapshotTest : public ::testing::Test {
 protected:
  void SetUp() override { MakeTempDir(&folder_); }
  void TearDown() override { fs::remove_all(folder_); }

  std::string Path(const std::string& name) const { return folder_ + "/" + name; }
  std::set<std::string> Names() const {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_)) names.insert(entry.path().filename().string());
    return names;
  }

  // A pair as Caffe writes it; `digests`: beside them.
  std::string WritePair(const std::string& prefix, int iteration, bool digests = true) const {
    const std::string stem = Path(prefix + "_iter_" + std::to_string(iteration));
    NetParameter net;
    net.add_layer()->set_name("fc");
    SolverState state;
    state.set_iter(iteration);
    state.set_current_step(0);
    WriteTogether([&] {
      WriteProtoToBinaryFile(net, stem + ".caffemodel");
      WriteProtoToBinaryFile(state, stem + ".solverstate");
    });
    if (!digests) fs::remove(stem + ".digests");
    return stem;
  }

  std::string folder_;
};

TEST_F(SnapshotTest, AFileIsThereWholeOrNotAtAll) {
  const std::string path = Path("a");
  Put(path, "before");
  {
    PartialFile partial(path);
    Put(partial.name(), "half");
    EXPECT_EQ(Content(path), "before");
    EXPECT_EQ(Names().size(), 2u);
  }
  EXPECT_EQ(Names(), std::set<std::string>({"a"}));
  const std::string large(5 << 20, 'x');
  for (const std::string& content : {std::string(), std::string("after"), large}) {
    WriteWhole(path, content);
    EXPECT_EQ(Content(path), content);
    EXPECT_EQ(Names(), std::set<std::string>({"a"}));
  }
}

TEST_F(SnapshotTest, LinksStayLinksAndDevicesStayDevices) {
  Put(Path("real"), "");
  fs::create_symlink("real", Path("link"));
  WriteWhole(Path("link"), "new");
  EXPECT_TRUE(fs::is_symlink(Path("link")));
  EXPECT_EQ(Content(Path("real")), "new");
  WriteWhole("/dev/null", "new");
  struct stat status;
  ASSERT_EQ(stat("/dev/null", &status), 0);
  EXPECT_TRUE(S_ISCHR(status.st_mode));
}

TEST_F(SnapshotTest, AFileInMemoryIsWrittenItself) {
  const int descriptor = memfd_create("net", 0);
  WriteWhole("/proc/self/fd/" + std::to_string(descriptor), "new");
  char content[4] = {};
  EXPECT_EQ(pread(descriptor, content, sizeof content, 0), 3);
  EXPECT_STREQ(content, "new");
  close(descriptor);
}

TEST_F(SnapshotTest, WhatTheSystemRefusesIsTold) {
  SolverState state;
  state.set_learned_net(std::string(1 << 20, 'x'));
  EXPECT_ERROR(WriteProtoToBinaryFile(state, "/dev/full"), "/dev/full: cannot be written: No space left on device");
  EXPECT_ERROR(WriteWhole("/dev/full", "x"), "No space left on device");
  EXPECT_ERROR(WriteWhole(Path("no/a"), "x"), "no/.a.[0-9]+.partial: cannot be written: No such file or directory");
  fs::create_directory(Path("folder"));
  EXPECT_ERROR(WriteWhole(Path("folder"), "x"), "folder: cannot be written: Is a directory");
  int reached = 0;
  InPassing(5, [&] {
    ++reached;
    WriteWhole("/dev/full", "x");
  });
  EXPECT_EQ(reached, 1);
}

TEST_F(SnapshotTest, AnHdf5FileIsWrittenAsOne) {
  {
    const Hdf5Image image(Path("a.h5"));
    const hid_t group = H5Gcreate2(image.file(), "group", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    EXPECT_TRUE(Names().empty());
    H5Gclose(group);
    image.Write();
  }
  const hid_t file = H5Fopen(Path("a.h5").c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
  ASSERT_GE(file, 0);
  EXPECT_GT(H5Lexists(file, "group", H5P_DEFAULT), 0);
  H5Fclose(file);
  {
    // As when an Error is thrown while a group is open.
    const Hdf5Image image("/dev/full");
    H5Gcreate2(image.file(), "group", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    EXPECT_ERROR(image.Write(), "/dev/full: cannot be written: No space left");
  }
  EXPECT_EQ(H5Fget_obj_count(H5F_OBJ_ALL, H5F_OBJ_ALL), 0);
}

TEST_F(SnapshotTest, FilesGetTheirNamesTogetherWithDigests) {
  const std::string model = Path("a b_iter_3.caffemodel"), state = Path("a b_iter_3.solverstate");
  const auto fail = [&] {
    WriteWhole(model, "123456789");
    WriteWhole(Path("no/a"), "x");
  };
  EXPECT_ERROR(WriteTogether(fail), "cannot be written");
  EXPECT_TRUE(Names().empty());
  WriteTogether([&] {
    WriteWhole(model, "123456789");
    WriteWhole(state, "");
    EXPECT_FALSE(fs::exists(model));
  });
  EXPECT_EQ(Names(), std::set<std::string>({"a b_iter_3.caffemodel", "a b_iter_3.digests", "a b_iter_3.solverstate"}));
  // The check value of CRC-32.
  EXPECT_EQ(Content(Path("a b_iter_3.digests")),
            "9 cbf43926 a b_iter_3.caffemodel\n0 0 a b_iter_3.solverstate\n");
  EXPECT_TRUE(CheckDigest(model));
  EXPECT_TRUE(CheckDigest(state));
}

TEST_F(SnapshotTest, EveryDamageIsNoticed) {
  const std::string model = WritePair("net", 7) + ".caffemodel", whole = Content(model);
  std::vector<std::string> damaged{whole + "x"};
  for (size_t i = 0; i < whole.size(); ++i) {
    damaged.push_back(whole.substr(0, i));
    damaged.push_back(whole);
    damaged.back()[i] ^= 1;
  }
  for (const std::string& content : damaged) {
    Put(model, content);
    EXPECT_ERROR(CheckDigest(model), "net_iter_7.caffemodel: damaged: .*Take another snapshot");
  }
  Put(model, whole);
  EXPECT_TRUE(CheckDigest(model));
  fs::remove(Path("net_iter_7.digests"));
  EXPECT_FALSE(CheckDigest(model));
  EXPECT_FALSE(CheckDigest(Path("something.else")));
}

TEST_F(SnapshotTest, TheLastGoodOneIsFound) {
  const std::string prefix = Path("net");
  EXPECT_EQ(LastGoodSnapshot(prefix), "");
  EXPECT_EQ(LastGoodSnapshot(Path("nowhere/net")), "");
  for (int iteration : {9, 10, 100}) WritePair("net", iteration);
  WritePair("net2", 1000);
  EXPECT_EQ(LastGoodSnapshot(prefix), prefix + "_iter_100.solverstate");
  // Parts of this prefix' files, and others.
  Put(Path(".net_iter_110.caffemodel.77.partial"), "x");
  Put(Path(".net2_iter_110.caffemodel.77.partial"), "x");
  EXPECT_EQ(LastGoodSnapshot(prefix), prefix + "_iter_100.solverstate");
  EXPECT_EQ(Names().count(".net_iter_110.caffemodel.77.partial"), 0u);
  EXPECT_EQ(Names().count(".net2_iter_110.caffemodel.77.partial"), 1u);
  // Weights alone, whose solverstate did not come any more; and a number that is none.
  Put(Path("net_iter_200.caffemodel"), "x");
  Put(Path("net_iter_99999999999999999999.solverstate"), "x");
  EXPECT_EQ(LastGoodSnapshot(prefix), prefix + "_iter_100.solverstate");
  Put(Path("net_iter_100.caffemodel"), "x");
  EXPECT_EQ(LastGoodSnapshot(prefix), prefix + "_iter_10.solverstate");
  fs::remove(Path("net_iter_10.caffemodel"));
  EXPECT_EQ(LastGoodSnapshot(prefix), prefix + "_iter_9.solverstate");
  Put(Path("net_iter_9.solverstate"), "");
  EXPECT_EQ(LastGoodSnapshot(prefix), "");
}

TEST_F(SnapshotTest, WithoutDigestsTheFormatTells) {
  const std::string prefix = Path("net");
  WritePair("net", 1, false);
  const std::string stem = WritePair("net", 2, false);
  EXPECT_EQ(LastGoodSnapshot(prefix), stem + ".solverstate");
  const std::string state = Content(stem + ".solverstate"), model = Content(stem + ".caffemodel");
  for (size_t size = 0; size < state.size(); ++size) {
    Put(stem + ".solverstate", state.substr(0, size));
    EXPECT_EQ(LastGoodSnapshot(prefix), prefix + "_iter_1.solverstate") << size;
  }
  Put(stem + ".solverstate", state);
  for (size_t size = 0; size < model.size(); ++size) {
    Put(stem + ".caffemodel", model.substr(0, size));
    EXPECT_EQ(LastGoodSnapshot(prefix), prefix + "_iter_1.solverstate") << size;
  }
  // HDF5: what cannot be opened.
  for (const char* kind : {".caffemodel.h5", ".solverstate.h5"}) Hdf5Image(Path("net_iter_3") + kind).Write();
  EXPECT_EQ(LastGoodSnapshot(prefix), prefix + "_iter_3.solverstate.h5");
  const std::string whole = Content(Path("net_iter_3.solverstate.h5"));
  Put(Path("net_iter_3.solverstate.h5"), whole.substr(0, whole.size() - 1));
  EXPECT_EQ(LastGoodSnapshot(prefix), prefix + "_iter_1.solverstate");
}

TEST_F(SnapshotTest, WeightsMayMoveWithTheirState) {
  const std::string there = Path("net_iter_1.caffemodel");
  Put(there, "");
  EXPECT_EQ(WeightsOf(Path("net_iter_1.solverstate"), "/elsewhere/net_iter_1.caffemodel"), there);
  EXPECT_EQ(WeightsOf("/elsewhere/net_iter_1.solverstate", there), there);
  EXPECT_EQ(WeightsOf(Path("a"), "/elsewhere/no.caffemodel"), "/elsewhere/no.caffemodel");
}

TEST_F(SnapshotTest, AHistoryOfSomethingElseIsRefused) {
  std::vector<shared_ptr<Blob<float>>> blobs{boost::make_shared<Blob<float>>(std::vector<int>{2, 3})};
  SolverState state;
  EXPECT_ERROR(CheckHistory("a.solverstate", state, blobs),
               "a.solverstate: of another network or type of solver: it has 0 blobs of history, here there are 1");
  Blob<float>(std::vector<int>{2, 3}).ToProto(state.add_history());
  CheckHistory("a.solverstate", state, blobs);
  Blob<float>(std::vector<int>{3, 2}).ToProto(state.mutable_history(0));
  EXPECT_ERROR(CheckHistory("a.solverstate", state, blobs),
               "of another network: .*0 has the shape 3 2 .6., here 2 3 .6.");
}

}  // namespace caffe
