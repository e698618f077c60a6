#include "common/blob/blob_store.h"

namespace shardmill {

Result<std::string> ReadBlob(BlobStore& store, const std::string& name, uint64_t bytes_max) {
  const uint64_t bytes = SM_TRY(store.Size(name));
  if (bytes > bytes_max) {
    return Error{ErrorCode::kBadInput, store.PlaceOf(name) + ": it has " + std::to_string(bytes) +
                                           " bytes, more than the " + std::to_string(bytes_max) +
                                           " that it may have"};
  }
  std::string text(bytes, '\0');
  SM_TRY(store.Read(name, 0, std::as_writable_bytes(std::span(text))));
  return text;
}

Result<> WriteBlob(BlobStore& store, const std::string& name, std::string_view bytes) {
  const std::unique_ptr<BlobWriter> writer = SM_TRY(store.Create(name));
  SM_TRY(writer->Append(std::as_bytes(std::span(bytes))));
  return writer->Commit();
}

}  // namespace shardmill
