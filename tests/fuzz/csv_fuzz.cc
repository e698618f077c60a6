// CSV. The input's first byte says how it is read, the rest is the file.
#include "tests/fuzz/checked_rows.h"
#include "tests/fuzz/input.h"
#include "worker/data/csv_reader.h"

namespace shardmill::fuzz {

void Try(Input input) {
  Cutter cutter(input);
  const uint8_t how = cutter.Byte();
  const bool header = (how & 1) == 0;
  TableChoice choice{.label = header ? "label" : "1"};
  choice.target = (how & 2) == 0 ? TargetKind::kClass : TargetKind::kValue;
  if ((how & 4) != 0) choice.categories = {header ? "kind" : "2"};
  TableColumns table(choice);
  CheckedRows rows;
  LineSource lines(SourceOf(cutter.rest(), "f"), "f");
  const CsvOptions options{.separator = (how & 8) == 0 ? ',' : '\t', .header = header};
  const Result<> read = ReadCsv(lines, options, table, rows);
  Check(read.ok() || !read.error().message.empty(), "who refuses says why");
}

std::vector<std::string> Seeds() {
  const std::string table = "label,kind,x\n3,red,0.5\n\"1\",\"a \"\"b\"\"\n,c\",-1e3\r\n\n2,,nan\n";
  return {std::string(1, '\0') + table, "\2" + table, "\4" + table,
          "\1"
          "1,2,3\n4,5,6\n",
          "\xd"
          "1\tred\t3\n"};
}

}  // namespace shardmill::fuzz
