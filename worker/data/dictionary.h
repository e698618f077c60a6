#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace shardmill {

// Words and their ids, in the order in which they are first seen. Once it is closed it learns none
// any more. Owned by a reader, on its thread; cannot fail.
class Dictionary final {
 public:
  // With `other_words`, the id 0 is that of every word that is not learnt.
  explicit Dictionary(bool other_words) : other_words_(other_words) {
    if (other_words) words_.emplace_back();
  }

  // Nothing for a word that is not learnt where there is no id for such; nor once there are too
  // many.
  std::optional<uint32_t> IdOf(std::string_view word);

  // Takes up what another has learnt: its words().
  void Learn(const std::vector<std::string>& words);
  void Close() { closed_ = true; }

  // By id.
  const std::vector<std::string>& words() const { return words_; }

 private:
  // Looks texts up without copying them.
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view word) const { return std::hash<std::string_view>()(word); }
  };

  const bool other_words_;
  bool closed_ = false;
  std::unordered_map<std::string, uint32_t, Hash, std::equal_to<>> ids_;
  std::vector<std::string> words_;
};

}  // namespace shardmill
