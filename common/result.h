#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "common/assert.h"

namespace shardmill {

// Why something outside our own code failed. The command line maps each to an exit code.
enum class ErrorCode : uint8_t {
  kBadUsage,     // A flag, a job file or an argument that cannot be right. Do not retry.
  kFailed,       // Something went wrong while running.
  kFenced,       // Another process holds this rank. Do not restart.
  kUnavailable,  // A peer or a file was not there in time. A restart may help.
  kBadInput,     // Bytes from a network or a file that are not what they should be.
  kStopped,      // The user asked to stop.
  kRolledBack,   // The job has gone back to its last snapshot; the session goes on from there.
  kUnsaved,      // The job is done, and its last snapshot did not come about.
  kDone,         // The job is done already: there is nothing left to do.
};

// What went wrong, where, and how to mend it, in words for the person who can.
struct Error {
  ErrorCode code = ErrorCode::kFailed;
  std::string message;
};

// A value or an Error; the return type of every border between rooms. Result<> carries no value.
template <class T = void>
class [[nodiscard]] Result final {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  T& value() & { return Checked(*this); }
  const T& value() const& { return Checked(*this); }
  T&& value() && { return std::move(Checked(*this)); }
  const Error& error() const& { return std::get<1>(state_); }
  Error&& error() && { return std::move(std::get<1>(state_)); }
  T* operator->() { return &value(); }
  T& operator*() { return value(); }

 private:
  template <class Self>
  static auto& Checked(Self& self) {
    SM_ASSERT(self.ok());
    return std::get<0>(self.state_);
  }

  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> final {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}

  bool ok() const { return !error_.has_value(); }
  void value() const { SM_ASSERT(ok()); }
  const Error& error() const& { return *error_; }
  Error&& error() && { return std::move(*error_); }

 private:
  std::optional<Error> error_;
};

}  // namespace shardmill

// The value of a Result, or an early return of its error from the enclosing function:
//   int port = SM_TRY(ParsePort(text));
// Not inside a braced list: GCC 12 leaks the list's first members when the macro returns. Not
// inside another SM_TRY: give the inner value a name.
#define SM_TRY(...)                                           \
  __extension__({                                             \
    auto sm_result = (__VA_ARGS__);                           \
    if (!sm_result.ok()) return std::move(sm_result).error(); \
    std::move(sm_result).value();                             \
  })
