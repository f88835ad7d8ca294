#ifndef CAFFE_ACU_SNAPSHOT_DIGESTS_HPP_
#define CAFFE_ACU_SNAPSHOT_DIGESTS_HPP_

#include <string>

namespace caffe {

// The digests of a snapshot's files stand beside them in `<prefix>_iter_<N>.digests`, a line "<bytes> <CRC-32> <name>"
// each, so that the files themselves stay as any Caffe reads them.

/// Where the digest of the file is to be found; empty if its name is not one of a snapshot.
std::string DigestsOf(const std::string& path);

/// The line for a file that will have the name of `path`, and whose content is in the file `content`.
std::string DigestLine(const std::string& path, const std::string& content);

/// Whether there is a digest of the file. Throws Error if the file is not as that says: shorter, longer, or of another
/// CRC-32. What other programs wrote has none.
bool CheckDigest(const std::string& path);

}  // namespace caffe

#endif  // CAFFE_ACU_SNAPSHOT_DIGESTS_HPP_
