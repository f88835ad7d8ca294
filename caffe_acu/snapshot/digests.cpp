#include "caffe_acu/snapshot/digests.hpp"

#include <glog/logging.h>

#include <fstream>
#include <regex>
#include <sstream>
#include <vector>

#include "boost/crc.hpp"
#include "boost/filesystem.hpp"

namespace caffe {
namespace {

std::string NameOf(const std::string& path) { return boost::filesystem::path(path).filename().string(); }

// "<bytes> <CRC-32>"
std::string Digest(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  LOG_IF(FATAL, !file.good()) << path << ": cannot be read";
  boost::crc_32_type crc;
  unsigned long long bytes = 0;
  std::vector<char> part(1 << 20);
  while (file.read(part.data(), part.size()) || file.gcount()) {
    crc.process_bytes(part.data(), file.gcount());
    bytes += file.gcount();
  }
  std::ostringstream digest;
  digest << bytes << " " << std::hex << crc.checksum();
  return digest.str();
}

}  // namespace

std::string DigestsOf(const std::string& path) {
  static const std::regex name("(.*_iter_[0-9]+)\\.(caffemodel|solverstate)(\\.h5)?");
  std::smatch match;
  return std::regex_match(path, match, name) ? match[1].str() + ".digests" : "";
}

std::string DigestLine(const std::string& path, const std::string& content) {
  return Digest(content) + " " + NameOf(path) + "\n";
}

bool CheckDigest(const std::string& path) {
  const std::string digests = DigestsOf(path);
  if (digests.empty()) return false;
  std::ifstream file(digests);
  std::string bytes, crc, name;
  while (file >> bytes >> crc && std::getline(file >> std::ws, name)) {
    if (name != NameOf(path)) continue;
    const std::string digest = Digest(path);
    LOG_IF(FATAL, digest != bytes + " " + crc)
        << path << ": damaged: its length and CRC-32 are " << digest << ", but " << digests << " says " << bytes << " "
        << crc << ". Take another snapshot.";
    return true;
  }
  return false;
}

}  // namespace caffe
