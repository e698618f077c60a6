// The keys of [data]: what a job learns from.
#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "common/job/job.h"
#include "common/job/paths.h"

namespace shardmill {
namespace {

using config::Named;
using config::Section;

constexpr std::array<Named<DataFormat>, 6> kFormats = {{
    {DataFormat::kIdx, "idx"},
    {DataFormat::kCsv, "csv"},
    {DataFormat::kLibsvm, "libsvm"},
    {DataFormat::kCriteoTsv, "criteo_tsv"},
    {DataFormat::kMovieLens, "movielens"},
    {DataFormat::kRData, "r_data"},
}};
constexpr std::array<Named<TargetKind>, 2> kTargets = {{
    {TargetKind::kClass, "class"},
    {TargetKind::kValue, "value"},
}};
constexpr std::array<Named<DataScheme>, 5> kSchemes = {{
    {DataScheme::kContiguous, "contiguous"},
    {DataScheme::kRoundRobin, "round_robin"},
    {DataScheme::kRandom, "random"},
    {DataScheme::kOverlap, "overlap"},
    {DataScheme::kLeased, "leased"},
}};

bool IsName(std::string_view name) { return !name.empty(); }

// What cannot be taken for a part of a number or of a line.
bool IsSeparator(std::string_view text) {
  constexpr std::string_view kNever = "\"\r\n.+-0123456789eE";
  return text.size() == 1 && kNever.find(text[0]) == std::string_view::npos;
}

}  // namespace

std::string_view NameOf(DataFormat format) {
  const auto found = std::ranges::find(kFormats, format, &Named<DataFormat>::value);
  SM_ASSERT(found != kFormats.end());
  return found->name;
}

void DataOptions::Declare(Section& section) {
  section.Choice(
      "format", &format, kFormats,
      "How the files are written: as MNIST's, as rows of text (CSV, libsvm, Criteo's), "
      "or as R writes them, MovieLens among them. Files packed as gz, zst, bz2 or xz are "
      "unpacked, by their first bytes.");
  const auto idx = [this] { return format == DataFormat::kIdx; };
  section.Text("folder", &folder, {.form = "a path", .accepts = IsPathOrNone},
               "The folder that holds the data set's files; shardmill-worker needs it.");
  section.OnlyWith("folder", "format", "\"idx\"", idx);
  const auto files = [&](const char* key, std::vector<std::string>* field, const char* help) {
    section.Texts(key, field, {.form = "a path, which may have * and ? in it", .accepts = IsPath},
                  help);
    section.OnlyWith(key, "format", "any other than \"idx\"",
                     [this] { return format != DataFormat::kIdx; });
  };
  files("train", &train,
        "The files to learn from, in this order; those of a pattern in the order of their names. "
        "MovieLens has a default, the file of Debian's r-cran-dslabs.");
  files("validate", &validate, "The files that are measured with while training goes on.");
  files("test", &test, "The files that are measured with at the end.");
  DeclareSplit(section);
  DeclareColumns(section);
  DeclareMemory(section);
  section.Number("batch_size", &batch_size,
                 {.at_least = 1, .at_most = uint64_t{1} << 20, .unit = "samples"},
                 "Samples of one worker in one step.");
  section.Number("read_ahead", &read_ahead, {.at_most = 64, .unit = "batches"},
                 "Batches that a worker's second thread makes before they are asked for; 0: there "
                 "is no such thread. Leased samples are not known so early.");
  section.Choice(
      "scheme", &scheme, kSchemes,
      "Which samples a worker goes through in an epoch: a piece of the file, every "
      "n-th of n workers, a part dealt anew each epoch, all, or whatever is next when it asks "
      "the coordinator. Shuffled in each.");
  section.Number("chunk", &chunk, {.at_most = uint64_t{1} << 40, .unit = "samples"},
                 "How much the coordinator leases at once; 0: 64 batches, or fewer, so that each "
                 "worker has some chunks in an epoch.");
  section.OnlyWith("chunk", "scheme", "\"leased\"",
                   [this] { return scheme == DataScheme::kLeased; });
}

void DataOptions::DeclareSplit(Section& section) {
  section.Numbers("split", &split, {.at_least = 0, .at_most = 1},
                  "Shares of the rows of data.train to train, validate and test with, by the "
                  "job's seed. A part without a share may have files of its own, as those to test "
                  "with of \"idx\" have.");
  section.Require({"split", "validate", "test", "format"}, [this]() -> std::string {
    if (split.empty()) return "";
    const double sum = std::accumulate(split.begin(), split.end(), 0.0);
    if (split.size() > 3 || split[0] <= 0 || std::abs(sum - 1) > 1e-6) {
      return "\"data.split\" must be up to three shares, of train, validate and test, that add up "
             "to 1, the first above 0";
    }
    const auto both = [](const std::string& part) {
      return "\"data.split\" has a share of data.train to " + part +
             " with, and there are files for that; give the one or the others";
    };
    if (Share(1) > 0 && !validate.empty()) return both("validate");
    if (Share(2) > 0 && (!test.empty() || format == DataFormat::kIdx)) return both("test");
    return "";
  });
}

void DataOptions::DeclareColumns(Section& section) {
  const auto csv = [this] { return format == DataFormat::kCsv; };
  const auto table = [this] { return format == DataFormat::kCsv || format == DataFormat::kRData; };
  section.Flag("header", &header,
               "Whether the first line of each file names the columns; else their names are "
               "\"1\", \"2\" and so on.");
  section.OnlyWith("header", "format", "\"csv\"", csv);
  section.Text(
      "separator", &separator,
      {.form = "one character that is no quote, newline or part of a number",
       .accepts = IsSeparator},
      "What stands between two columns. Blanks around a field are no part of it, but within "
      "quotes.");
  section.OnlyWith("separator", "format", "\"csv\"", csv);
  section.Text("label", &label, {.form = "the name of a column", .accepts = IsName},
               "The column that is to be learnt.");
  section.OnlyWith("label", "format", "\"csv\" or \"r_data\"", table);
  section.Choice("target", &target, kTargets,
                 "What the label is: a class, counted from 0, or a number.");
  section.OnlyWith("target", "format", "\"csv\", \"libsvm\" or \"r_data\"",
                   [this, table] { return table() || format == DataFormat::kLibsvm; });
  section.Texts("features", &features, {.form = "the name of a column", .accepts = IsName},
                "The columns of numbers to learn from, one input in this order; none: all others, "
                "of R's those that hold numbers.");
  section.OnlyWith("features", "format", "\"csv\" or \"r_data\"", table);
  section.Texts("categories", &categories, {.form = "the name of a column", .accepts = IsName},
                "The columns of words to learn from, each an input of that name: words become ids "
                "from 1 on in the order in which they are first seen in training, and 0 is any "
                "other word; an empty field is a word too. Where the label is among them, its "
                "words become classes from 0 on, and a row without one is bad.");
  section.OnlyWith("categories", "format", "\"csv\" or \"r_data\"", table);
  section.Text("object", &object, {.form = "the name of an object", .accepts = IsPathOrNone},
               "The data frame in R's file; needed where there are several.");
  section.OnlyWith("object", "format", "\"r_data\"",
                   [this] { return format == DataFormat::kRData; });
  section.Number("buckets", &buckets, {.at_most = UINT32_MAX},
                 "How many ids the hashes of categories are thrown into; 0 keeps them as keys of "
                 "64 bits.");
  section.OnlyWith("buckets", "format", "\"criteo_tsv\"",
                   [this] { return format == DataFormat::kCriteoTsv; });
}

void DataOptions::DeclareMemory(Section& section) {
  constexpr uint64_t kKiB = uint64_t{1} << 10;
  section.Size("memory", &memory, {.at_least = 64 * kKiB},
               "How much of the rows a process keeps in its own memory; where they are more, they "
               "are packed into files in data.cache.");
  section.Text("cache", &cache, {.form = "a path", .accepts = IsPathOrNone},
               "Folder for packed rows, which all processes of a host share and later runs find "
               "again; empty: rows beyond data.memory end the job.");
  section.Number("bad_rows_max", &bad_rows_max, {.unit = "rows"},
                 "How many rows that cannot be read are left out and counted; one more ends the "
                 "job.");
}

}  // namespace shardmill
