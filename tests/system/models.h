#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "common/json/json.h"

// Jobs on small tables that a test makes up, trained and asked by the command.
namespace shardmill {

inline constexpr std::chrono::milliseconds kPatience{60000};

// A member that is a number.
double At(const JsonValue& json, const char* key);

// The result of training with some keys and flags more.
JsonValue Train(const std::string& job, const std::vector<std::string>& sets,
                std::vector<std::string> arguments = {});
double Metric(const JsonValue& result, const char* name);

// What a command says of the job's newest run, ending with that code.
std::string Ask(const std::string& command, const std::string& job,
                std::vector<std::string> arguments, int code = 0);

std::vector<std::string> LinesOf(const std::string& path);
void WriteText(const std::string& path, const std::string& text);

// Colours and sizes say what a thing is: by word, so that the table is sparse. Returns the job.
std::string WriteTable(const std::string& bad_line = "");

// Each row names some of 500 ids; those of the first half speak for one class. Returns the job.
std::string WriteSparseRows();

}  // namespace shardmill
