#include "worker/data/dictionary.h"

namespace shardmill {
namespace {

constexpr size_t kWordsMax = size_t{1} << 24;

}  // namespace

std::optional<uint32_t> Dictionary::IdOf(std::string_view word) {
  const auto found = ids_.find(word);
  if (found != ids_.end()) return found->second;
  if (closed_ && other_words_) return 0;
  if (closed_ || words_.size() == kWordsMax) return {};
  const auto id = static_cast<uint32_t>(words_.size());
  ids_.emplace(word, id);
  words_.emplace_back(word);
  return id;
}

void Dictionary::Learn(const std::vector<std::string>& words) {
  for (size_t i = other_words_ ? 1 : 0; i < words.size(); ++i) IdOf(words[i]);
}

}  // namespace shardmill
