// libsvm's rows. The input's first byte says what labels are, the rest is the file.
#include "tests/fuzz/lines_fuzz.h"
#include "worker/data/libsvm_reader.h"

namespace shardmill::fuzz {

void Try(Input input) {
  Cutter cutter(input);
  LibsvmParser parser(cutter.Byte() % 2 == 0 ? TargetKind::kClass : TargetKind::kValue);
  TryLines(cutter.rest(), parser);
}

std::vector<std::string> Seeds() {
  const std::string rows = "+1 1:0.5 3:-2 \n-1\t10:1e3 # a comment 4:5\n3\n1 4294967294:1\r\n";
  return {std::string(1, '\0') + rows,
          "\1"
          "-2.5 1:1\n"};
}

}  // namespace shardmill::fuzz
