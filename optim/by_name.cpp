#include <retrace/optim/by_name.h>

#include <algorithm>

#include <retrace/optim/optim.h>
#include <retrace/tensor/check.h>

namespace retrace::optim {
namespace {

struct Row {
  std::string_view name;
  Optimizer (*make)(const std::vector<Tensor>& parameters, const CommonOptions& options);
};

template <class O>
Optimizer make_one(const std::vector<Tensor>& parameters, const CommonOptions& common) {
  typename O::Options options;
  options.lr = common.lr.value_or(options.lr);
  options.weight_decay = common.weight_decay.value_or(options.weight_decay);
  return O(parameters, options);
}

template <class... Optimizers>
std::vector<Row> rows_of() {
  return {{Optimizers::type_name(), make_one<Optimizers>}...};
}

const std::vector<Row>& rows() {
  static const std::vector<Row> all =
      rows_of<SGD, Adam, AdamW, Adamax, NAdam, RAdam, RMSprop, Adagrad, Adadelta, Lion, Muon>();
  return all;
}

bool same_letters(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

// Null when there is none.
const Row* find(std::string_view name) {
  for (const Row& row : rows()) {
    if (same_letters(name, row.name)) return &row;
  }
  return nullptr;
}

}  // namespace

const std::vector<std::string_view>& names() {
  static const std::vector<std::string_view> all = [] {
    std::vector<std::string_view> names;
    for (const Row& row : rows()) names.push_back(row.name);
    return names;
  }();
  return all;
}

std::optional<std::string_view> find_name(std::string_view name) {
  const Row* row = find(name);
  return row == nullptr ? std::nullopt : std::optional(row->name);
}

Optimizer make(std::string_view name, const std::vector<Tensor>& parameters,
               const CommonOptions& options) {
  const Row* row = find(name);
  require<ValueError>(row != nullptr, "optimizer: there is none called \"{}\"; give one of {}",
                      name, fmt::join(names(), ", "));
  return row->make(parameters, options);
}

}  // namespace retrace::optim
