// docs/models.md against the code: what there is, and which keys it has.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "nn/layer_types.h"
#include "nn/losses/make_loss.h"
#include "nn/metrics.h"

namespace shardmill::nn {
namespace {

// Tests run among links to the tree; the page is looked for beside the link's target.
std::filesystem::path Page() {
  return std::filesystem::canonical("configs/quickstart.toml").parent_path().parent_path() /
         "docs" / "models.md";
}

// What stands between backquotes.
std::set<std::string> Quoted(const std::string& text) {
  std::set<std::string> words;
  for (size_t begin = text.find('`'); begin != std::string::npos;) {
    const size_t end = text.find('`', begin + 1);
    words.insert(text.substr(begin + 1, end - begin - 1));
    begin = text.find('`', end + 1);
  }
  return words;
}

using Cells = std::vector<std::string>;

// The tables of the page by the first cell of their heads, and in each the rows by the word that
// they begin with.
std::map<std::string, std::map<std::string, Cells>> Tables() {
  std::map<std::string, std::map<std::string, Cells>> tables;
  std::ifstream page(Page());
  std::string head;
  for (std::string line; std::getline(page, line);) {
    if (!line.starts_with("| ")) {
      head.clear();
      continue;
    }
    Cells cells;
    std::istringstream rest(line.substr(2));
    for (std::string cell; std::getline(rest, cell, '|');) cells.push_back(cell);
    const std::set<std::string> name = Quoted(cells[0]);
    if (head.empty()) {
      head = cells[0].substr(0, cells[0].find(' '));
    } else if (!name.empty()) {
      EXPECT_TRUE(tables[head].emplace(*name.begin(), cells).second) << *name.begin() << " twice";
    }
  }
  return tables;
}

std::set<std::string> NamesOf(LayerKeys keys) {
  std::set<std::string> names;
  for (auto i = uint8_t{0}; i <= static_cast<uint8_t>(LayerKey::kLearningRate); ++i) {
    const auto key = static_cast<LayerKey>(i);
    if (keys.Has(key)) names.emplace(NameOf(key));
  }
  return names;
}

TEST(ModelsPageTest, ListsEveryLayerWithItsKeysAndNoOther) {
  const std::map<std::string, Cells> rows = Tables()["type"];
  EXPECT_EQ(rows.size(), LayerTypes().size());
  for (const LayerType& type : LayerTypes()) {
    const auto row = rows.find(std::string(type.name));
    ASSERT_NE(row, rows.end()) << type.name;
    ASSERT_GE(row->second.size(), 4U) << type.name;
    EXPECT_EQ(Quoted(row->second[1]), NamesOf(type.needs)) << type.name;
    EXPECT_EQ(Quoted(row->second[2]), NamesOf(type.takes)) << type.name;
  }
}

TEST(ModelsPageTest, ListsEveryLossAndMetricAndNoOther) {
  std::map<std::string, std::map<std::string, Cells>> tables = Tables();
  EXPECT_EQ(tables["loss"].size(), LossTypes().size());
  for (const LossType& type : LossTypes()) {
    EXPECT_TRUE(tables["loss"].contains(std::string(type.name))) << type.name;
  }
  EXPECT_EQ(tables["metric"].size(), MetricNames().size());
  for (const std::string_view name : MetricNames()) {
    EXPECT_TRUE(tables["metric"].contains(std::string(name))) << name;
  }
}

}  // namespace
}  // namespace shardmill::nn
