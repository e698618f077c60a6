#include "worker/data/r_data.h"

#include <algorithm>
#include <string_view>

#include "common/config/text.h"
#include "worker/data/byte_source.h"
#include "worker/data/unpacker.h"

namespace shardmill {
namespace {

using Objects = std::vector<RObject>;

constexpr uint64_t kFileBytesMax = uint64_t{2} << 30;

Error Bad(const std::string& path, const std::string& what) {
  return {ErrorCode::kBadInput, path + ": " + what};
}

Result<Objects> ReadRda(const std::string& path) {
  const std::vector<uint8_t> bytes = SM_TRY(ReadWhole(path, kFileBytesMax));
  constexpr size_t kMagicBytes = 5;
  const std::string_view magic(reinterpret_cast<const char*>(bytes.data()),
                               std::min(bytes.size(), kMagicBytes));
  if (magic != "RDX2\n" && magic != "RDX3\n") {
    return Bad(path, "not a file that R's save() writes: it does not begin with RDX2 or RDX3");
  }
  RValue list = SM_TRY(ParseRValue(std::span(bytes).subspan(kMagicBytes), path));
  return std::move(list.attributes);
}

// One of the blocks of an .rdb.
Result<std::vector<uint8_t>> UnpackBlock(std::span<const uint8_t> block, const std::string& path) {
  if (block.size() < 5) return Bad(path, "an object in it is cut off");
  uint64_t size = 0;
  for (size_t i = 0; i < 4; ++i) size = size << 8 | block[i];
  block = block.subspan(4);
  if (size > kFileBytesMax) return Bad(path, "an object in it is too large");
  std::unique_ptr<Unpacker> unpacker;
  if (block[0] == '2' || block[0] == 'Z') {
    unpacker = block[0] == '2' ? MakeBzip2Unpacker() : MakeRawLzmaUnpacker();
    block = block.subspan(1);
  } else {
    unpacker = MakeZlibUnpacker();
  }
  std::vector<uint8_t> bytes;
  constexpr uint64_t kPieceBytes = uint64_t{1} << 20;  // What is said may not be what comes.
  Unpacked status = Unpacked::kMore;
  while (bytes.size() < size && status == Unpacked::kMore) {
    const size_t before = bytes.size();
    const size_t packed_before = block.size();
    bytes.resize(std::min(size, before + kPieceBytes));
    std::span<uint8_t> room = std::span(bytes).subspan(before);
    status = unpacker->Run(block, room);
    bytes.resize(bytes.size() - room.size());
    if (bytes.size() == before && block.size() == packed_before) break;
  }
  if (status != Unpacked::kBad && bytes.size() == size) return bytes;
  return Bad(path, "an object in it is damaged");
}

Result<RValue> ReadFromRdb(std::span<const uint8_t> rdb, const RValue& place,
                           const std::string& path) {
  const bool fits = place.wholes.size() == 2 && place.wholes[0] >= 0 && place.wholes[1] >= 0 &&
                    static_cast<uint64_t>(place.wholes[0]) + place.wholes[1] <= rdb.size();
  if (!fits) return Bad(path, "it is shorter than its .rdx says");
  const std::vector<uint8_t> bytes = SM_TRY(UnpackBlock(
      rdb.subspan(static_cast<size_t>(place.wholes[0]), static_cast<size_t>(place.wholes[1])),
      path));
  return ParseRValue(bytes, path);
}

Result<Objects> ReadRdb(const std::string& path, const std::string& object) {
  const std::string index_path = path.substr(0, path.size() - 1) + "x";
  const std::vector<uint8_t> index_bytes = SM_TRY(ReadWhole(index_path, kFileBytesMax));
  const RValue index = SM_TRY(ParseRValue(index_bytes, index_path));
  const RValue* names = index.Attribute("names");
  if (names == nullptr || names->texts.empty() || names->texts[0] != "variables" ||
      index.items.size() != names->texts.size()) {
    return Bad(index_path, "not an index of R's objects");
  }
  const RValue& variables = index.items[0];
  const RValue* variable_names = variables.Attribute("names");
  if (variable_names == nullptr || variable_names->texts.size() != variables.items.size()) {
    return Bad(index_path, "not an index of R's objects");
  }
  const std::vector<uint8_t> rdb = SM_TRY(ReadWhole(path, kFileBytesMax));
  Objects objects;
  for (size_t i = 0; i < variables.items.size(); ++i) {
    const std::string& name = variable_names->texts[i];
    if (!object.empty() && name != object) continue;
    RValue value = SM_TRY(ReadFromRdb(rdb, variables.items[i], path));
    objects.push_back({name, std::move(value)});
  }
  return objects;
}

}  // namespace

Result<Objects> ReadRObjects(const std::string& path, const std::string& object) {
  Objects objects = SM_TRY(path.ends_with(".rdb") ? ReadRdb(path, object) : ReadRda(path));
  if (object.empty()) return objects;
  std::erase_if(objects, [&object](const auto& item) { return item.name != object; });
  if (!objects.empty()) return objects;
  return Error{ErrorCode::kBadUsage,
               path + ": it has no object " + config::QuoteForMessage(object) + " (data.object)"};
}

}  // namespace shardmill
