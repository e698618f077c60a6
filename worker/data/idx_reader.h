#pragma once

#include <string>

#include "common/result.h"
#include "worker/data/rows.h"

// IDX files as MNIST and its successors come: bytes of pixels in one file, of labels in another,
// gzipped or plain. Whatever does not hold to the format is an error that names the file and what
// is wrong in it; a file that is not there is ErrorCode::kUnavailable.
namespace shardmill {

enum class DataPart { kTrain, kTest };

// Where Debian's package dataset-fashion-mnist puts its files.
inline constexpr char kFashionMnistFolder[] = "/usr/share/datasets/fashion-mnist";

struct IdxPaths {
  std::string images;
  std::string labels;
};

// The folder's "train-images-idx3-ubyte" and "train-labels-idx1-ubyte", or the two that begin with
// "t10k", each with ".gz" or without.
IdxPaths IdxFilesOf(const std::string& folder, DataPart part);

// Whether the four files of the folder are there; what is in them is not looked at.
Result<> CheckIdxFolder(const std::string& folder);

// How to come by the files of a folder that are not there.
std::string MissingDataHint(const std::string& folder);

// The input "input", pixels made numbers from 0 to 1, and the target "label".
Result<> ReadIdx(const IdxPaths& paths, RowSink& sink);

}  // namespace shardmill
