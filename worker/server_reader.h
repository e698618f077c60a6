#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <vector>

#include "client/session.h"
#include "worker/parameter_reader.h"
#include "worker/server_tables.h"

namespace shardmill {

// Lends the parameters that the servers have once so many rounds are closed. It reads in steps that
// are left unfinished, so that the next Begin makes the same; what the tables asked for before is
// forgotten. Owned by a trainer, for one measuring, on the session's thread; fails as the session
// does.
class ServerReader final : public ParameterReader {
 public:
  ServerReader(Session& session, ServerTables& tables, std::span<const ParameterSpec> parameters,
               uint64_t closed_min, std::chrono::milliseconds timeout)
      : session_(session),
        tables_(tables),
        parameters_(parameters),
        closed_min_(closed_min),
        timeout_(timeout) {}

  // Reads the dense parameters, which stay as they are for what follows.
  Result<> Begin();
  Result<std::span<const std::span<const float>>> For(const Batch& batch) override;
  Result<std::span<const float>> Dense(size_t parameter) override {
    return tables_.values()[parameter];
  }
  Result<std::span<const float>> Rows(size_t parameter, std::span<const uint64_t> keys) override;

 private:
  Session& session_;
  ServerTables& tables_;
  const std::span<const ParameterSpec> parameters_;
  const uint64_t closed_min_;
  const std::chrono::milliseconds timeout_;
};

}  // namespace shardmill
