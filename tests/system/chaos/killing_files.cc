#include "tests/system/chaos/killing_files.h"

#include <csignal>
#include <utility>

namespace shardmill::chaos {

template <class Change, class Half>
auto KillingFiles::Count(Change change, Half half) {
  const bool dies = ++changes_ == point_.change;
  if (dies && point_.how != KillPoint::How::kAfter) {
    if (point_.how == KillPoint::How::kHalf) half();
    std::raise(SIGKILL);
  }
  auto result = change();
  if (dies) std::raise(SIGKILL);
  return result;
}

class KillingFiles::Writer final : public File {
 public:
  Writer(KillingFiles& files, std::unique_ptr<File> file) : files_(files), file_(std::move(file)) {}

  Result<> Append(std::span<const std::byte> bytes) override {
    return files_.Count([&] { return file_->Append(bytes); },
                        [&] { static_cast<void>(file_->Append(bytes.first(bytes.size() / 2))); });
  }
  Result<> Sync() override {
    return files_.Count([&] { return file_->Sync(); });
  }
  bool HasName() const override { return file_->HasName(); }

 private:
  KillingFiles& files_;
  std::unique_ptr<File> file_;
};

Result<std::unique_ptr<File>> KillingFiles::CreateNew(const std::string& path) {
  auto file = SM_TRY(Count([&] { return files_.CreateNew(path); }));
  if (file == nullptr) return file;  // The name is taken.
  return std::unique_ptr<File>(std::make_unique<Writer>(*this, std::move(file)));
}

Result<> KillingFiles::MakeFolder(const std::string& path) {
  return Count([&] { return files_.MakeFolder(path); });
}

Result<> KillingFiles::SyncFolder(const std::string& path) {
  return Count([&] { return files_.SyncFolder(path); });
}

Result<> KillingFiles::Rename(const std::string& from, const std::string& to) {
  return Count([&] { return files_.Rename(from, to); });
}

Result<> KillingFiles::RemoveFile(const std::string& path) {
  return Count([&] { return files_.RemoveFile(path); });
}

Result<> KillingFiles::RemoveFolder(const std::string& path) {
  return Count([&] { return files_.RemoveFolder(path); });
}

}  // namespace shardmill::chaos
