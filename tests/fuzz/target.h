#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

// What a fuzz target is made of: each target's one file defines these, main.cc does the rest.
namespace shardmill::fuzz {

using Input = std::span<const uint8_t>;

// Hands bytes from outside to what must bear them. Whatever is wrong ends the process: a sanitizer,
// an assertion of ours, or a Check that does not hold. One thread.
void Try(Input input);

// Inputs to begin from: sound ones, made by what writes them, and whatever has done harm before.
std::vector<std::string> Seeds();

}  // namespace shardmill::fuzz
