#include "caffe_acu/data/lmdb_file.hpp"

#include <glog/logging.h>
#include <lmdb.h>

#include <memory>

#include "boost/filesystem.hpp"

namespace caffe {
namespace {

std::string OpenDamage(int status) {
  const std::string words = std::string("cannot be read as an LMDB: ") + mdb_strerror(status);
  if (status == MDB_INVALID) return words + ". Its data.mdb is no LMDB, or a damaged one; make or copy it again";
  return words;
}

}  // namespace

std::string LmdbDamage(const std::string& folder) {
  const boost::filesystem::path file = boost::filesystem::path(folder) / "data.mdb";
  boost::system::error_code error;
  const auto bytes = boost::filesystem::file_size(file, error);
  if (error) return "cannot be read as an LMDB: " + error.message();
  if (bytes == 0) return "is empty: its data.mdb has 0 bytes; make or copy it again";
  MDB_env* made = nullptr;
  if (mdb_env_create(&made) != MDB_SUCCESS) return "cannot be read: LMDB does not start";
  const std::unique_ptr<MDB_env, decltype(&mdb_env_close)> env(made, &mdb_env_close);
  const int status = mdb_env_open(env.get(), folder.c_str(), MDB_RDONLY | MDB_NOTLS | MDB_NOLOCK, 0);
  if (status != MDB_SUCCESS) return OpenDamage(status);
  MDB_envinfo info;
  MDB_stat stat;
  // Both come from the first two pages, which mdb_env_open has read.
  if (mdb_env_info(env.get(), &info) != MDB_SUCCESS || mdb_env_stat(env.get(), &stat) != MDB_SUCCESS) {
    return "cannot be read as an LMDB";
  }
  const auto least = (static_cast<unsigned long long>(info.me_last_pgno) + 1) * stat.ms_psize;
  if (bytes < least) {
    return "is cut short: its data.mdb has " + std::to_string(bytes) + " bytes of " + std::to_string(least) +
           "; copy it again";
  }
  if (stat.ms_entries == 0) return "has no records. Make it again";
  return "";
}

}  // namespace caffe
