#include "worker/model_file.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <functional>
#include <numeric>
#include <system_error>
#include <utility>

#include "common/blob/folder_store.h"
#include "common/blob/posix_files.h"
#include "common/config/text.h"
#include "common/initial.h"
#include "common/json/json.h"
#include "snapshot/safetensors.h"
#include "worker/data/columns_json.h"
#include "worker/data/distinct_keys.h"

namespace shardmill {
namespace {

// A path as the store of its folder and its name there.
std::pair<std::string, std::string> Split(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return {".", path};
  return {slash == 0 ? "/" : path.substr(0, slash), path.substr(slash + 1)};
}

// What lies there is nothing that a file can take the place of.
bool IsOpenEnd(const std::string& path) {
  std::error_code none;
  return std::filesystem::exists(path, none) && !std::filesystem::is_regular_file(path, none);
}

// Writes to what is there.
class OpenEnd final : public BlobWriter {
 public:
  explicit OpenEnd(const std::string& path) : path_(path), file_(path, std::ios::binary) {}

  Result<> Append(std::span<const std::byte> bytes) override {
    file_.write(reinterpret_cast<const char*>(bytes.data()),
                static_cast<std::streamsize>(bytes.size()));
    return Checked();
  }
  Result<> Commit() override {
    file_.close();
    return Checked();
  }

 private:
  Result<> Checked() const {
    if (file_) return {};
    return Error{ErrorCode::kFailed, path_ + ": the model cannot be written to it"};
  }

  const std::string path_;
  std::ofstream file_;
};

// Behind all tensors of the model: JSON.
constexpr const char* kColumnsTensor = "data.columns";
// Of an exported snapshot.
constexpr const char* kMeaningNote = "data.meaning.seed";
constexpr const char* kKeysEnding = ".keys";
constexpr const char* kRowsEnding = ".rows";
constexpr uint64_t kColumnsBytesMax = uint64_t{1} << 30;

// "784x10".
std::string ShapeWords(const std::vector<uint64_t>& shape) {
  std::string words;
  for (const uint64_t extent : shape) words += (words.empty() ? "" : "x") + std::to_string(extent);
  return words;
}

std::vector<uint64_t> ShapeOf(const ParameterSpec& spec) {
  return spec.shape.empty() ? std::vector<uint64_t>{spec.size} : spec.shape;
}

std::string ColumnsText(const SampleStore& train) {
  Columns columns = train.columns();
  // Places in files that need not be there any more.
  for (Column& column : columns) column.greatest_at.clear();
  JsonWriter json;
  WriteColumns(columns, json);
  return json.Take();
}

// A file of tensors that is open for reading.
class TensorFile final {
 public:
  static Result<TensorFile> Open(BlobStore& store, const std::string& name) {
    TensorFile file(store, name);
    const uint64_t bytes = SM_TRY(store.Size(name));
    Result<TensorIndex> index = ReadTensorHeader(
        bytes,
        [&](uint64_t begin, std::span<std::byte> to) { return store.Read(name, begin, to); });
    if (!index.ok()) return file.Bad(index.error().message);
    file.index_ = std::move(index).value();
    return file;
  }

  // All numbers of a tensor, of which each row has so many.
  template <class T>
  Result<std::vector<T>> Read(const std::string& name, Dtype dtype) const {
    const Tensor* tensor = index_.Find(name);
    if (tensor == nullptr || tensor->dtype != dtype) {
      return Bad("there is no \"" + name + "\" in it: it was made of another network");
    }
    std::vector<T> numbers((tensor->end - tensor->begin) / sizeof(T));
    SM_TRY(store_.Read(name_, tensor->begin, std::as_writable_bytes(std::span(numbers))));
    return numbers;
  }

  // Words where a tensor of that shape cannot be the parameter's.
  Result<> CheckShape(const std::string& name, std::vector<uint64_t> is,
                      const std::vector<uint64_t>& wanted) const {
    const auto floats = [](const std::vector<uint64_t>& shape) {
      return std::accumulate(shape.begin(), shape.end(), uint64_t{1}, std::multiplies());
    };
    // An exported snapshot knows of no axes.
    const bool fits =
        is.size() == 1 || wanted.size() == 1 ? floats(is) == floats(wanted) : is == wanted;
    if (fits) return {};
    return Bad("\"" + name + "\" is " + ShapeWords(is) + ", and the network wants " +
               ShapeWords(wanted));
  }

  const TensorIndex& index() const { return index_; }

