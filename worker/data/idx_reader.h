#pragma once

#include <string>

#include "common/result.h"
#include "worker/data/data_set.h"

// IDX files as MNIST and its successors come: bytes of pixels in one file, of labels in another,
// gzipped or plain. Whatever does not hold to the format is an error that names the file and what
// is wrong in it; a file that is not there is ErrorCode::kUnavailable.
namespace shardmill {

enum class DataPart { kTrain, kTest };

// Where Debian's package dataset-fashion-mnist puts its files.
inline constexpr char kFashionMnistFolder[] = "/usr/share/datasets/fashion-mnist";

// Reads "train-images-idx3-ubyte" and "train-labels-idx1-ubyte" of the folder, or the two that
// begin with "t10k", each with ".gz" or without.
Result<DataSet> ReadIdxFolder(const std::string& folder, DataPart part);

// Whether the four files of the folder are there; what is in them is not looked at.
Result<> CheckIdxFolder(const std::string& folder);

// How to come by the files of a folder that are not there.
std::string MissingDataHint(const std::string& folder);

// Pixels become numbers from 0 to 1.
Result<DataSet> ReadIdxFiles(const std::string& images_path, const std::string& labels_path);

}  // namespace shardmill
