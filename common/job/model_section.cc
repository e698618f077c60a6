// The keys of [model]: the network that a job trains.
#include <algorithm>
#include <functional>
#include <initializer_list>

#include "common/job/job.h"

namespace shardmill {
namespace {

using config::Section;

std::vector<std::string> LayerTypes() {
  return {"flatten",
          "reshape",
          "affine",
          "relu",
          "leaky_relu",
          "elu",
          "selu",
          "gelu",
          "silu",
          "sigmoid",
          "tanh",
          "softmax",
          "dropout",
          "conv2d",
          "max_pool",
          "average_pool",
          "global_max_pool",
          "global_average_pool",
          "batch_norm1d",
          "batch_norm2d",
          "layer_norm",
          "rnn",
          "lstm",
          "add",
          "multiply",
          "concat",
          "embedding",
          "embedding_bag",
          "fm"};
}

// A name that others can be told from by a point, as "conv1.weight".
bool IsLayerName(std::string_view name) {
  constexpr size_t kLengthMax = 64;
  return name.size() <= kLengthMax && std::ranges::all_of(name, [](unsigned char c) {
           return std::isalnum(c) != 0 || c == '_' || c == '-';
         });
}

// "my::Swish": a layer or a loss of the user's own library.
bool IsOwnType(std::string_view text) {
  const size_t colons = text.find("::");
  return colons != std::string_view::npos && colons > 0 && colons + 2 < text.size() &&
         std::ranges::all_of(
             text, [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == ':'; });
}

constexpr std::string_view kOwnTypeForm =
    "a type of one's own with \"::\" in its name, such as \"my::Swish\", which [model] library has";

bool IsNotEmpty(std::string_view text) { return !text.empty(); }

// "28x28x1", or nothing.
bool IsShape(std::string_view text) {
  bool digit = false;
  for (const char c : text) {
    if (c == 'x' && !digit) return false;
    if (c != 'x' && (c < '0' || c > '9')) return false;
    digit = c != 'x';
  }
  return text.empty() || digit;
}

}  // namespace

void LayerOptions::Declare(Section& section) {
  section.ChoiceOr("type", &type, LayerTypes(), {.form = kOwnTypeForm, .accepts = IsOwnType},
                   "What the layer does.");
  section.Demand("type");
  // It says itself which keys it has.
  const auto own = [this] { return IsOwnType(type); };
  // A key that only some types read, `example` among them.
  const auto only = [&](std::string_view key, std::string_view example,
                        std::vector<std::string_view> types) {
    section.OnlyWith(key, "type", "\"" + std::string(example) + "\"", [this, types, own] {
      return own() || std::ranges::find(types, type) != types.end();
    });
  };
  section.Text("name", &name, {.form = "up to 64 letters, digits, - and _", .accepts = IsLayerName},
               "What others call it; by itself its type and its place, such as \"affine_2\".");
  section.Texts("inputs", &inputs, {.form = "a name", .accepts = IsNotEmpty},
                "Layers above that it reads, or \"input\"; by itself the one before it.");
  section.Number("units", &units, {.at_least = 1, .at_most = uint64_t{1} << 24},
                 "How many outputs; the inputs are inferred.");
  section.Demand("units", own);
  only("units", "affine", {"affine", "conv2d", "rnn", "lstm", "embedding", "embedding_bag"});
  section.Number("kernel", &kernel, {.at_least = 1, .at_most = 1 << 16}, "The window's edge.");
  section.Demand("kernel", own);
  only("kernel", "conv2d", {"conv2d", "max_pool", "average_pool"});
  section.Number("stride", &stride, {.at_most = 1 << 16},
                 "Steps of the window; by itself 1, and when pooling the kernel.");
  only("stride", "conv2d", {"conv2d", "max_pool", "average_pool"});
  section.Number("padding", &padding, {.at_most = 1 << 16}, "Zeros at each edge of the picture.");
  only("padding", "conv2d", {"conv2d", "max_pool", "average_pool"});
  section.Number("groups", &groups, {.at_most = uint64_t{1} << 24},
                 "Groups of channels that do not see each other; by itself 1.");
  only("groups", "conv2d", {"conv2d"});
  section.Text("shape", &shape, {.form = "extents such as \"28x28x1\"", .accepts = IsShape},
               "How a row is seen: height, width and channels of a picture.");
  section.Demand("shape", own);
  only("shape", "reshape", {"reshape"});
  section.Choice("cell_output", &cell_output, {"", "last", "all"},
                 "Of which moments of a sequence the output is; by itself of the last.");
  only("cell_output", "lstm", {"rnn", "lstm"});
  section.Number("rate", &rate, {.above = 0, .at_most = 0.999}, "The share that is dropped.");
  section.Demand("rate", own);
  only("rate", "dropout", {"dropout"});
  section.Number("slope", &slope, {.above = 0, .at_most = 1e6},
                 "Below zero; by itself 0.01, and of elu, whose depth it is, 1.");
  only("slope", "leaky_relu", {"leaky_relu", "elu"});
  section.Number("epsilon", &epsilon, {.above = 0, .at_most = 1},
                 "Added to a variance; by itself 1e-5.");
  only("epsilon", "layer_norm", {"layer_norm", "batch_norm1d", "batch_norm2d"});
  section.Choice("initial", &initial, {"", "glorot", "he", "zero"},
                 "Where weights start; by itself \"glorot\", and of conv2d \"he\".");
  only("initial", "affine", {"affine", "conv2d", "rnn", "lstm", "embedding", "embedding_bag"});
  section.Flag("bias", &bias, "Whether it adds a bias.");
  only("bias", "affine", {"affine", "conv2d"});
  section.Number("momentum", &momentum, {.at_least = 0, .at_most = 0.9999},
                 "What a running average keeps of itself in a step; by itself 0.9.");
  only("momentum", "batch_norm2d", {"batch_norm1d", "batch_norm2d"});
  DeclareRows(section);
  DeclareRate(section);
}

void LayerOptions::DeclareRows(Section& section) {
  section.Number("rows", &rows, {.at_least = 1, .at_most = UINT32_MAX},
                 "Ids must be below it, and all rows go to all workers in each step; by itself the "
                 "table is sparse: a row a key, made when it is first trained, and a worker reads "
                 "and changes those that its batch names. Of an affine, where its input is sparse "
                 "rows.");
  section.OnlyWith("rows", "type", "\"embedding\" or \"affine\"", [this] {
    return type == "embedding" || type == "embedding_bag" || type == "affine";
  });
}

void LayerOptions::DeclareRate(Section& section) {
  const auto trained = [this] {
    const std::vector<std::string_view> types{"affine",       "conv2d",     "rnn",
                                              "lstm",         "layer_norm", "batch_norm1d",
                                              "batch_norm2d", "embedding",  "embedding_bag"};
    return IsOwnType(type) || std::ranges::find(types, type) != types.end();
  };
  section.Flag("frozen", &frozen, "Whether it stays as it is.");
  section.OnlyWith("frozen", "type", "\"affine\"", trained);
  section.Number("learning_rate", &learning_rate, {.above = 0, .at_most = 1e6},
                 "Factor of the job's.");
  section.OnlyWith("learning_rate", "type", "\"affine\"", trained);
  section.Choice(
      "optimizer", &optimizer,
      {"", "sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw", "ftrl"},
      "How its weights change, with the job's settings of that rule, optimizer.weight_decay "
      "among them; by itself as optimizer.name says.");
  section.OnlyWith("optimizer", "type", "\"affine\"", trained);
  section.Require({"frozen", "learning_rate", "optimizer"}, [this]() -> std::string {
    if (!frozen || (learning_rate == 1 && optimizer.empty())) return "";
    return "a layer that is \"frozen\" does not change, so \"learning_rate\" and "
           "\"optimizer\" mean nothing there; remove them or \"frozen\"";
  });
}

void ModelOptions::Declare(Section& section) {
  section.ChoiceOr("loss", &loss, {"softmax_cross_entropy", "log_loss", "l1", "l2"},
                   {.form = kOwnTypeForm, .accepts = IsOwnType},
                   "What training makes small. log_loss, l1 and l2 compare one output with the "
                   "label as a number.");
  section.Text("library", &library, {.form = "a path or nothing"},
               "A library with layers and losses of one's own, as in examples/own_layer; all "
               "workers open it.");
  section.Require({"loss", "layers", "library"}, [this]() -> std::string {
    const auto layer =
        std::ranges::find_if(layers, [](const LayerOptions& one) { return IsOwnType(one.type); });
    const std::string& named = layer != layers.end() ? layer->type : loss;
    if (IsOwnType(named) == !library.empty()) return "";
    return library.empty()
               ? "\"" + named + "\" is a type of one's own: say in \"model.library\" which has it"
               : "\"model.library\" is named, but no layer and no loss is of one's own";
  });
  section.Choices("metrics", &metrics, MetricNames(),
                  "What is measured: the share of right classes, the mean loss, the share of rows "
                  "whose class is the greatest output or among the five greatest, and of outputs "
                  "that are numbers the root of the mean squared error, the mean error, and the "
                  "area under the curve.");
  section.Text("target", &target, {.form = "the name of an input"},
               "An input that the loss compares the output with, as an autoencoder's; by itself "
               "the label.");
  section.Number("l1", &l1, {.at_least = 0, .at_most = 1e6},
                 "Adds so much of the sum of all weights without their signs to the loss. Biases "
                 "and norms are left alone, other than by optimizer.l1.");
  section.Number("l2", &l2, {.at_least = 0, .at_most = 1e6},
                 "Adds so much of half the sum of the squares of all weights to the loss. Biases "
                 "and norms are left alone, other than by optimizer.l2.");
  section.Tables("layers", &layers,
                 "The network, from the input to the loss; shardmill-worker needs it.");
}

}  // namespace shardmill