  Error Bad(const std::string& words) const {
    return {ErrorCode::kBadInput, store_.PlaceOf(name_) + ": " + words};
  }

 private:
  TensorFile(BlobStore& store, const std::string& name) : store_(store), name_(name) {}

  BlobStore& store_;
  std::string name_;
  TensorIndex index_;
};

// A number that a file's notes have, whole.
template <class T>
std::optional<T> NumberAt(const TensorIndex& index, const char* key) {
  const std::string* text = index.Metadata(key);
  T number{};
  if (text == nullptr) return {};
  const char* const end = text->data() + text->size();
  const auto [at, error] = std::from_chars(text->data(), end, number);
  return error == std::errc() && at == end ? std::optional<T>(number) : std::nullopt;
}

// Of each sparse parameter, those that the data to train with names.
std::vector<std::vector<uint64_t>> KeysOf(std::span<const ParameterSpec> parameters,
                                          const SampleStore& train) {
  std::vector<std::vector<uint64_t>> keys(parameters.size());
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (parameters[i].sparse()) keys[i] = AllKeys(train, parameters[i].input);
  }
  return keys;
}

}  // namespace

Result<> WriteModelFile(const std::string& path, std::span<const ParameterSpec> parameters,
                        const SampleStore& train, ParameterReader& reader,
                        std::vector<std::pair<std::string, std::string>> notes) {
  TensorIndex index;
  index.metadata = std::move(notes);
  index.metadata.insert(index.metadata.begin(), {"format", "shardmill"});
  const std::vector<std::vector<uint64_t>> keys = KeysOf(parameters, train);
  // Keys come first: so all numbers lie as their size wants them to.
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (!parameters[i].sparse()) continue;
    index.tensors.push_back({parameters[i].name + kKeysEnding, Dtype::kU64, {keys[i].size()}});
  }
  for (size_t i = 0; i < parameters.size(); ++i) {
    const ParameterSpec& spec = parameters[i];
    if (spec.sparse()) {
      index.tensors.push_back({spec.name + kRowsEnding, Dtype::kF32, {keys[i].size(), spec.dim}});
    } else {
      index.tensors.push_back({spec.name, Dtype::kF32, ShapeOf(spec)});
    }
  }
  const std::string columns = ColumnsText(train);
  index.tensors.push_back({kColumnsTensor, Dtype::kU8, {columns.size()}});
  const std::string header = SM_TRY(FormatTensorHeader(index));
  PosixFiles files;
  const auto [folder, name] = Split(path);
  FolderStore store(files, folder);
  std::unique_ptr<BlobWriter> writer;
  if (IsOpenEnd(path)) {
    writer = std::make_unique<OpenEnd>(path);
  } else {
    writer = SM_TRY(store.Create(name));
  }
  SM_TRY(writer->Append(std::as_bytes(std::span(header))));
  for (const std::vector<uint64_t>& some : keys) {
    SM_TRY(writer->Append(std::as_bytes(std::span(some))));
  }
  for (size_t i = 0; i < parameters.size(); ++i) {
    const Result<std::span<const float>> values =
        parameters[i].sparse() ? reader.Rows(i, keys[i]) : reader.Dense(i);
    if (!values.ok()) return values.error();
    SM_TRY(writer->Append(std::as_bytes(values.value())));
  }
  SM_TRY(writer->Append(std::as_bytes(std::span(columns))));
  return writer->Commit();
}

Result<> CheckModelPlace(const TrainOptions& train) {
  if (train.best.empty() || train.model.empty() || !IsOpenEnd(train.model)) return {};
  return Error{ErrorCode::kBadUsage,
               "train.model: " + train.model +
                   " is no ordinary file, and the best model (train.best) is read again"};
}

std::vector<std::pair<std::string, std::string>> NotesOf(const KeptModel& kept) {
  return {{"job", std::to_string(kept.job)},
          {"step", std::to_string(kept.step)},
          {"best", kept.metric},
          {"best_value", config::FormatReal(kept.value)}};
}

std::optional<KeptModel> ReadKeptModel(const std::string& path) {
  PosixFiles files;
  const auto [folder, name] = Split(path);
  FolderStore store(files, folder);
  const Result<TensorFile> file = TensorFile::Open(store, name);
  if (!file.ok()) return {};
  const TensorIndex& index = file.value().index();
  const std::optional<uint64_t> job = NumberAt<uint64_t>(index, "job");
  const std::optional<uint64_t> step = NumberAt<uint64_t>(index, "step");
  const std::string* metric = index.Metadata("best");
  const std::optional<double> value = NumberAt<double>(index, "best_value");
  if (!job || !step || metric == nullptr || !value) return {};
  return KeptModel{*job, *step, *metric, *value};
}

