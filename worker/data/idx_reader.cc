#include "worker/data/idx_reader.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include "worker/data/byte_source.h"

namespace shardmill {
namespace {

// Far above any real set of this kind, and low enough that a file made to fill the memory does not.
constexpr uint64_t kFileBytesMax = uint64_t{16} << 30;
constexpr uint64_t kDimsMax = 4;
constexpr char kImagesName[] = "-images-idx3-ubyte";
constexpr char kLabelsName[] = "-labels-idx1-ubyte";
constexpr uint8_t kUnsignedByte = 0x08;

// An IDX file taken apart: what it says of itself, and as many bytes as it says.
struct IdxFile {
  std::vector<uint64_t> dims;
  std::vector<uint8_t> bytes;
  uint64_t header_bytes = 0;

  std::span<const uint8_t> values() const { return std::span(bytes).subspan(header_bytes); }
};

Error Bad(const std::string& path, const std::string& what) {
  return {ErrorCode::kBadInput, path + ": " + what};
}

Result<IdxFile> ReadIdxFile(const std::string& path) {
  IdxFile file;
  file.bytes = SM_TRY(ReadWhole(path, kFileBytesMax));
  const std::span<const uint8_t> bytes(file.bytes);
  if (bytes.empty()) return Bad(path, "the file is empty: it has no samples");
  if (bytes.size() < 4) return Bad(path, "too short for an IDX file");
  if (bytes[0] != 0 || bytes[1] != 0) {
    return Bad(path, "not an IDX file: it does not begin with two zero bytes");
  }
  if (bytes[2] != kUnsignedByte) {
    return Bad(path, "its values are of the IDX type " + std::to_string(bytes[2]) +
                         "; only unsigned bytes (8) are read");
  }
  const uint64_t dims = bytes[3];
  if (dims == 0 || dims > kDimsMax) {
    return Bad(path, "it has " + std::to_string(dims) + " dimensions; 1 to " +
                         std::to_string(kDimsMax) + " are read");
  }
  file.header_bytes = 4 + 4 * dims;
  if (bytes.size() < file.header_bytes) return Bad(path, "cut off within its header");
  uint64_t said = 1;
  for (uint64_t dim = 0; dim < dims; ++dim) {
    uint64_t extent = 0;
    for (uint64_t byte = 0; byte < 4; ++byte) extent = extent << 8 | bytes[4 + 4 * dim + byte];
    if (extent == 0 && dim == 0) return Bad(path, "it has no samples");
    if (extent == 0) return Bad(path, "its dimension " + std::to_string(dim + 1) + " is 0");
    if (extent > kFileBytesMax / said) return Bad(path, "its dimensions multiply to too much");
    said *= extent;
    file.dims.push_back(extent);
  }
  const uint64_t there = bytes.size() - file.header_bytes;
  if (there == said) return file;
  return Bad(path, (there < said ? "cut off: " : "too long: ") +
                       std::string("its header tells of ") + std::to_string(said) +
                       " values, and " + std::to_string(there) + " are there");
}

// The path with ".gz" where that is there, else without.
std::string GzipOrPlain(const std::string& path) {
  std::error_code error;
  const std::string gzip = path + ".gz";
  return std::filesystem::exists(gzip, error) || !std::filesystem::exists(path, error) ? gzip
                                                                                       : path;
}

std::string WithoutSlash(std::string folder) {
  while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
  return folder;
}

}  // namespace

IdxPaths IdxFilesOf(const std::string& folder, DataPart part) {
  const std::string prefix = WithoutSlash(folder) + (part == DataPart::kTrain ? "/train" : "/t10k");
  return {GzipOrPlain(prefix + kImagesName), GzipOrPlain(prefix + kLabelsName)};
}

Result<> CheckIdxFolder(const std::string& folder) {
  for (const char* part : {"/train", "/t10k"}) {
    for (const char* name : {kImagesName, kLabelsName}) {
      const std::string path = GzipOrPlain(WithoutSlash(folder) + part + name);
      std::error_code error;
      if (std::filesystem::exists(path, error)) continue;
      return Error{ErrorCode::kUnavailable,
                   path + ": " + (error ? error.message() : "there is no such file") + "; " +
                       MissingDataHint(folder)};
    }
  }
  return {};
}

std::string MissingDataHint(const std::string& folder) {
  return WithoutSlash(folder) == kFashionMnistFolder
             ? "it comes with a package: apt-get install dataset-fashion-mnist"
             : "the folder of the data set (data.folder) must hold it, with the ending .gz or "
               "without; Fashion-MNIST comes with a package, apt-get install "
               "dataset-fashion-mnist, and lies in " +
                   std::string(kFashionMnistFolder);
}

Result<> ReadIdx(const IdxPaths& paths, RowSink& sink) {
  const auto& [images_path, labels_path] = paths;
  const IdxFile images = SM_TRY(ReadIdxFile(images_path));
  const IdxFile labels = SM_TRY(ReadIdxFile(labels_path));
  if (images.dims.size() < 2) return Bad(images_path, "its rows are single numbers, not images");
  if (labels.dims.size() != 1) return Bad(labels_path, "a file of labels has one dimension");
  if (images.dims[0] != labels.dims[0]) {
    return Bad(labels_path, "it has " + std::to_string(labels.dims[0]) + " labels for the " +
                                std::to_string(images.dims[0]) + " images of " + images_path);
  }
  const std::span<const uint8_t> pixels = images.values();
  const uint64_t row_size = pixels.size() / images.dims[0];
  if (row_size > UINT32_MAX) return Bad(images_path, "its images are too large");
  const Columns columns = {
      {.name = kOnlyInput, .row_shape = {images.dims.begin() + 1, images.dims.end()}},
      {.name = "label", .kind = ColumnKind::kIds}};
  SM_TRY(sink.Begin(columns));
  Row row = MakeRow(columns);
  for (uint64_t i = 0; i < images.dims[0]; ++i) {
    std::ranges::transform(pixels.subspan(i * row_size, row_size), row[0].floats.begin(),
                           [](uint8_t pixel) { return static_cast<float>(pixel) / 255.0F; });
    row[1].ids[0] = labels.values()[i];
    SM_TRY(sink.Take(row, {labels_path, i + 1, "label"}));
  }
  return {};
}

}  // namespace shardmill
