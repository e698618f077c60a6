// Whole job files. The input is what stands above the file, and then the file.
#include <filesystem>
#include <fstream>

#include "common/job/job.h"
#include "tests/fuzz/overrides.h"

namespace shardmill::fuzz {

void Try(Input input) {
  Cutter cutter(input);
  const config::Overrides overrides = OverridesOf(cutter);
  const Result<Job> job = ParseJob("job.toml", TextOf(cutter.rest()), overrides);
  if (!job.ok()) return Check(!job.error().message.empty(), "who refuses says why");
  const JobOptions& options = job.value().options;
  Check(options.cluster.Shards() > 0 && options.BatchRows() > 0, "a job that is taken can be run");
  MeaningOf(options);
  Check(!job.value().listing.empty(), "what it comes to can be listed");
}

// The sample jobs, a section at a time: of small inputs more are tried.
std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  for (const auto& entry : std::filesystem::directory_iterator("configs")) {
    if (entry.path().extension() != ".toml") continue;
    std::ifstream file(entry.path());
    std::string section;
    std::string line;
    const auto add = [&] {
      if (section.find('=') != std::string::npos)
        seeds.push_back(AsPiece("") + AsPiece("") + section);
      section.clear();
    };
    while (std::getline(file, line)) {
      if (line.starts_with("[")) add();
      const std::string said = line.substr(0, line.find(" #"));
      if (!said.empty() && said[0] != '#') section += said + "\n";
    }
    add();
  }
  Check(!seeds.empty(), "the sample jobs are there");
  seeds.push_back(AsPiece("policy.mode=async\ncluster.workers=3") +
                  AsPiece("TRAIN__EPOCHS=2\nHTTP__ENABLED=false") + "[job]\nname = \"a\" # b\n");
  return seeds;
}

}  // namespace shardmill::fuzz