Result<TrainedWith> ReadTrainedWith(const std::string& path) {
  PosixFiles files;
  const auto [folder, name] = Split(path);
  FolderStore store(files, folder);
  const TensorFile file = SM_TRY(TensorFile::Open(store, name));
  TrainedWith with;
  with.meaning = NumberAt<uint64_t>(file.index(), kMeaningNote);
  for (const auto& [key, value] : file.index().metadata) {
    if (key.find('.') != std::string::npos) with.network.push_back({key, value});
  }
  if (file.index().Find(kColumnsTensor) == nullptr) return with;
  const std::vector<char> text = SM_TRY(file.Read<char>(kColumnsTensor, Dtype::kU8));
  const Result<JsonValue> json = ParseJson({text.data(), text.size()}, kColumnsBytesMax);
  std::optional<Columns> columns;
  if (json.ok()) columns = ReadColumns(json.value());
  if (!columns) return file.Bad("what it says of the columns of its data is damaged");
  with.columns = *std::move(columns);
  return with;
}

Result<std::unique_ptr<ModelFile>> ModelFile::Open(const std::string& path,
                                                   std::span<const ParameterSpec> parameters,
                                                   const std::vector<bool>& wanted) {
  std::unique_ptr<ModelFile> model(new ModelFile(parameters));
  PosixFiles files;
  const auto [folder, file_name] = Split(path);
  FolderStore store(files, folder);
  const TensorFile file = SM_TRY(TensorFile::Open(store, file_name));
  for (const shardmill::Tensor& tensor : file.index().tensors) {
    const bool keys = tensor.name.ends_with(kKeysEnding);
    if (keys || tensor.name == kColumnsTensor) continue;
    std::string& name = model->names_.emplace_back(tensor.name);
    if (name.ends_with(kRowsEnding)) name.resize(name.rfind('.'));
  }
  for (size_t i = 0; i < parameters.size(); ++i) {
    const ParameterSpec& spec = parameters[i];
    if (!wanted.empty() && !wanted[i]) continue;
    Tensor& tensor = model->tensors_[i];
    const std::string values = spec.name + (spec.sparse() ? kRowsEnding : "");
    tensor.values = SM_TRY(file.Read<float>(values, Dtype::kF32));
    std::vector<uint64_t> shape = ShapeOf(spec);
    if (spec.sparse()) {
      tensor.keys = SM_TRY(file.Read<uint64_t>(spec.name + kKeysEnding, Dtype::kU64));
      for (const uint64_t key : tensor.keys) tensor.rows.emplace(key, tensor.rows.size());
      if (tensor.rows.size() != tensor.keys.size()) return file.Bad(spec.name + " has a key twice");
      shape = {tensor.keys.size(), spec.dim};
    }
    SM_TRY(file.CheckShape(values, file.index().Find(values)->shape, shape));
  }
  for (const Tensor& tensor : model->tensors_) model->values_.emplace_back(tensor.values);
  return model;
}

Result<std::span<const std::span<const float>>> ModelFile::For(const Batch& batch) {
  for (size_t i = 0; i < specs_.size(); ++i) {
    if (!specs_[i].sparse()) continue;
    values_[i] = SM_TRY(Rows(i, batch.inputs[specs_[i].input].keys));
  }
  return std::span<const std::span<const float>>(values_);
}

Result<std::span<const float>> ModelFile::Dense(size_t parameter) {
  return std::span<const float>(tensors_[parameter].values);
}

Result<std::span<const float>> ModelFile::Rows(size_t parameter, std::span<const uint64_t> keys) {
  Tensor& tensor = tensors_[parameter];
  const ParameterSpec& spec = specs_[parameter];
  tensor.lent.resize(keys.size() * spec.dim);
  for (size_t i = 0; i < keys.size(); ++i) {
    const std::span<float> row = std::span(tensor.lent).subspan(i * spec.dim, spec.dim);
    const auto found = tensor.rows.find(keys[i]);
    if (found == tensor.rows.end()) {
      FillInitialRow(SaltedBy(spec.initial, spec.name), keys[i], row);
    } else {
      std::copy_n(tensor.values.data() + found->second * spec.dim, spec.dim, row.data());
    }
  }
  return std::span<const float>(tensor.lent);
}

}  // namespace shardmill
