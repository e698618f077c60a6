// Criteo's rows. The input's first byte says whether categories become keys or one of so many
// buckets; the rest is the file.
#include "tests/fuzz/lines_fuzz.h"
#include "worker/data/criteo_reader.h"

namespace shardmill::fuzz {

void Try(Input input) {
  Cutter cutter(input);
  CriteoParser parser(cutter.Byte());
  TryLines(cutter.rest(), parser);
}

std::vector<std::string> Seeds() {
  std::string line = "1";
  for (size_t i = 0; i < CriteoParser::kNumbers; ++i) line += i % 3 == 0 ? "\t" : "\t-12";
  for (size_t i = 0; i < CriteoParser::kCategories; ++i) line += i % 5 == 0 ? "\t" : "\t68fd1e64";
  return {std::string(1, '\0') + line + "\n", "\7" + line + "\r\n" + line};
}

}  // namespace shardmill::fuzz
