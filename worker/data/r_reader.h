#pragma once

#include <string>

#include "common/result.h"
#include "worker/data/r_data.h"
#include "worker/data/rows.h"
#include "worker/data/table_columns.h"

namespace shardmill {

// Where Debian's package r-cran-dslabs puts its data, and what MovieLens is called there.
inline constexpr char kMovieLensFile[] = "/usr/lib/R/site-library/dslabs/data/Rdata.rdb";
inline constexpr char kMovieLensObject[] = "movielens";

// Reads a data frame out of a file of R's. Without `object` the file has only one. A label that is
// a factor has the factor's levels as its classes, in their order.
Result<> ReadRFrame(const std::string& path, const std::string& object, TableColumns& table,
                    RowSink& sink);

// The rows of a frame that was read; `path` stands for it in messages.
Result<> TakeRFrame(const std::string& path, const RValue& frame, TableColumns& table,
                    RowSink& sink);

}  // namespace shardmill
