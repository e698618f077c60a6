// How fast readers turn text in memory into rows: bytes of text a second on one core.
#include <benchmark/benchmark.h>

#include <string>

#include "common/rng.h"
#include "worker/data/criteo_reader.h"
#include "worker/data/csv_reader.h"
#include "worker/data/libsvm_reader.h"
#include "worker/data/row_builder.h"

namespace shardmill {
namespace {

constexpr int kRows = 50'000;

// Keeps rows as a data set does that fits in memory.
class Kept final : public RowSink {
 public:
  Result<> Begin(const Columns& columns) override {
    builder_ = std::make_unique<RowBuilder>(columns, budget_);
    return {};
  }
  Result<> Take(const Row& row, const RowPlace& place) override {
    return builder_->Append(row, place);
  }
  Result<> TakeBad(const RowPlace& place, const std::string& words) override {
    return Error{ErrorCode::kBadInput, place.ToString() + words};
  }

 private:
  RowBudget budget_;
  std::unique_ptr<RowBuilder> builder_;
};

template <class Read>
void Measure(benchmark::State& state, const std::string& text, const Read& read) {
  const std::span<const uint8_t> bytes(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  for (auto _ : state) {
    LineSource lines(SourceOf(bytes, "text"), "text");
    Kept rows;
    const Result<> done = read(lines, rows);
    if (!done.ok()) state.SkipWithError(done.error().message.c_str());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(text.size()));
  state.SetItemsProcessed(state.iterations() * kRows);
}

// 20 columns of numbers with up to six digits, and a class.
void BM_Csv(benchmark::State& state) {
  std::string text = "label";
  for (int i = 0; i < 20; ++i) text += ",x" + std::to_string(i);
  text += "\n";
  Rng rng(1);
  for (int row = 0; row < kRows; ++row) {
    text += std::to_string(rng.Below(10));
    for (int i = 0; i < 20; ++i) text += "," + std::to_string(rng.Uniform() * 100).substr(0, 7);
    text += "\n";
  }
  Measure(state, text, [](LineSource& lines, RowSink& rows) {
    TableColumns table({.label = "label"});
    return ReadCsv(lines, {}, table, rows);
  });
}

// As Criteo's rows are: small counts, some of them missing, and words of eight letters.
void BM_Criteo(benchmark::State& state) {
  std::string text;
  Rng rng(1);
  for (int row = 0; row < kRows; ++row) {
    text += std::to_string(rng.Below(2));
    for (int i = 0; i < 13; ++i) {
      text += "\t" + (rng.Below(5) == 0 ? "" : std::to_string(rng.Below(rng.Below(3000) + 1)));
    }
    for (int i = 0; i < 26; ++i) {
      text += "\t" + std::to_string(10'000'000 + rng.Below(90'000'000));
    }
    text += "\n";
  }
  Measure(state, text, [](LineSource& lines, RowSink& rows) {
    CriteoParser parser(0);
    return ReadLines(lines, parser, rows);
  });
}

// About 40 ids a row.
void BM_Libsvm(benchmark::State& state) {
  std::string text;
  Rng rng(1);
  for (int row = 0; row < kRows; ++row) {
    text += rng.Below(2) == 0 ? "-1" : "+1";
    uint64_t id = 0;
    for (int i = 0; i < 40; ++i) {
      id += 1 + rng.Below(1000);
      text += " " + std::to_string(id) + ":" + std::to_string(rng.Uniform()).substr(0, 6);
    }
    text += "\n";
  }
  Measure(state, text, [](LineSource& lines, RowSink& rows) {
    LibsvmParser parser(TargetKind::kClass);
    return ReadLines(lines, parser, rows);
  });
}

BENCHMARK(BM_Csv);
BENCHMARK(BM_Criteo);
BENCHMARK(BM_Libsvm);

}  // namespace
}  // namespace shardmill
